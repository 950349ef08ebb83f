// Reference element-wise operators on codes: requantize, add, multiply (TFLite's integer forms).
#ifndef FAT_KERNEL_REFERENCE_ELEMENTWISE_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_ELEMENTWISE_HPP_INCLUDED

#include <fat/kernel/requantize.hpp>

#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// code = clamp(zero_out + requantize(code - zero_in, multiplier), low, high), multiplier = step in / step out.
struct RequantizeStage {
  FixedPointMultiplier multiplier;
  std::int32_t zero_in = 0, zero_out = 0;
  std::int32_t low = 0, high = 255;
};

/// sum = requantize((a - a_zero) << 20, a_multiplier) + requantize((b - b_zero) << 20, b_multiplier);
/// code = clamp(zero_out + requantize(sum, multiplier), low, high).
struct AddStage {
  static constexpr int left_shift = 20;
  FixedPointMultiplier a_multiplier, b_multiplier, multiplier;
  std::int32_t a_zero = 0, b_zero = 0, zero_out = 0;
  std::int32_t low = 0, high = 255;

  /// The multipliers of the three steps: relative to twice the larger input step, so that the sum fits int32.
  static constexpr AddStage from_steps(double a_step, double b_step, double out_step) {
    const double twice = 2.0 * (a_step > b_step ? a_step : b_step);
    AddStage stage;
    stage.a_multiplier = FixedPointMultiplier::from_real(a_step / twice);
    stage.b_multiplier = FixedPointMultiplier::from_real(b_step / twice);
    stage.multiplier = FixedPointMultiplier::from_real(twice / (static_cast<double>(1 << left_shift) * out_step));
    return stage;
  }
};

/// code = clamp(zero_out + requantize((a - a_zero) * (b - b_zero), multiplier), low, high),
/// multiplier = a step * b step / step out.
struct MultiplyStage {
  FixedPointMultiplier multiplier;
  std::int32_t a_zero = 0, b_zero = 0, zero_out = 0;
  std::int32_t low = 0, high = 255;
};

namespace reference {

/// zero_point + value, held between low and high.
constexpr std::int32_t clamp_code(std::int32_t value, std::int32_t zero_point, std::int32_t low,
                                  std::int32_t high) noexcept {
  const std::int64_t code = std::int64_t{value} + zero_point;
  return code < low ? low : code > high ? high : static_cast<std::int32_t>(code);
}

/// Codes on another grid.
template <class In, class Out, class Rounding = SingleRounding>
void requantize(const In* x, std::size_t size, const RequantizeStage& s, Out* y, Rounding rounding = {}) {
  for (std::size_t i = 0; i != size; ++i)
    y[i] = static_cast<Out>(
        clamp_code(fat::requantize(x[i] - s.zero_in, s.multiplier, rounding), s.zero_out, s.low, s.high));
}

/// Sum of a[size] and b[b_size] repeated; b_size divides size.
template <class A, class B, class Out, class Rounding = SingleRounding>
void add(const A* a, const B* b, std::size_t size, std::size_t b_size, const AddStage& s, Out* y,
         Rounding rounding = {}) {
  for (std::size_t i = 0; i != size; ++i) {
    const std::int32_t left =
        fat::requantize((a[i] - s.a_zero) * (1 << AddStage::left_shift), s.a_multiplier, rounding);
    const std::int32_t right =
        fat::requantize((b[i % b_size] - s.b_zero) * (1 << AddStage::left_shift), s.b_multiplier, rounding);
    y[i] =
        static_cast<Out>(clamp_code(fat::requantize(left + right, s.multiplier, rounding), s.zero_out, s.low, s.high));
  }
}

/// Product of a[size] and b[b_size] repeated; b_size divides size.
template <class A, class B, class Out, class Rounding = SingleRounding>
void multiply(const A* a, const B* b, std::size_t size, std::size_t b_size, const MultiplyStage& s, Out* y,
              Rounding rounding = {}) {
  for (std::size_t i = 0; i != size; ++i) {
    const std::int32_t product = (a[i] - s.a_zero) * (b[i % b_size] - s.b_zero);
    y[i] = static_cast<Out>(clamp_code(fat::requantize(product, s.multiplier, rounding), s.zero_out, s.low, s.high));
  }
}

/// Joins blocks: row r of the output is row r of `x` (width `in`) at offset `at` of rows of width `out`.
/// Codes are taken to the output's grid.
template <class In, class Out, class Rounding = SingleRounding>
void concat(const In* x, std::size_t rows, std::size_t in, std::size_t out, std::size_t at, const RequantizeStage& s,
            Out* y, Rounding rounding = {}) {
  for (std::size_t row = 0; row != rows; ++row) requantize(x + row * in, in, s, y + row * out + at, rounding);
}

/// Pads one image [height, width, channels] by `value`.
template <class Code>
void pad(const Code* x, std::size_t height, std::size_t width, std::size_t channels, std::size_t top, std::size_t left,
         std::size_t out_height, std::size_t out_width, Code value, Code* y) {
  for (std::size_t oy = 0; oy != out_height; ++oy)
    for (std::size_t ox = 0; ox != out_width; ++ox)
      for (std::size_t c = 0; c != channels; ++c) {
        const bool inside = oy - top < height && ox - left < width;
        *y++ = inside ? x[((oy - top) * width + ox - left) * channels + c] : value;
      }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
