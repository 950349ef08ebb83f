// The float kernels in vector extensions. Included once for each instruction set, inside its namespace and its target
// region, after `width`, the floats of a vector, and `tile_rows`, the rows of a register tile of two vectors. Nothing of
// the standard library is instantiated here: such a template would be shared with code for other instruction sets.

typedef float vec __attribute__((vector_size(width * sizeof(float)), aligned(4), may_alias));
typedef int mask_vec __attribute__((vector_size(width * sizeof(float)), aligned(4), may_alias));

inline vec load(const float* p) { return *reinterpret_cast<const vec*>(p); }
inline void store(float* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
inline vec splat(float s) { return s - vec{}; }
/// Keeps the compiler from simplifying across v, whatever its flags.
inline vec held(vec v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}
inline vec clamped(vec v, vec low, vec high) {
  v = v > low ? v : low;
  return v < high ? v : high;
}
inline float clamped(float v, float low, float high) {
  v = v > low ? v : low;
  return v < high ? v : high;
}

// ---- matrix products

/// Columns are cut into panels of two vectors; an odd last vector joins the panel before it, or stands alone.
struct Panels {
  std::size_t vectors, count;
  explicit Panels(std::size_t columns) : vectors((columns + width - 1) / width), count(vectors < 2 ? vectors : vectors / 2) {}
  std::size_t vectors_of(std::size_t panel) const { return panel + 1 == count ? vectors - 2 * panel : 2; }
};

inline std::size_t packed_size(std::size_t depth, std::size_t columns) { return Panels{columns}.vectors * width * depth; }

inline void pack(const float* b, std::size_t row, std::size_t column, std::size_t depth, std::size_t columns, float* packed) {
  const Panels panels{columns};
  for (std::size_t panel = 0; panel != panels.count; ++panel) {
    const std::size_t first = panel * 2 * width;
    const std::size_t wide = panels.vectors_of(panel) * width;
    for (std::size_t p = 0; p != depth; ++p, packed += wide)
      for (std::size_t j = 0; j != wide; ++j) packed[j] = first + j < columns ? b[p * row + (first + j) * column] : 0.0F;
  }
}

/// One register tile: MR rows x NV vectors, over the whole depth.
template <int MR, int NV>
inline void tile(const MatrixProduct& m, const float* a, const float* b, std::size_t b_row, float* c, std::size_t column) {
  vec acc[MR][NV];
  const std::size_t left = m.columns - column;
  float padded[NV * width];
  const float* bias = m.bias == nullptr ? nullptr : m.bias + column;
  if (bias != nullptr && left < NV * width) {
    for (std::size_t j = 0; j != NV * width; ++j) padded[j] = j < left ? bias[j] : 0.0F;
    bias = padded;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < NV; ++j) acc[i][j] = bias == nullptr ? vec{} : load(bias + j * width);
  const std::size_t a_row = m.a_row;
  const std::size_t a_depth = m.a_depth;
  for (std::size_t p = m.depth; p != 0; --p) {
    vec across[NV];
#pragma GCC unroll 16
    for (int j = 0; j < NV; ++j) across[j] = load(b + j * width);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const vec down = splat(a[static_cast<std::size_t>(i) * a_row]);
#pragma GCC unroll 16
      for (int j = 0; j < NV; ++j) acc[i][j] += down * across[j];
    }
    a += a_depth;
    b += b_row;
  }
  if (left >= NV * width) {
    if (m.epilogue == Epilogue::store) {
      const vec low = splat(m.low);
      const vec high = splat(m.high);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < NV; ++j) store(c + static_cast<std::size_t>(i) * m.c_row + j * width, clamped(acc[i][j], low, high));
    } else if (m.epilogue == Epilogue::accumulate) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i)
