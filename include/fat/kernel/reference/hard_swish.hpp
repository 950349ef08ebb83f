// Reference hard-swish on codes: the 16-bit fixed-point arithmetic of TFLite's int8 kernel.
#ifndef FAT_KERNEL_REFERENCE_HARD_SWISH_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_HARD_SWISH_HPP_INCLUDED

#include <fat/kernel/reference/elementwise.hpp>

#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// x * min(max(x / 6 + 1/2, 0), 1): x in 1/128 of the input's step, the middle factor in 3 / 2^15.
struct HardSwishStage {
  FixedPointMultiplier gate, output;
  std::int32_t zero_in = 0, zero_out = 0;
  std::int32_t low = 0, high = 255;

  static constexpr HardSwishStage from_steps(double in_step, double out_step) {
    HardSwishStage stage;
    stage.gate = FixedPointMultiplier::from_real(in_step / 128.0 / (3.0 / 32768.0));
    stage.output = FixedPointMultiplier::from_real(in_step / 128.0 / out_step);
    expects(stage.output.shift <= 0,
            "HardSwishStage: the input's step is more than 128 times the output's; widen the output's range");
    return stage;
  }
};

namespace reference {

constexpr std::int32_t saturate_to_int16(std::int64_t value) noexcept {
  return static_cast<std::int32_t>(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

/// A multiplier's mantissa rounded to 16 bits.
constexpr std::int32_t short_mantissa(FixedPointMultiplier m) noexcept {
  return saturate_to_int16((std::int64_t{m.mantissa} + (1 << 15)) >> 16);
}

/// round(a * b / 2^15), halves up; both in 16 bits.
constexpr std::int32_t short_multiply(std::int32_t a, std::int32_t b) noexcept {
  const std::int32_t product = a * b;
  return saturate_to_int16((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

template <class In, class Out>
void hard_swish(const In* x, std::size_t size, const HardSwishStage& s, Out* y) {
  for (std::size_t i = 0; i != size; ++i) {
    const std::int32_t fine = (x[i] - s.zero_in) * 128;
    const std::int32_t scaled = short_multiply(fine, short_mantissa(s.output));
    std::int32_t gate = fine;
    if (s.gate.shift > 0) gate = saturate_to_int16(std::int64_t{gate} * (1LL << (s.gate.shift - 1)));
    gate = short_multiply(gate, short_mantissa(s.gate));
    if (s.gate.shift > 0) gate = saturate_to_int16(std::int64_t{gate} * 2);
    if (s.gate.shift < 0) gate = rounding_divide_by_power(gate, -s.gate.shift);
    gate = (gate + (1 << 15)) >> 1;
    const std::int32_t product = saturate_to_int16(std::int64_t{gate} * scaled / (1 << 15));
    y[i] = static_cast<Out>(clamp_code(rounding_divide_by_power(product, -s.output.shift), s.zero_out, s.low, s.high));
  }
}

}  // namespace reference
}  // namespace fat::inline FAT_ABI

#endif
