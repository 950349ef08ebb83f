// Biases as 32-bit codes of the accumulator's step, and the guard against those that do not fit.
#ifndef FAT_QUANTIZER_BIAS_HPP_INCLUDED
#define FAT_QUANTIZER_BIAS_HPP_INCLUDED

#include <fat/core/tensor.hpp>
#include <fat/quantizer/grid.hpp>

#include <cstdint>

namespace fat::inline FAT_ABI {

/// The largest bias code; symmetric, so that the most negative int32 never occurs.
inline constexpr double largest_bias_code = 2147483647.0;

/// clip(round(bias * codes_per_unit)) in double, codes_per_unit = S_input * S_weight (NUMERICS 5). NaN becomes 0.
template <RoundingPolicy Rounding = HalfToEven>
constexpr std::int32_t quantize_bias_one(double bias, double codes_per_unit) noexcept {
  return static_cast<std::int32_t>(
      centered_code<Rounding, MultiplyReciprocal>(bias, codes_per_unit, 0.0, -largest_bias_code, largest_bias_code));
}

/// Codes of a bias vector whose accumulator has step input_step * weight_steps[c]. weight_steps has one entry for each
/// bias, or one for all. Errors: another number of entries; a step that is not positive (Params::scale always is).
template <RoundingPolicy Rounding = HalfToEven, RealTensor B, RealTensor S>
array<std::int32_t> quantize_bias(const B& bias, double input_step, const S& weight_steps) {
  const std::size_t count = size_of(bias);
  expects(size_of(weight_steps) == count || size_of(weight_steps) == 1, "quantize_bias: ", count, " biases but ",
          size_of(weight_steps), " weight steps; give one step for each bias, or one");
  array<std::int32_t> codes{Shape{count}};
  auto value = traits_of<B>::begin(bias);
  auto step = traits_of<S>::begin(weight_steps);
  for (std::size_t c = 0; c != count; ++c, ++value) {
    const double accumulator_step = input_step * static_cast<double>(*step);
    expects(accumulator_step > 0.0, "quantize_bias: the step of channel ", c, " is ", accumulator_step,
            "; a dead channel takes the step of a live one");
    codes[c] = quantize_bias_one<Rounding>(static_cast<double>(*value), 1.0 / accumulator_step);
    if (size_of(weight_steps) != 1) ++step;
  }
  return codes;
}

/// The least weight step under which |bias| takes at most half of the bias codes, what is left being for the sums; the
/// step itself where that is larger (NUMERICS 5; the rule of the TensorFlow Lite converter: raised where |b| >= 0.5 *
/// step_input * step_weight * (2^31 - 1)).
constexpr double safe_weight_step(double bias, double input_step, double weight_step) noexcept {
  const double magnitude = bias < 0.0 ? -bias : bias;
  const double least = 2.0 * magnitude / (largest_bias_code * input_step);
  return least >= weight_step ? least : weight_step;
}

}  // namespace fat::inline FAT_ABI

#endif