#pragma GCC unroll 16
        for (int j = 0; j < NV; ++j) {
          float* at = c + static_cast<std::size_t>(i) * m.c_row + j * width;
          store(at, load(at) + acc[i][j]);
        }
    } else {
#pragma GCC unroll 16
      for (int j = 0; j < NV; ++j) {
        vec sum{};
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) sum += acc[i][j] * load(c + static_cast<std::size_t>(i) * m.c_row + j * width);
        float* at = m.sums + column + j * width;
        store(at, load(at) + sum);
      }
    }
    return;
  }
  for (int i = 0; i < MR; ++i) {
    float row[NV * width];
    for (int j = 0; j < NV; ++j) store(row + j * width, acc[i][j]);
    float* at = c + static_cast<std::size_t>(i) * m.c_row;
    for (std::size_t j = 0; j != left; ++j)
      if (m.epilogue == Epilogue::store)
        at[j] = clamped(row[j], m.low, m.high);
      else if (m.epilogue == Epilogue::accumulate)
        at[j] += row[j];
      else
        m.sums[column + j] += row[j] * at[j];
  }
}

template <int MR, int NV>
inline void tiles(const MatrixProduct& m, std::size_t first, std::size_t last, const float* b, std::size_t b_row,
                  std::size_t column) {
  std::size_t row = first;
  const auto at = [&] { return m.a + row * m.a_row; };
  const auto to = [&] { return m.c + row * m.c_row + column; };
  for (; last - row >= MR; row += MR) tile<MR, NV>(m, at(), b, b_row, to(), column);
  for (; last - row >= 4; row += 4) tile<4, NV>(m, at(), b, b_row, to(), column);
  for (; last - row >= 2; row += 2) tile<2, NV>(m, at(), b, b_row, to(), column);
  for (; last != row; ++row) tile<1, NV>(m, at(), b, b_row, to(), column);
}

inline void multiply(const MatrixProduct& m) {
  const Panels panels{m.columns};
  const std::size_t last_panel = m.last_panel < panels.count ? m.last_panel : panels.count;
  // A block of rows stays in the nearest cache while the panels pass by.
  const std::size_t fitting = 6144 / (m.depth + 1) / tile_rows;
  const std::size_t block = (fitting < 2 ? 2 : fitting) * tile_rows;
  for (std::size_t first = 0; first < m.rows; first += block) {
    const std::size_t last = first + block < m.rows ? first + block : m.rows;
    for (std::size_t panel = m.first_panel; panel < last_panel; ++panel) {
      const std::size_t column = panel * 2 * width;
      const std::size_t vectors = panels.vectors_of(panel);
      const float* b = m.b_row != 0 ? m.b + column : m.b + column * m.depth;
      const std::size_t b_row = m.b_row != 0 ? m.b_row : vectors * width;
      if (vectors == 2)
        tiles<tile_rows, 2>(m, first, last, b, b_row, column);
      else if (vectors == 3)
        tiles<4, 3>(m, first, last, b, b_row, column);
      else
        tiles<8, 1>(m, first, last, b, b_row, column);
    }
  }
}

// ---- depthwise convolution

/// Output pixels [first, last) of row r, every tap inside or not, channels [channel, end).
inline void depthwise_pixels(const Depthwise& d, std::size_t r, std::size_t first, std::size_t last, std::size_t channel,
                             std::size_t end) {
  const WindowShape& s = d.shape;
  const std::size_t channels = s.in_channels;
  for (std::size_t c = first; c < last; ++c)
    for (std::size_t k = channel; k < end;) {
      const bool whole = k + width <= end;
      float* to = d.y + (r * s.out_width + c) * channels + k;
      vec sum{};
      if (whole) {
        if (d.accumulate) sum = load(to);
        else if (d.bias != nullptr) sum = load(d.bias + k);
      } else {
        sum[0] = d.accumulate ? *to : d.bias != nullptr ? d.bias[k] : 0.0F;
      }
      for (std::size_t kr = 0; kr != s.kernel_height; ++kr)
        for (std::size_t kc = 0; kc != s.kernel_width; ++kc) {
          const std::size_t row = s.input_row(r, kr);
          const std::size_t column = s.input_column(c, kc);
          if (row == s.in_height || column == s.in_width) continue;
          const float* x = d.x + (row * s.in_width + column) * channels + k;
          const float* w = d.tap(kr * s.kernel_width + kc) + k;
          if (whole)
            sum += load(x) * load(w);
          else
            sum[0] += *x * *w;
        }
      if (whole)
        store(to, clamped(sum, splat(d.low), splat(d.high)));
      else
        *to = clamped(static_cast<float>(sum[0]), d.low, d.high);
      k += whole ? static_cast<std::size_t>(width) : 1;
    }
}

