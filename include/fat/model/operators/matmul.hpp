// MatMul: products of two activations, one for each matrix of a stack.
#ifndef FAT_MODEL_OPERATORS_MATMUL_HPP_INCLUDED
#define FAT_MODEL_OPERATORS_MATMUL_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/model/extent.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

namespace fat::inline FAT_ABI {

/// [height, width, channels] are [stack, rows, columns]: A [s, m, k] times B [s, k, n] gives [s, m, n].
struct MatMul {
  static constexpr std::string_view kind = "matmul";
  static constexpr bool moves_only = false;
  static constexpr bool gradient_reads_inputs = true;

  template <class Self, class F>
  static void attributes(Self&, F&&) {}

  Extent extent(std::span<const Extent> in, const Extent&) const {
    expects(in.size() == 2 && in[0].height == in[1].height && in[0].channels == in[1].width,
            "has two inputs [stack, m, k] and [stack, k, n]");
    return {in[0].height, in[0].width, in[1].channels, false};
  }
  void forward(std::span<const Extent> in, const Extent& out, std::span<const float* const> x, float* y) const {
    std::fill_n(y, out.size(), 0.0F);
    for_each(in, [&](std::size_t a, std::size_t b, std::size_t to, std::size_t n) {
      for (std::size_t j = 0; j != n; ++j) y[to + j] += x[0][a] * x[1][b + j];
    });
  }
  void backward(std::size_t which, std::span<const Extent> in, const Extent&, std::span<const float* const> x,
                const float*, const float* dy, float* dx) const {
    for_each(in, [&](std::size_t a, std::size_t b, std::size_t to, std::size_t n) {
      if (which == 1) {
        for (std::size_t j = 0; j != n; ++j) dx[b + j] += x[0][a] * dy[to + j];
        return;
      }
      float sum = 0.0F;
      for (std::size_t j = 0; j != n; ++j) sum += x[1][b + j] * dy[to + j];
      dx[a] += sum;
    });
  }

 private:
  /// f(element of A, first element of a row of B, first element of a row of the output, elements of a row).
  template <class F>
  static void for_each(std::span<const Extent> in, F&& f) {
    const std::size_t m = in[0].width, k = in[0].channels, n = in[1].channels;
    for (std::size_t s = 0; s != in[0].height; ++s)
      for (std::size_t i = 0; i != m; ++i)
        for (std::size_t p = 0; p != k; ++p) f((s * m + i) * k + p, (s * k + p) * n, (s * m + i) * n, n);
  }
};

}  // namespace fat::inline FAT_ABI

#endif
