// Requantization: int32 accumulators to codes by a fixed-point multiplier, with the rounding as a policy (NUMERICS 9).
#ifndef FAT_KERNEL_REQUANTIZE_HPP_INCLUDED
#define FAT_KERNEL_REQUANTIZE_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace fat::inline FAT_ABI {

/// real = mantissa * 2^(shift - 31); mantissa is 0 or in [2^30, 2^31), shift in [-31, 30].
struct FixedPointMultiplier {
  std::int32_t mantissa = 0;
  int shift = 0;

  /// The nearest multiplier, halves of the mantissa away from zero; below 2^-32 it is 0. Works on the bits of `real`.
  /// Errors: negative, NaN, infinite, or 2^30 and more.
  static constexpr FixedPointMultiplier from_real(double real) {
    constexpr std::uint64_t infinity = 0x7FFULL << 52U;
    const auto bits = std::bit_cast<std::uint64_t>(real);
    expects(bits == 1ULL << 63U || bits < infinity,
            "FixedPointMultiplier: the multiplier is negative, infinite or NaN; check the steps it is made of");
    const int exponent = static_cast<int>(bits >> 52U & 0x7FFU) - 1022;
    if (exponent < -31) return {};
    expects(exponent <= 30, "FixedPointMultiplier: the multiplier is 2^30 or more; the steps it is made of do not fit");
    const std::uint64_t fraction = (bits & ((1ULL << 52U) - 1U)) | 1ULL << 52U;
    const std::uint64_t mantissa = (fraction + (1ULL << 21U)) >> 22U;
    if (mantissa == 1ULL << 31U && exponent < 30) return {1 << 30, exponent + 1};
    return {static_cast<std::int32_t>(mantissa < (1ULL << 31U) ? mantissa : (1ULL << 31U) - 1U), exponent};
  }

  /// The real number it stands for.
  constexpr double real() const {
    const double power = std::bit_cast<double>(static_cast<std::uint64_t>(shift - 31 + 1023) << 52U);
    return static_cast<double>(mantissa) * power;
  }
  constexpr bool operator==(const FixedPointMultiplier&) const = default;
};

/// Multiplies, rounds to a multiple of 2^-31, then divides and rounds again: gemmlowp and TFLite's built-in kernels.
struct DoubleRounding {};
/// One rounding of the exact product, halves up. The default.
struct SingleRounding {};
/// One rounding of the exact product, halves to even: what ONNX's QuantizeLinear says.
struct SingleHalfEven {};
/// Product in float, rounded half to even: XNNPACK, FBGEMM.
struct FloatHalfEven {};
/// Product in double, rounded half to even: the nearest thing to exact.
struct DoubleHalfEven {};

/// Clamps to the range of int32.
constexpr std::int32_t saturate_to_int32(std::int64_t value) noexcept {
  if (value > std::numeric_limits<std::int32_t>::max()) return std::numeric_limits<std::int32_t>::max();
  if (value < std::numeric_limits<std::int32_t>::min()) return std::numeric_limits<std::int32_t>::min();
  return static_cast<std::int32_t>(value);
}

/// round(a * b / 2^31), halves up; -2^31 * -2^31 saturates.
constexpr std::int32_t rounding_doubling_high_multiply(std::int32_t a, std::int32_t b) noexcept {
  const std::int64_t product = static_cast<std::int64_t>(a) * b;
  const std::int64_t nudge = product >= 0 ? 1LL << 30 : 1 - (1LL << 30);
  return saturate_to_int32((product + nudge) / (1LL << 31));
}

/// round(value / 2^exponent), halves away from zero; 0 <= exponent <= 31.
constexpr std::int32_t rounding_divide_by_power(std::int32_t value, int exponent) noexcept {
  const std::int64_t half = exponent == 0 ? std::int64_t{0} : std::int64_t{1} << (exponent - 1);
  const std::int64_t magnitude = value < 0 ? -static_cast<std::int64_t>(value) : value;
  const std::int64_t quotient = (magnitude + half) >> exponent;
  return saturate_to_int32(value < 0 ? -quotient : quotient);
}

/// value * multiplier to the nearest integer, halves up, saturated to int32.
constexpr std::int32_t requantize(std::int32_t value, FixedPointMultiplier multiplier, SingleRounding) noexcept {
  const int right = 31 - multiplier.shift;
  const std::int64_t product = static_cast<std::int64_t>(value) * multiplier.mantissa;
  return saturate_to_int32((product + (1LL << (right - 1))) >> right);
}

/// value * multiplier to the nearest integer, halves to even, saturated to int32: halves up, less one where the exact
/// product is a half and the integer below it even.
constexpr std::int32_t requantize(std::int32_t value, FixedPointMultiplier multiplier, SingleHalfEven) noexcept {
  const int right = 31 - multiplier.shift;
  const std::int64_t product = static_cast<std::int64_t>(value) * multiplier.mantissa;
  const std::int64_t odd = (product >> right) & 1;
  return saturate_to_int32((product + (1LL << (right - 1)) - 1 + odd) >> right);
}