/// `Tile` neighbouring output pixels of one vector of channels, all columns inside; rows [low, high) of the kernel.
template <int KW, int S, int Tile>
inline void depthwise_tile(const Depthwise& d, const float* x, std::size_t x_row, std::size_t low, std::size_t high,
                           std::size_t k, float* to) {
  const std::size_t channels = d.shape.in_channels;
  vec acc[Tile];
#pragma GCC unroll 16
  for (int t = 0; t < Tile; ++t)
    acc[t] = d.accumulate ? load(to + static_cast<std::size_t>(t) * channels) : d.bias != nullptr ? load(d.bias + k) : vec{};
  for (std::size_t kr = low; kr < high; ++kr) {
    const float* row = x + (kr - low) * x_row;
    vec w[KW];
#pragma GCC unroll 16
    for (int j = 0; j < KW; ++j) w[j] = load(d.tap(kr * KW + static_cast<std::size_t>(j)) + k);
#pragma GCC unroll 32
    for (int column = 0; column < (Tile - 1) * S + KW; ++column) {
      const vec value = load(row + static_cast<std::size_t>(column) * channels);
#pragma GCC unroll 16
      for (int t = 0; t < Tile; ++t)
        if (column - t * S >= 0 && column - t * S < KW) acc[t] += value * w[column - t * S];
    }
  }
  const vec bottom = splat(d.low);
  const vec top = splat(d.high);
#pragma GCC unroll 16
  for (int t = 0; t < Tile; ++t) store(to + static_cast<std::size_t>(t) * channels, clamped(acc[t], bottom, top));
}

/// First and one past the last output column whose window lies inside the image.
struct Inside {
  std::size_t first, last;
  explicit Inside(const WindowShape& s) {
    const std::size_t reach = (s.kernel_width - 1) * s.dilation_width + 1;
    first = (s.pad_left + s.stride_width - 1) / s.stride_width;
    last = s.in_width + s.pad_left < reach ? 0 : (s.in_width + s.pad_left - reach) / s.stride_width + 1;
    last = last < s.out_width ? last : s.out_width;
    first = first < last ? first : last;
  }
};

template <int KW, int S>
inline void depthwise_rows(const Depthwise& d, std::size_t first, std::size_t last) {
  const WindowShape& s = d.shape;
  const std::size_t channels = s.in_channels;
  const std::size_t whole = channels / width * width;
  const Inside inside{s};
  for (std::size_t r = first; r < last; ++r) {
    std::size_t low = 0;
    while (low < s.kernel_height && s.input_row(r, low) == s.in_height) ++low;
    std::size_t high = low;
    while (high < s.kernel_height && s.input_row(r, high) != s.in_height) ++high;
    depthwise_pixels(d, r, 0, inside.first, 0, channels);
    depthwise_pixels(d, r, inside.last, s.out_width, 0, channels);
    if (whole != channels) depthwise_pixels(d, r, inside.first, inside.last, whole, channels);
    const std::size_t row = low == s.kernel_height ? 0 : s.input_row(r, low);
    const std::size_t x_row = s.dilation_height * s.in_width * channels;
    for (std::size_t k = 0; k < whole; k += width) {
      std::size_t c = inside.first;
      const auto x = [&] { return d.x + (row * s.in_width + c * S - s.pad_left) * channels + k; };
      const auto to = [&] { return d.y + (r * s.out_width + c) * channels + k; };
      for (; c + 4 <= inside.last; c += 4) depthwise_tile<KW, S, 4>(d, x(), x_row, low, high, k, to());
      for (; c < inside.last; ++c) depthwise_tile<KW, S, 1>(d, x(), x_row, low, high, k, to());
    }
  }
}

