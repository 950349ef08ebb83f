// Depthwise 3 x 3 by columns, for instruction sets that multiply bytes in fours: included inside the set's
// namespace and target region. A column of the window, three rows of one input pixel, lies in the four bytes of a 32-bit
// lane (the last has weight 0) and serves up to three outputs, so it is read and interleaved once. No include guard on purpose.
// Segments: 1 for a block of all channels that fit; 2 to column_channels / 8 where that share of them is left, and the
// vectors hold as many segments of the row side by side; 0 where neither holds, and a mask leaves lanes empty.

/// Channels of a block: four vectors of 32-bit lanes.
inline constexpr std::size_t column_channels = 4 * lanes;
/// Segments of 8 channels: two of them lie in each 128 bits, so that every other vector of lanes repeats.
inline constexpr int most_segments = lanes / 2;

/// One pixel column of a block of channels; null rows and columns outside the image hold the zero point.
template <int Segments>
FAT_KERNEL_INLINE void load_column(const Depthwise3x3Call& call, std::size_t at, ByteMask mask, std::ptrdiff_t column, ColumnBytes (&to)[4]) {
  constexpr std::size_t count = Segments > 1 ? Segments : 1;
  const std::size_t step = call.out_width / count * call.stride;
  const bool inside = column >= 0 && static_cast<std::size_t>(column) + (count - 1) * step < call.in_width;
  Vector row[3];
#pragma GCC unroll 3
  for (int r = 0; r != 3; ++r) {
    const std::ptrdiff_t from = column * static_cast<std::ptrdiff_t>(call.channels) + static_cast<std::ptrdiff_t>(at);
    if (call.rows[r] != nullptr && inside) {
      row[r] = load_bytes<Segments>(call.rows[r] + from, step * call.channels, mask);
    } else {
      row[r] = broadcast_bytes(call.outside);
      if (Segments > 1 && call.rows[r] != nullptr) {
        std::uint8_t whole[column_channels];
        for (std::size_t s = 0; s != count; ++s) {
          const std::ptrdiff_t where = column + static_cast<std::ptrdiff_t>(s * step);
          std::uint8_t* const part = whole + s * (column_channels / count);
          if (where >= 0 && where < static_cast<std::ptrdiff_t>(call.in_width))
            __builtin_memcpy(part, call.rows[r] + from + static_cast<std::ptrdiff_t>(s * step * call.channels), column_channels / count);
          else __builtin_memset(part, call.outside, column_channels / count);
        }
        row[r] = load_bytes<1>(whole, 0, mask);
      }
    }
  }
  interleave(row[0], row[1], row[2], to);
}

FAT_KERNEL_INLINE void add_column(Vector (&sums)[4], const ColumnBytes (&column)[4], const ColumnWeights (&w)[4]) {
#pragma GCC unroll 4
  for (int v = 0; v != 4; ++v) add_products(sums[v], column[v], w[v]);
}

template <int Stride, int Segments, bool Left>
FAT_KERNEL_INLINE void depthwise3x3_block(const Depthwise3x3Call& call, std::size_t at, std::size_t count, std::uint8_t* out) {
  const ByteMask mask = byte_mask(count);
  const Target target = call.target;  // the call could alias the output
  ColumnWeights w[3][4];
  ColumnBytes column[4];
  Vector start[4], first[4], second[4], third[4];
  Scale scale[4];
#pragma GCC unroll 4
  for (int v = 0; v != 4; ++v) {
    const int place = (Segments == most_segments ? v % 2 : v) * lanes;
#pragma GCC unroll 3
    for (int k = 0; k != 3; ++k)
      w[k][v] = column_weights(spread<Segments>(load_sums(reinterpret_cast<const std::int32_t*>(call.weights + 12 * at) + 4 * k * lanes + place)));
    const std::size_t c = at + static_cast<std::size_t>(place);
    start[v] = spread<Segments>(load_sums(call.stage.start + c));
    scale[v] = load_scale(call.stage.mantissa + c, call.stage.shift + c);
    if constexpr (Segments > 1)
      for (Vector* const part : {&scale[v].even, &scale[v].odd, &scale[v].left, &scale[v].right}) *part = spread<Segments>(*part);
    first[v] = start[v], second[v] = start[v];
  }
  std::ptrdiff_t next = -static_cast<std::ptrdiff_t>(call.pad_left);
  load_column<Segments>(call, at, mask, next++, column);
  add_column(first, column, w[0]);
  if constexpr (Stride == 1) {
    load_column<Segments>(call, at, mask, next++, column);
    add_column(first, column, w[1]);
    add_column(second, column, w[0]);
  }
  const std::size_t pixels = call.out_width / (Segments > 1 ? Segments : 1);
  out += at;
  for (std::size_t pixel = 0; pixel != pixels; ++pixel, out += call.channels) {
    if constexpr (Stride == 2) {
      load_column<Segments>(call, at, mask, next++, column);
      add_column(first, column, w[1]);
    }
    load_column<Segments>(call, at, mask, next++, column);
    add_column(first, column, w[2]);
#pragma GCC unroll 4
    for (int v = 0; v != 4; ++v) third[v] = start[v];
    if constexpr (Stride == 1) add_column(second, column, w[1]);
    add_column(third, column, w[0]);
#pragma GCC unroll 4
    for (int v = 0; v != 4; ++v) first[v] = doubled<Left>(first[v], scale[v]);
    store_bytes<Segments>(out, pixels * call.channels, mask, narrow(first, target));
#pragma GCC unroll 4
    for (int v = 0; v != 4; ++v) {
      first[v] = Stride == 1 ? second[v] : third[v];
      second[v] = third[v];
    }
  }
}

template <int Stride, bool Left>
FAT_KERNEL_INLINE void depthwise3x3_row(const Depthwise3x3Call& call, std::uint8_t* out) {
  std::size_t at = 0;
  for (; at + column_channels <= call.channels; at += column_channels) depthwise3x3_block<Stride, 1, Left>(call, at, column_channels, out);
  const std::size_t left = call.channels - at;
  if (left == 0) return;
  if (2 * left == column_channels && call.out_width % 2 == 0) return depthwise3x3_block<Stride, 2, Left>(call, at, left, out);
  if constexpr (lanes == 16)
    if (4 * left == column_channels && call.out_width % 4 == 0) return depthwise3x3_block<Stride, 4, Left>(call, at, left, out);
  if (left == 8 && call.out_width % most_segments == 0) return depthwise3x3_block<Stride, most_segments, Left>(call, at, left, out);
  depthwise3x3_block<Stride, 0, Left>(call, at, left, out);
}

inline void depthwise3x3(const Depthwise3x3Call& call, std::uint8_t* out) {
  if (call.stage.left) call.stride == 1 ? depthwise3x3_row<1, true>(call, out) : depthwise3x3_row<2, true>(call, out);
  else call.stride == 1 ? depthwise3x3_row<1, false>(call, out) : depthwise3x3_row<2, false>(call, out);
}

constexpr Kernels with_depthwise3x3(Kernels k) {
  k.depthwise3x3 = depthwise3x3;
  return k;
}