/// value * multiplier, rounded twice: to a multiple of 2^-31 of the shifted value, then by the right shift. A left
/// shift past int32 wraps, as in the runtimes that round so.
constexpr std::int32_t requantize(std::int32_t value, FixedPointMultiplier multiplier, DoubleRounding) noexcept {
  const int left = multiplier.shift > 0 ? multiplier.shift : 0;
  const auto shifted = static_cast<std::int32_t>(static_cast<std::uint32_t>(value) << left);
  const std::int32_t high = rounding_doubling_high_multiply(shifted, multiplier.mantissa);
  return rounding_divide_by_power(high, left - multiplier.shift);
}

namespace requantize_detail {
/// The nearest integer of a real, halves to even, saturated to int32; exact for every real.
template <class Real>
constexpr std::int32_t nearest_even(Real value) noexcept {
  constexpr Real limit = static_cast<Real>(1LL << 31);
  if (!(value < limit)) return std::numeric_limits<std::int32_t>::max();
  if (value <= -limit) return std::numeric_limits<std::int32_t>::min();
  auto whole = static_cast<std::int64_t>(value);
  if (static_cast<Real>(whole) > value) --whole;
  const Real rest = value - static_cast<Real>(whole);
  if (rest > Real(0.5) || (rest == Real(0.5) && whole % 2 != 0)) ++whole;
  return saturate_to_int32(whole);
}
}  // namespace requantize_detail

/// fl32(fl32(value) * fl32(multiplier)) rounded half to even, saturated to int32.
constexpr std::int32_t requantize(std::int32_t value, double multiplier, FloatHalfEven) noexcept {
  return requantize_detail::nearest_even(static_cast<float>(value) * static_cast<float>(multiplier));
}
constexpr std::int32_t requantize(std::int32_t value, FixedPointMultiplier multiplier, FloatHalfEven rule) noexcept {
  return requantize(value, multiplier.real(), rule);
}

/// value * multiplier in double, rounded half to even, saturated to int32.
constexpr std::int32_t requantize(std::int32_t value, double multiplier, DoubleHalfEven) noexcept {
  return requantize_detail::nearest_even(static_cast<double>(value) * multiplier);
}

/// requantize with the default, SingleRounding.
constexpr std::int32_t requantize(std::int32_t value, FixedPointMultiplier multiplier) noexcept {
  return requantize(value, multiplier, SingleRounding{});
}

/// Which rounding the requantizations of a whole network take, operator by operator (model/requantization.hpp):
/// SingleRounding everywhere; SingleHalfEven everywhere; what LiteRT's reference kernels do.
enum class Requantization { half_up, half_even, tflite };

/// The word for it on the command line and in files.
constexpr std::string_view name_of(Requantization how) noexcept {
  return how == Requantization::half_up ? "half-up" : how == Requantization::half_even ? "half-even" : "tflite";
}
/// The choice of that name, or nothing.
constexpr std::optional<Requantization> requantization_named(std::string_view name) noexcept {
  for (const Requantization how : {Requantization::half_up, Requantization::half_even, Requantization::tflite})
    if (name == name_of(how)) return how;
  return std::nullopt;
}

/// The policy of one operator's requantizations as a value: SingleRounding, SingleHalfEven, DoubleRounding.
enum class ProductRounding { once_up, once_even, twice };

/// Calls f with the policy.
template <class Function>
constexpr decltype(auto) with_rounding(ProductRounding rounding, Function f) {
  if (rounding == ProductRounding::once_even) return f(SingleHalfEven{});
  return rounding == ProductRounding::twice ? f(DoubleRounding{}) : f(SingleRounding{});
}

/// Whether value * multiplier can be a half for any |value| <= largest: only there do halves up and to even differ.
/// An exact half is an odd multiple of 2^(30 - shift), and the mantissa gives so many of its factors 2 as it has.
constexpr bool has_halves(FixedPointMultiplier multiplier, std::int64_t largest) noexcept {
  if (multiplier.mantissa == 0) return false;
  const int missing = 30 - multiplier.shift - std::countr_zero(static_cast<std::uint32_t>(multiplier.mantissa));
  return missing >= 0 && missing < 62 && std::int64_t{1} << missing <= largest;
}

/// How a mean of codes that stays on their grid is rounded (average pools, bilinear resizes): to the nearest code,
/// halves away from the code `origin`, or to the one that is an even number of codes from it.
struct MeanRounding {
  std::int32_t origin = 0;
  bool to_even = false;
  bool operator==(const MeanRounding&) const = default;
};

/// sum / count to the nearest integer, halves away from zero; count > 0, |sum| + count / 2 in range.
template <std::signed_integral Int>
constexpr Int mean_half_away(Int sum, Int count) noexcept {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}
/// The same, halves to even; 2 * count in range.
template <std::signed_integral Int>
constexpr Int mean_half_even(Int sum, Int count) noexcept {
  const Int whole = sum / count - (sum % count < 0 ? 1 : 0), twice_rest = 2 * (sum - whole * count);
  return whole + (twice_rest > count || (twice_rest == count && whole % 2 != 0) ? 1 : 0);
}

}  // namespace fat::inline FAT_ABI

#endif