inline void depthwise(const Depthwise& d, std::size_t first, std::size_t last) {
  const WindowShape& s = d.shape;
  const bool plain = s.dilation_width == 1;
  if (plain && s.kernel_width == 3 && s.stride_width == 1) return depthwise_rows<3, 1>(d, first, last);
  if (plain && s.kernel_width == 3 && s.stride_width == 2) return depthwise_rows<3, 2>(d, first, last);
  if (plain && s.kernel_width == 5 && s.stride_width == 1) return depthwise_rows<5, 1>(d, first, last);
  if (plain && s.kernel_width == 5 && s.stride_width == 2) return depthwise_rows<5, 2>(d, first, last);
  for (std::size_t r = first; r < last; ++r) depthwise_pixels(d, r, 0, s.out_width, 0, s.in_channels);
}

/// d.x is dy [out], d.y is dx [in]: every input pixel gathers the outputs that read it.
inline void depthwise_input(const Depthwise& d) {
  const WindowShape& s = d.shape;
  const std::size_t channels = s.in_channels;
  if (s.stride_height == 1 && s.stride_width == 1 && s.dilation_height == 1 && s.dilation_width == 1 &&
      s.pad_top < s.kernel_height && s.pad_left < s.kernel_width) {  // dy convolved with the kernel turned round
    Depthwise turned = d;
    turned.turned = true;
    turned.shape.in_height = s.out_height, turned.shape.in_width = s.out_width;
    turned.shape.out_height = s.in_height, turned.shape.out_width = s.in_width;
    turned.shape.pad_top = s.kernel_height - 1 - s.pad_top, turned.shape.pad_left = s.kernel_width - 1 - s.pad_left;
    return depthwise(turned, 0, s.in_height);
  }
  for (std::size_t row = 0; row != s.in_height; ++row)
    for (std::size_t column = 0; column != s.in_width; ++column) {
      const float* from[64];
      const float* by[64];
      float* to = d.y + (row * s.in_width + column) * channels;
      std::size_t first_tap = 0;
      bool keep = d.accumulate;
      do {  // at most 64 taps at a time
        std::size_t taps = 0;
        std::size_t tap = first_tap;
        for (; tap != s.taps() && taps != 64; ++tap) {
          // 32 bits are enough, and divide faster.
          const auto kernel_width = static_cast<std::uint32_t>(s.kernel_width), at = static_cast<std::uint32_t>(tap);
          const std::size_t kr = at / kernel_width;
          const std::size_t kc = at % kernel_width;
          const std::size_t down = row + s.pad_top - kr * s.dilation_height;  // wraps where negative: then too large
          const std::size_t right = column + s.pad_left - kc * s.dilation_width;
          if (row + s.pad_top < kr * s.dilation_height || column + s.pad_left < kc * s.dilation_width) continue;
          const auto stride_down = static_cast<std::uint32_t>(s.stride_height),
                     stride_right = static_cast<std::uint32_t>(s.stride_width);
          const std::uint32_t r = static_cast<std::uint32_t>(down) / stride_down,
                              c = static_cast<std::uint32_t>(right) / stride_right;
          if (r * stride_down != down || c * stride_right != right || r >= s.out_height || c >= s.out_width) continue;
          from[taps] = d.x + (r * s.out_width + c) * channels;
          by[taps++] = d.w + tap * channels;
        }
        std::size_t k = 0;
        for (; k + width <= channels; k += width) {
          vec sum = keep ? load(to + k) : vec{};
          for (std::size_t t = 0; t != taps; ++t) sum += load(from[t] + k) * load(by[t] + k);
          store(to + k, sum);
        }
        for (; k != channels; ++k) {
          float sum = keep ? to[k] : 0.0F;
          for (std::size_t t = 0; t != taps; ++t) sum += from[t][k] * by[t][k];
          to[k] = sum;
        }
        keep = true;
        first_tap = tap;
      } while (first_tap != s.taps());
    }
}

