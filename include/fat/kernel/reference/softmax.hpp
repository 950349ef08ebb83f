// Reference softmax on codes in fixed point: the arithmetic of TFLite's int8 kernel, bit for bit.
#ifndef FAT_KERNEL_REFERENCE_SOFTMAX_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_SOFTMAX_HPP_INCLUDED

#include <fat/kernel/requantize.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// Scaling of code differences to Q5.26, and the difference below which an exponential counts as 0.
struct SoftmaxStage {
  FixedPointMultiplier multiplier;
  std::int32_t least_difference = 0;

  /// step: of the input codes. Errors: as FixedPointMultiplier.
  static constexpr SoftmaxStage from_step(double step) {
    constexpr double limit = 2147483647.0;
    const double scaled = step * static_cast<double>(1 << 26);
    SoftmaxStage stage{FixedPointMultiplier::from_real(scaled < limit / 2 ? scaled : limit / 2), 0};
    if (stage.multiplier.shift < 0)
      stage = {{}, -256};  // a step below 2^-26: every exponential is 1
    else
      stage.least_difference = -static_cast<std::int32_t>((31LL << 26) >> stage.multiplier.shift);
    return stage;
  }
};

namespace reference {

/// a << shift, saturated.
constexpr std::int32_t saturating_shift(std::int32_t a, int shift) noexcept {
  return saturate_to_int32(static_cast<std::int64_t>(a) * (1LL << shift));
}

/// exp(a) for -1/4 <= a < 0; both Q0.31.
constexpr std::int32_t exp_of_quarter(std::int32_t a) noexcept {
  constexpr std::int32_t exp_of_eighth = 1895147668, third = 715827883;
  const auto multiply = [](std::int32_t l, std::int32_t r) { return rounding_doubling_high_multiply(l, r); };
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = multiply(x, x), x3 = multiply(x2, x), x4 = multiply(x2, x2);
  const std::int32_t tail = multiply(rounding_divide_by_power(x4, 2) + x3, third) + x2;
  return exp_of_eighth + multiply(exp_of_eighth, x + rounding_divide_by_power(tail, 1));
}

/// exp(a) in Q0.31 for a <= 0 in Q5.26.
constexpr std::int32_t exp_of_negative(std::int32_t a) noexcept {
  constexpr std::int32_t quarter = 1 << 24;
  constexpr std::int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  if (a == 0) return std::numeric_limits<std::int32_t>::max();
  const std::int32_t rest = (a & (quarter - 1)) - quarter;
  std::int32_t result = exp_of_quarter(saturating_shift(rest, 5));
  const std::int32_t whole = rest - a;
  for (int bit = 0; bit != 7; ++bit)
    if ((whole & (quarter << bit)) != 0) result = rounding_doubling_high_multiply(result, factors[bit]);
  return result;
}

/// 1 / (1 + a) in Q0.31 for 0 <= a < 1 in Q0.31: three Newton steps.
constexpr std::int32_t reciprocal_of_one_plus(std::int32_t a) noexcept {
  const auto half = static_cast<std::int32_t>((std::int64_t{a} + std::numeric_limits<std::int32_t>::max() + 1) / 2);
  std::int32_t x = 1515870810 + rounding_doubling_high_multiply(half, -1010580540);
  for (int step = 0; step != 3; ++step) {
    const std::int32_t error = (1 << 29) - rounding_doubling_high_multiply(half, x);
    x += saturating_shift(rounding_doubling_high_multiply(x, error), 2);
  }
  return saturating_shift(x, 1);
}

/// Softmax of one row; code 0 of the output is probability 0, its step 1 / 256 (output zero point -128 for int8:
/// `low`).
template <class In, class Out>
void softmax(const In* x, std::size_t size, const SoftmaxStage& stage, std::int32_t low, Out* y) {
  std::int32_t largest = x[0];
  std::uint64_t sum = 0;  // passes 32 bits from 8192 equal codes on
  for (std::size_t i = 1; i != size; ++i) largest = x[i] > largest ? x[i] : largest;
  const auto exponential = [&](std::size_t i) {
    const std::int32_t shifted = saturating_shift(x[i] - largest, stage.multiplier.shift);
    return exp_of_negative(rounding_doubling_high_multiply(shifted, stage.multiplier.mantissa));
  };
  for (std::size_t i = 0; i != size; ++i)
    if (x[i] - largest >= stage.least_difference)
      sum += static_cast<std::uint64_t>(rounding_divide_by_power(exponential(i), 12));
  const int headroom = std::countl_zero(sum) - 32;
  const std::uint64_t normal = headroom < 0 ? sum >> -headroom : sum << headroom;
  const auto fraction = static_cast<std::int32_t>(static_cast<std::uint32_t>(normal) - (1U << 31U));
  const std::int32_t scale = reciprocal_of_one_plus(fraction);
  for (std::size_t i = 0; i != size; ++i) {
    std::int32_t code = 0;
    if (x[i] - largest >= stage.least_difference)
      code = rounding_divide_by_power(rounding_doubling_high_multiply(scale, exponential(i)), 12 - headroom + 31 - 8);
    y[i] = static_cast<Out>((code > 255 ? 255 : code) + low);
  }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
