// The micro-kernel, once for every instruction set: included inside that set's namespace and target region, after its
// Vector, Scale, engines Quad and Pair, and constants. No include guard on purpose.

/// sums += A * B over the groups of one engine.
template <class Engine, int Rows, int Vectors>
FAT_KERNEL_INLINE const std::int8_t* accumulate(Vector (&sums)[Rows][Vectors], const typename Engine::Element* a,
                                                std::size_t stride, const std::int8_t* b, const std::uint16_t* order,
                                                std::size_t first, std::size_t count) {
  for (std::size_t group = first; group != first + count; ++group) {
    const std::size_t at = 4 * (Engine::ordered ? std::size_t{order[group]} : group);
#pragma GCC unroll 4
    for (int part = 0; part != 4 / Engine::group; ++part) {
      typename Engine::Weights w[Vectors];
#pragma GCC unroll 8
      for (int v = 0; v != Vectors; ++v, b += Engine::group * lanes) w[v] = Engine::load(b);
#pragma GCC unroll 12
      for (int row = 0; row != Rows; ++row) {
        const auto x = Engine::broadcast(a + static_cast<std::size_t>(row) * stride + at + static_cast<std::size_t>(part * Engine::group));
        Engine::template multiply_add<Vectors>(sums[row], x, w);
      }
    }
  }
  return b;
}

template <int Rows, int Vectors>
FAT_KERNEL_INLINE void products(Vector (&sums)[Rows][Vectors], const TileCall& call) {
#pragma GCC unroll 8
  for (int v = 0; v != Vectors; ++v) {
    const Vector start = load_sums(call.stage.start + v * lanes);
#pragma GCC unroll 12
    for (int row = 0; row != Rows; ++row) sums[row][v] = start;
  }
  const std::int8_t* b = accumulate<Quad, Rows, Vectors>(sums, call.a, call.a_stride, call.panel.weights, call.panel.order, 0, call.panel.quads);
  if constexpr (has_pairs)
    accumulate<Pair, Rows, Vectors>(sums, call.wide, call.wide_stride, b, call.panel.order, call.panel.quads, call.panel.pairs);
}

/// Copies the valid columns of a tile that was stored whole.
template <class Element, std::size_t Rows, std::size_t Width>
FAT_KERNEL_INLINE void copy_valid(const Element (&whole)[Rows][Width], const TileCall& call, Element* out) {
  for (std::size_t row = 0; row != Rows; ++row, out += call.out_stride) __builtin_memcpy(out, whole[row], call.columns * sizeof(Element));
}

/// The codes of rows of doubled sums, as many rows at once as fill a register; with Some only the first columns of each.
template <int Rows, int Vectors, bool Some = false>
FAT_KERNEL_INLINE void store_codes(std::uint8_t* out, std::size_t stride, const Vector (&twice)[Rows][Vectors], const Target& target, std::size_t columns = 0) {
  constexpr int at_once = Vectors < 3 ? 4 / Vectors : 1;
  constexpr std::size_t width = std::size_t{Vectors} * std::size_t{lanes};
#pragma GCC unroll 12
  for (int row = 0; row < Rows; row += at_once, out += std::size_t{at_once} * stride) {
    Vector four[4];
#pragma GCC unroll 4
    for (int i = 0; i != 4; ++i) {
      const int down = row + (Vectors < 3 ? i / Vectors : 0);
      four[i] = twice[down < Rows ? down : row][Vectors < 3 ? i % Vectors : i < Vectors ? i : 0];
    }
    const Bytes codes = packed(four, target);
    if (!Some && at_once > 1 && row + at_once <= Rows && stride == width) {  // the rows touch
      store_piece<4>(out, codes, 0);
      continue;
    }
#pragma GCC unroll 4
    for (int piece = 0; piece != at_once; ++piece) {
      std::uint8_t* const to = out + static_cast<std::size_t>(piece) * stride;
      if (row + piece >= Rows) continue;
      if constexpr (Some) store_some<Vectors>(to, codes, piece, columns);
      else store_piece<Vectors>(to, codes, piece);
    }
  }
}

template <int Rows, int Vectors>
FAT_KERNEL_INLINE void sums_tile(const TileCall& call) {
  constexpr std::size_t width = Vectors * lanes;
  Vector sums[Rows][Vectors];
  products<Rows, Vectors>(sums, call);
  std::int32_t whole[Rows][width];
  const bool full = call.columns == width;
  std::int32_t* to = full ? call.sums : whole[0];
  const std::size_t stride = full ? call.out_stride : width;
#pragma GCC unroll 12
  for (int row = 0; row != Rows; ++row, to += stride) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) store_sums(to + v * lanes, sums[row][v]);
  }
  if (!full) copy_valid(whole, call, call.sums);
}

/// The codes of tiles below one another. What requantization needs is made ready once for all of them.
template <int Rows, int Vectors, bool Left>
FAT_KERNEL_INLINE void code_tiles(TileCall call) {
  constexpr std::size_t width = Vectors * lanes;
  const Target target = call.target;
  Scale scale[Vectors];
#pragma GCC unroll 8
  for (int v = 0; v != Vectors; ++v) scale[v] = load_scale(call.stage.mantissa + v * lanes, call.stage.shift + v * lanes);
  for (std::size_t row = 0; row != call.rows; row += Rows, advance(call, Rows)) {
    Vector sums[Rows][Vectors];
    products<Rows, Vectors>(sums, call);
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
#pragma GCC unroll 12
      for (int down = 0; down != Rows; ++down) sums[down][v] = doubled<Left>(sums[down][v], scale[v]);
    }
    if (call.columns == width) store_codes<Rows, Vectors>(call.codes, call.out_stride, sums, target);
    else if constexpr (has_masks) {
      store_codes<Rows, Vectors, true>(call.codes, call.out_stride, sums, target, call.columns);
    } else {
      std::uint8_t whole[Rows][width];
      store_codes<Rows, Vectors>(whole[0], width, sums, target);
      copy_valid(whole, call, call.codes);
    }
  }
}