/// Gradient of kernel rows [kr, kr + KH) for one vector of channels; columns are all inside for [inside.first, inside.last).
template <int KH, int KW>
inline void depthwise_weights_rows(const Depthwise& d, std::size_t kr, std::size_t k, const Inside& inside) {
  const WindowShape& s = d.shape;
  const std::size_t channels = s.in_channels;
  vec acc[KH][KW];
#pragma GCC unroll 8
  for (int i = 0; i < KH; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < KW; ++j) acc[i][j] = vec{};
  const std::size_t step = s.stride_width * channels;
  for (std::size_t r = 0; r != s.out_height; ++r) {
    bool all = true;
    for (int i = 0; i < KH; ++i) all = all && s.input_row(r, kr + static_cast<std::size_t>(i)) != s.in_height;
    const float* dy = d.bias + r * s.out_width * channels + k;
    if (all) {
      const float* x = d.x + (s.input_row(r, kr) * s.in_width + inside.first * s.stride_width - s.pad_left) * channels + k;
      const std::size_t x_row = s.dilation_height * s.in_width * channels;
      for (std::size_t c = inside.first; c < inside.last; ++c, x += step) {
        const vec g = load(dy + c * channels);
#pragma GCC unroll 8
        for (int i = 0; i < KH; ++i)
#pragma GCC unroll 8
          for (int j = 0; j < KW; ++j)
            acc[i][j] += g * load(x + static_cast<std::size_t>(i) * x_row + static_cast<std::size_t>(j) * channels);
      }
    }
    for (std::size_t c = 0; c < s.out_width; ++c) {
      if (all && c >= inside.first && c < inside.last) {
        c = inside.last - 1;
        continue;
      }
      const vec g = load(dy + c * channels);
#pragma GCC unroll 8
      for (int i = 0; i < KH; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < KW; ++j) {
          const std::size_t row = s.input_row(r, kr + static_cast<std::size_t>(i));
          const std::size_t column = s.input_column(c, static_cast<std::size_t>(j));
          if (row != s.in_height && column != s.in_width) acc[i][j] += g * load(d.x + (row * s.in_width + column) * channels + k);
        }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < KH; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < KW; ++j) {
      float* to = d.y + ((kr + static_cast<std::size_t>(i)) * KW + static_cast<std::size_t>(j)) * channels + k;
      store(to, load(to) + acc[i][j]);
    }
}

/// d.x is x [in], d.bias is dy [out], d.y is dw [taps][channels].
inline void depthwise_weights(const Depthwise& d) {
  const WindowShape& s = d.shape;
  const std::size_t channels = s.in_channels;
  const Inside inside{s};
  std::size_t k = 0;
  const bool plain = s.dilation_width == 1;
  const bool three = plain && s.kernel_width == 3;
  if (three || (plain && s.kernel_width == 5))
    for (; k + width <= channels; k += width) {
      if (three && s.kernel_height == 3) {
        depthwise_weights_rows<3, 3>(d, 0, k, inside);
        continue;
      }
      for (std::size_t kr = 0; kr != s.kernel_height; ++kr)
        three ? depthwise_weights_rows<1, 3>(d, kr, k, inside) : depthwise_weights_rows<1, 5>(d, kr, k, inside);
    }
  for (std::size_t r = 0; r != s.out_height && k != channels; ++r)
    for (std::size_t c = 0; c != s.out_width; ++c)
      for (std::size_t tap = 0; tap != s.taps(); ++tap) {
        const std::size_t row = s.input_row(r, tap / s.kernel_width);
        const std::size_t column = s.input_column(c, tap % s.kernel_width);
        if (row == s.in_height || column == s.in_width) continue;
        const float* x = d.x + (row * s.in_width + column) * channels;
        const float* dy = d.bias + (r * s.out_width + c) * channels;
        for (std::size_t j = k; j != channels; ++j) d.y[tap * channels + j] += dy[j] * x[j];
      }
}

// ---- elementwise

inline void add(const float* a, const float* b, float* y, std::size_t n, float low, float high) {
  std::size_t i = 0;
  for (; i + width <= n; i += width) store(y + i, clamped(load(a + i) + load(b + i), splat(low), splat(high)));
  for (; i != n; ++i) y[i] = clamped(a[i] + b[i], low, high);
}

inline void accumulate(float* a, const float* b, std::size_t n) {
  std::size_t i = 0;
  for (; i + width <= n; i += width) store(a + i, load(a + i) + load(b + i));
  for (; i != n; ++i) a[i] += b[i];
}

inline void mask(const float* y, float* g, std::size_t n, float low, float high) {
  std::size_t i = 0;
  for (; i + width <= n; i += width) {
    const vec v = load(y + i);
    const mask_vec open = (v > splat(low)) & (v < splat(high));
    store(g + i, open ? load(g + i) : vec{});
  }
  for (; i != n; ++i) g[i] = y[i] > low && y[i] < high ? g[i] : 0.0F;
}

/// Sums of a stretch of elements, into doubles.
inline void add_up(vec v, double& to) {
  float part[width];
  store(part, v);
  for (const float p : part) to += static_cast<double>(p);
}

inline void threshold_backward(ThresholdBackward& t) {
  constexpr float magic = 12582912.0F;  // 1.5 * 2^23: adding and subtracting it rounds half to even
  constexpr std::size_t stretch = 512;  // vectors whose sums stay floats
  const vec scale = splat(t.codes_per_unit);
  const vec first = splat(t.low_code);
  const vec last = splat(t.high_code);
  const vec one = splat(1.0F);
  const vec low = splat(t.low);
  const vec high = splat(t.high);
  const auto cell = [&](vec x, vec g, vec& through, vec& residue, vec& outside) __attribute__((always_inline)) {
    vec u = x * scale;
    u = u == u ? u : vec{};
    u = clamped(u, first - one, last + one);
    const vec rounded = held(u + splat(magic)) - splat(magic);
    const vec code = clamped(rounded, first, last);
    const mask_vec in = rounded == code;
    through = in ? g : vec{};
    residue += g * (code - (in ? u : vec{}));
    outside += g - through;
    const mask_vec open = (x > low) & (x < high);
    through = open ? through : vec{};
  };
  std::size_t i = 0;
  while (i + width <= t.n) {
    vec residue{}, outside{};
    for (std::size_t left = stretch; left != 0 && i + width <= t.n; --left, i += width) {
      vec through;
      cell(load(t.x + i), load(t.dy + i), through, residue, outside);
      if (t.dx != nullptr) store(t.dx + i, through);
    }
    add_up(residue, t.residue);
    add_up(outside, t.outside);
  }
  if (i == t.n) return;
  vec x{}, g{}, through{}, residue{}, outside{};
  for (std::size_t k = 0; i + k != t.n; ++k) {
    x[k] = t.x[i + k];
    g[k] = t.dy[i + k];
  }
  cell(x, g, through, residue, outside);
  for (std::size_t k = 0; t.dx != nullptr && i + k != t.n; ++k) t.dx[i + k] = through[k];
  add_up(residue, t.residue);
  add_up(outside, t.outside);
}

inline void column_sums(const float* x, std::size_t pixels, std::size_t channels, float scale, float* sums) {
  std::size_t k = 0;
  for (; k + width <= channels; k += width) {
    vec sum{};
    for (std::size_t p = 0; p != pixels; ++p) sum += load(x + p * channels + k);
    store(sums + k, load(sums + k) + sum * splat(scale));
  }
  for (; k != channels; ++k) {
    float sum = 0.0F;
    for (std::size_t p = 0; p != pixels; ++p) sum += x[p * channels + k];
    sums[k] += sum * scale;
  }
}

inline const Table& table() {
  static constexpr Table entries{width,     2 * width,       tile_rows,         packed_size, pack,       multiply,
                                 depthwise, depthwise_input, depthwise_weights, add,         accumulate, mask,
                                 threshold_backward, column_sums};
  return entries;
}
