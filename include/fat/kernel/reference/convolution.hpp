// Reference products: matrix product, convolution, depthwise convolution, and the codes made of their sums.
#ifndef FAT_KERNEL_REFERENCE_CONVOLUTION_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_CONVOLUTION_HPP_INCLUDED

#include <fat/kernel/geometry.hpp>
#include <fat/kernel/requantize.hpp>

#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// How int32 sums become codes: code = clamp(zero_point + requantize(sum, multiplier[channel]), low, high).
/// `low` and `high` hold the fused activation. `multipliers` has `channels` entries, or one when per_tensor.
struct OutputStage {
  const FixedPointMultiplier* multipliers = nullptr;
  bool per_tensor = false;
  std::int32_t zero_point = 0;
  std::int32_t low = 0;
  std::int32_t high = 255;
};

namespace reference {

/// C[rows, columns] = A[rows, depth] * B[depth, columns].
template <class A, class B>
void gemm(const A* a, const B* b, std::int32_t* c, std::size_t rows, std::size_t depth, std::size_t columns) {
  for (std::size_t m = 0; m != rows; ++m)
    for (std::size_t n = 0; n != columns; ++n) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k != depth; ++k) sum += std::int32_t{a[m * depth + k]} * b[k * columns + n];
      c[m * columns + n] = sum;
    }
}

/// sums = sum over taps inside the image of (x - x_zero) * (w - w_zero[c]) + bias[c]. x NHWC, w [out, kh, kw, in /
/// groups]. w_zero or bias may be null (zeros).
template <class Code>
void convolution(const Code* x, std::int32_t x_zero, const std::int8_t* w, const std::int32_t* w_zero,
                 const std::int32_t* bias, const Geometry& g, std::int32_t* sums) {
  const std::size_t depth = g.in_channels / g.groups, width = g.out_channels / g.groups;
  for (std::size_t n = 0; n != g.batch; ++n)
    for (std::size_t oy = 0; oy != g.out_height; ++oy)
      for (std::size_t ox = 0; ox != g.out_width; ++ox)
        for (std::size_t c = 0; c != g.out_channels; ++c) {
          std::int32_t sum = bias != nullptr ? bias[c] : 0;
          for (std::size_t ky = 0; ky != g.kernel_height; ++ky)
            for (std::size_t kx = 0; kx != g.kernel_width; ++kx) {
              const std::size_t y = g.in_row(oy, ky), column = g.in_column(ox, kx);
              if (y >= g.in_height || column >= g.in_width) continue;
              const Code* pixel = x + ((n * g.in_height + y) * g.in_width + column) * g.in_channels + c / width * depth;
              const std::int8_t* tap = w + ((c * g.kernel_height + ky) * g.kernel_width + kx) * depth;
              for (std::size_t k = 0; k != depth; ++k)
                sum += (pixel[k] - x_zero) * (tap[k] - (w_zero != nullptr ? w_zero[c] : 0));
            }
          *sums++ = sum;
        }
}

/// As convolution, w [kh, kw, out]; output channel c reads input channel c / (out / in).
template <class Code>
void depthwise(const Code* x, std::int32_t x_zero, const std::int8_t* w, const std::int32_t* w_zero,
               const std::int32_t* bias, const Geometry& g, std::int32_t* sums) {
  const std::size_t multiplier = g.out_channels / g.in_channels;
  for (std::size_t n = 0; n != g.batch; ++n)
    for (std::size_t oy = 0; oy != g.out_height; ++oy)
      for (std::size_t ox = 0; ox != g.out_width; ++ox)
        for (std::size_t c = 0; c != g.out_channels; ++c) {
          std::int32_t sum = bias != nullptr ? bias[c] : 0;
          for (std::size_t ky = 0; ky != g.kernel_height; ++ky)
            for (std::size_t kx = 0; kx != g.kernel_width; ++kx) {
              const std::size_t y = g.in_row(oy, ky), column = g.in_column(ox, kx);
              if (y >= g.in_height || column >= g.in_width) continue;
              const std::size_t at = ((n * g.in_height + y) * g.in_width + column) * g.in_channels + c / multiplier;
              const std::int32_t weight = w[(ky * g.kernel_width + kx) * g.out_channels + c];
              sum += (x[at] - x_zero) * (weight - (w_zero != nullptr ? w_zero[c] : 0));
            }
          *sums++ = sum;
        }
}

/// Codes of `rows` x `channels` sums.
template <class Code, class Rounding = SingleRounding>
void finish(const std::int32_t* sums, std::size_t rows, std::size_t channels, const OutputStage& stage, Code* codes,
            Rounding rounding = {}) {
  for (std::size_t row = 0; row != rows; ++row)
    for (std::size_t c = 0; c != channels; ++c) {
      const std::int32_t sum = sums[row * channels + c];
      const std::int64_t code =
          std::int64_t{stage.zero_point} + requantize(sum, stage.multipliers[stage.per_tensor ? 0 : c], rounding);
      codes[row * channels + c] = static_cast<Code>(code < stage.low    ? stage.low
                                                    : code > stage.high ? stage.high
                                                                        : code);
    }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
