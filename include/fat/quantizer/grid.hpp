// Grid: one affine int grid as plain numbers, what every quantizer policy comes down to for one interval.
#ifndef FAT_QUANTIZER_GRID_HPP_INCLUDED
#define FAT_QUANTIZER_GRID_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/core/scalar.hpp>
#include <fat/policy/bits.hpp>
#include <fat/policy/rounding.hpp>
#include <fat/policy/scaling.hpp>

#include <cstdint>

namespace fat::inline FAT_ABI {

/// A closed interval of reals. Observers make it, quantizers turn it into a Grid.
template <class Real>
struct Interval {
  Real low{};
  Real high{};
  bool operator==(const Interval&) const = default;
};

/// real = step * (code - zero_point), code_min <= code <= code_max; codes_per_unit = 1 / step, rounded on its own.
/// A dead grid (zero range) has codes_per_unit == 0 and step == 0: every real becomes the zero point.
template <class Real>
struct Grid {
  Real codes_per_unit{};
  Real step{};
  std::int32_t zero_point = 0;
  std::int32_t code_min = 0;
  std::int32_t code_max = 0;
  constexpr bool dead() const noexcept { return step == Real{0}; }
  bool operator==(const Grid&) const = default;
};

/// The integers of a grid, known before any data: the smallest and largest code, and how many steps span the threshold
/// (symmetric: Q, the largest magnitude) or the width (asymmetric: N = 2^bits - 1).
struct Codes {
  std::int32_t min = -127;
  std::int32_t max = 127;
  std::int32_t steps = 127;
  bool operator==(const Codes&) const = default;
};

/// Codes of a symmetric grid (NUMERICS 1). Errors: bits other than 2 to 8 and 16.
constexpr Codes symmetric_codes(int bits, bool is_signed, bool full_range = false) {
  expects(valid_bits(bits), "symmetric_codes: ", bits, " bits; choose 2 to 8, or 16");
  if (!is_signed) return {0, (1 << bits) - 1, (1 << bits) - 1};
  const std::int32_t largest = (1 << (bits - 1)) - 1;
  return {full_range ? -largest - 1 : -largest, largest, largest};
}

/// Codes of an asymmetric grid (NUMERICS 3): 0..N, or the same minus 2^(bits-1).
constexpr Codes asymmetric_codes(int bits, bool is_signed) {
  expects(valid_bits(bits), "asymmetric_codes: ", bits, " bits; choose 2 to 8, or 16");
  const std::int32_t largest = (1 << bits) - 1;
  const std::int32_t shift = is_signed ? 1 << (bits - 1) : 0;
  return {-shift, largest - shift, largest};
}

namespace detail {

/// a / b rounded once, also where the compiler may otherwise multiply by a reciprocal.
template <RealScalar Real>
[[gnu::always_inline]] constexpr Real divide(Real a, Real b) noexcept {
#if defined(__FAST_MATH__)
  if (!__builtin_is_constant_evaluated()) {
    asm("" : "+m"(a));
    asm("" : "+m"(b));
  }
#endif
  return a / b;
}

/// A grid of `steps` steps over an extent; dead where the extent is zero or the codes per unit overflow. No epsilon.
/// Errors: an infinite extent.
template <RealScalar Real>
constexpr Grid<Real> grid_over(Real extent, const Codes& codes) {
  const auto steps = static_cast<Real>(codes.steps);
  expects(is_finite(extent) || is_nan(extent),
          "grid: the limits lie further apart than the type of the reals can say; divide the tensor by a constant");
  if (!(extent > Real{0})) return {Real{0}, Real{0}, 0, codes.min, codes.max};
  const Real codes_per_unit = divide(steps, extent);
  if (!is_finite(codes_per_unit)) return {Real{0}, Real{0}, 0, codes.min, codes.max};
  return {codes_per_unit, divide(extent, steps), 0, codes.min, codes.max};
}

}  // namespace detail

/// Symmetric grid of a threshold T >= 0: step T/Q, zero point 0 (NUMERICS 1). A threshold of 0 gives a dead grid.
/// Errors: an infinite one.
template <RealScalar Real>
constexpr Grid<Real> symmetric_grid(Real threshold, const Codes& codes) {
  return detail::grid_over(threshold, codes);
}

/// Asymmetric grid over [left, left + width]: step width/N, zero point clip(round(-left * S)) (NUMERICS 3, nudge).
/// Real 0 is always a code. A width of 0 gives a dead grid. Errors: an infinite one.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real>
constexpr Grid<Real> asymmetric_grid(Real left, Real width, const Codes& codes) {
  Grid<Real> grid = detail::grid_over(width, codes);
  const auto steps = static_cast<Real>(codes.steps);
  const Real u = grid.dead() ? Real{0} : Scaling{}(-left, grid.codes_per_unit, grid.step);
  const Real inside = u < Real{0} ? Real{0} : u > steps ? steps : u;
  grid.zero_point = codes.min + static_cast<std::int32_t>(Rounding{}(inside));
  return grid;
}

/// T = max(|low|, |high|), the threshold of a symmetric grid that covers the interval.
template <RealScalar Real>
constexpr Real threshold_of(const Interval<Real>& range) noexcept {
  const Real low = range.low < Real{0} ? -range.low : range.low;
  const Real high = range.high < Real{0} ? -range.high : range.high;
  return low > high ? low : high;
}

/// The least interval that holds the given one and 0, so that 0 is a code of an asymmetric grid.
template <RealScalar Real>
constexpr Interval<Real> with_zero(const Interval<Real>& range) noexcept {
  return {range.low < Real{0} ? range.low : Real{0}, range.high > Real{0} ? range.high : Real{0}};
}

/// round(clip(x * S)) without the zero point: the one place where a real becomes an integer. NaN becomes 0, infinities
/// the end codes. low = code_min - zero_point, high = code_max - zero_point. The clip between the product and the
/// rounding also keeps compilers from contracting them into one fused operation.
template <class Rounding, class Scaling, RealScalar Real>
[[gnu::always_inline]] constexpr Real centered_code(Real x, Real codes_per_unit, Real step, Real low,
                                                    Real high) noexcept {
  Real u = Scaling{}(x, codes_per_unit, step);
  u = is_nan(u) ? Real{0} : u;
  u = u < low ? low : u;
  u = u > high ? high : u;
  return Rounding{}(u);
}

/// One real to one code.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, RealScalar Real>
constexpr std::int32_t quantize_one(Real x, const Grid<Real>& grid) noexcept {
  const Real centered = centered_code<Rounding, Scaling>(x, grid.codes_per_unit, grid.step,
                                                         static_cast<Real>(grid.code_min - grid.zero_point),
                                                         static_cast<Real>(grid.code_max - grid.zero_point));
  return static_cast<std::int32_t>(centered) + grid.zero_point;
}

/// One code to one real.
template <RealScalar Real>
constexpr Real dequantize_one(std::int32_t code, const Grid<Real>& grid) noexcept {
  return static_cast<Real>(code - grid.zero_point) * grid.step;
}

}  // namespace fat::inline FAT_ABI

#endif