/// Tiles below one another: their sums where the call has room for sums, else their codes.
template <int Rows, int Vectors>
void tiles(const TileCall& all) {
  TileCall call = all;
  if (call.sums != nullptr)
    for (std::size_t row = 0; row != all.rows; row += Rows, advance(call, Rows)) sums_tile<Rows, Vectors>(call);
  else if (call.stage.left) code_tiles<Rows, Vectors, true>(call);
  else code_tiles<Rows, Vectors, false>(call);
}

/// Channels [at, at + lanes * blocks) of one output pixel after another; channels before `at` are other blocks' work.
template <int Blocks>
FAT_KERNEL_INLINE void depthwise_block(const DepthwiseCall& call, std::size_t at, std::uint8_t* out) {
  constexpr int width = Blocks * lanes;
  Scale scale[Blocks];
  Vector start[Blocks];
#pragma GCC unroll 4
  for (int v = 0; v != Blocks; ++v) {
    const std::size_t c = at + static_cast<std::size_t>(v * lanes);
    scale[v] = load_scale(call.stage.mantissa + c, call.stage.shift + c);
    start[v] = load_sums(call.stage.start + c);
  }
  const Target target = call.target;  // the call could alias the output
  const std::size_t pairs = (call.tap_count + 1) / 2;
  std::size_t offset = at;
  for (std::size_t column = 0; column != call.columns; ++column, offset += call.step, out += call.channels) {
    Vector sums[1][Blocks];
#pragma GCC unroll 4
    for (int v = 0; v != Blocks; ++v) sums[0][v] = start[v];
    const std::int16_t* w = call.weights + 2 * at;
    for (std::size_t pair = 0; pair != pairs; ++pair, w += 2 * call.channels)
      add_tap_pair<Blocks>(sums[0], call.taps[2 * pair] + offset, call.taps[2 * pair + 1] + offset, w);
#pragma GCC unroll 4
    for (int v = 0; v != Blocks; ++v) sums[0][v] = doubled(sums[0][v], scale[v]);
    store_codes<1, Blocks>(out + at, 0, sums, target);
  }
  static_assert(width <= 64);
}

/// The last block overlaps the one before it where the channels are no multiple of a block.
inline void depthwise(const DepthwiseCall& call, std::uint8_t* out) {
  constexpr std::size_t wide = 2 * lanes, narrow = lanes;
  std::size_t at = 0;
  for (; at + wide <= call.channels; at += wide) depthwise_block<2>(call, at, out);
  if (at == call.channels) return;
  if (call.channels >= wide) depthwise_block<2>(call, call.channels - wide, out);
  else {
    if (at + narrow <= call.channels) depthwise_block<1>(call, at, out), at += narrow;
    if (at != call.channels) depthwise_block<1>(call, call.channels - narrow, out);
  }
}

/// Sizes below one vector are the driver's work.
inline void add(const AddCall& call, std::uint8_t* out) {
  const Scale a_scale = broadcast_scale(call.a_mantissa, call.a_shift);
  const Scale b_scale = broadcast_scale(call.b_mantissa, call.b_shift);
  const Scale scale = broadcast_scale(call.mantissa, call.shift);
  const Target target = call.target;  // the call could alias the output
  const Vector a_start = broadcast_sum(-call.a_zero * (1 << 20)), b_start = broadcast_sum(-call.b_zero * (1 << 20));
  constexpr std::size_t block = 2 * lanes;
  for (std::size_t done = 0; done != call.size;) {
    const std::size_t at = done + block <= call.size ? done : call.size - block;
    Vector sums[1][2];
#pragma GCC unroll 2
    for (int v = 0; v != 2; ++v) {
      const Vector a = halved(doubled(shifted_codes(call.a + at + static_cast<std::size_t>(v * lanes), a_start), a_scale));
      const Vector b = halved(doubled(shifted_codes(call.b + at + static_cast<std::size_t>(v * lanes), b_start), b_scale));
      sums[0][v] = doubled(add_sums(a, b), scale);
    }
    store_codes<1, 2>(out + at, 0, sums, target);
    done = at + block;
  }
}

template <int Rows, int Vectors>
constexpr void fill_tiles(Kernels& k) {
  k.tiles[Vectors - 1][Rows - 1] = tiles<Rows, Vectors>;
  if constexpr (Rows > 1) fill_tiles<Rows - 1, Vectors>(k);
  else if constexpr (Vectors > 1) fill_tiles<Vectors == 2 ? narrow_rows : rows, Vectors - 1>(k);
}

constexpr Kernels make_kernels(const char* name) {
  Kernels k;
  k.name = name;
  k.rows = rows;
  k.narrow_rows = narrow_rows;
  k.vectors = vectors;
  k.lanes = lanes;
  k.saturates = has_pairs;
  k.group = Quad::group;
  k.offset = byte_offset;
  k.depthwise = depthwise;
  k.add = add;
  k.widen = widen;
  fill_tiles<vectors == 1 ? narrow_rows : rows, vectors>(k);
  return k;
}
