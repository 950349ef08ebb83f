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
#pragma GCC unroll 8
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
#pragma GCC unroll 8
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

/// One tile: its sums where the call has room for sums, else its codes.
template <int Rows, int Vectors>
void tile(const TileCall& call) {
  constexpr std::size_t width = Vectors * lanes;
  Vector sums[Rows][Vectors];
  products<Rows, Vectors>(sums, call);
  const bool full = call.columns == width;
  if (call.sums != nullptr) {
    std::int32_t whole[Rows][width];
    std::int32_t* to = full ? call.sums : whole[0];
    const std::size_t stride = full ? call.out_stride : width;
#pragma GCC unroll 8
    for (int row = 0; row != Rows; ++row, to += stride) {
#pragma GCC unroll 8
      for (int v = 0; v != Vectors; ++v) store_sums(to + v * lanes, sums[row][v]);
    }
    if (!full) copy_valid(whole, call, call.sums);
    return;
  }
#pragma GCC unroll 8
  for (int v = 0; v != Vectors; ++v) {
    const Scale scale = load_scale(call.stage.mantissa + v * lanes, call.stage.shift + v * lanes, call.zero_point);
    if (call.stage.left) {
#pragma GCC unroll 8
      for (int row = 0; row != Rows; ++row) sums[row][v] = requantize<true>(sums[row][v], scale);
    } else {
#pragma GCC unroll 8
      for (int row = 0; row != Rows; ++row) sums[row][v] = requantize<false>(sums[row][v], scale);
    }
  }
  const std::uint8_t low = call.low, high = call.high;  // the call could alias the output
  std::uint8_t whole[Rows][width];
  std::uint8_t* to = full ? call.codes : whole[0];
  const std::size_t stride = full ? call.out_stride : width;
#pragma GCC unroll 8
  for (int row = 0; row != Rows; ++row, to += stride) store_codes<Vectors>(to, sums[row], low, high);
  if (!full) copy_valid(whole, call, call.codes);
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
    scale[v] = load_scale(call.stage.mantissa + c, call.stage.shift + c, call.zero_point);
    start[v] = load_sums(call.stage.start + c);
  }
  const std::size_t pairs = (call.tap_count + 1) / 2;
  std::size_t offset = at;
  for (std::size_t column = 0; column != call.columns; ++column, offset += call.step, out += call.channels) {
    Vector sums[Blocks];
#pragma GCC unroll 4
    for (int v = 0; v != Blocks; ++v) sums[v] = start[v];
    const std::int16_t* w = call.weights + 2 * at;
    for (std::size_t pair = 0; pair != pairs; ++pair, w += 2 * call.channels)
      add_tap_pair<Blocks>(sums, call.taps[2 * pair] + offset, call.taps[2 * pair + 1] + offset, w);
#pragma GCC unroll 4
    for (int v = 0; v != Blocks; ++v) sums[v] = requantize(sums[v], scale[v]);
    store_codes<Blocks>(out + at, sums, call.low, call.high);
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
  const Scale a_scale = broadcast_scale(call.a_mantissa, call.a_shift, 0);
  const Scale b_scale = broadcast_scale(call.b_mantissa, call.b_shift, 0);
  const Scale scale = broadcast_scale(call.mantissa, call.shift, call.zero_point);
  const Vector a_start = broadcast_sum(-call.a_zero * (1 << 20)), b_start = broadcast_sum(-call.b_zero * (1 << 20));
  constexpr std::size_t block = 2 * lanes;
  for (std::size_t done = 0; done != call.size;) {
    const std::size_t at = done + block <= call.size ? done : call.size - block;
    Vector sums[2];
#pragma GCC unroll 2
    for (int v = 0; v != 2; ++v) {
      const Vector a = requantize(shifted_codes(call.a + at + static_cast<std::size_t>(v * lanes), a_start), a_scale);
      const Vector b = requantize(shifted_codes(call.b + at + static_cast<std::size_t>(v * lanes), b_start), b_scale);
      sums[v] = requantize(add_sums(a, b), scale);
    }
    store_codes<2>(out + at, sums, call.low, call.high);
    done = at + block;
  }
}

template <int Rows, int Vectors>
constexpr void fill_tiles(Kernels& k) {
  k.tiles[Vectors - 1][Rows - 1] = tile<Rows, Vectors>;
  if constexpr (Rows > 1) fill_tiles<Rows - 1, Vectors>(k);
  else if constexpr (Vectors > 1) fill_tiles<rows, Vectors - 1>(k);
}

constexpr Kernels make_kernels(const char* name) {
  Kernels k;
  k.name = name;
  k.rows = rows;
  k.vectors = vectors;
  k.lanes = lanes;
  k.saturates = has_pairs;
  k.group = Quad::group;
  k.offset = byte_offset;
  k.depthwise = depthwise;
  k.add = add;
  k.widen = widen;
  fill_tiles<rows, vectors>(k);
  return k;
}
