// How a gradient passes a rounding: the GradientEstimator concept and the straight-through estimator.
#ifndef FAT_GRADIENT_STRAIGHT_THROUGH_HPP_INCLUDED
#define FAT_GRADIENT_STRAIGHT_THROUGH_HPP_INCLUDED

#include <fat/core/scalar.hpp>
#include <fat/policy/slot.hpp>

#include <concepts>

namespace fat::inline FAT_ABI {

struct EstimatorSlot {};

/// An estimate e of d(code)/du for code = clip(round(u), low, high). `e(value, u, rounded, code)` returns value * e,
/// where rounded = round(u) and code = clip(rounded). Far outside the range u may be given as the nearest u that rounds
/// there. Laws: linear in value; value * 0 where rounded and code differ by more than 1.
template <class E>
concept GradientEstimator = Fills<E, EstimatorSlot> && std::semiregular<E> && requires(const E e, float x, double y) {
  { e(x, x, x, x) } -> std::same_as<float>;
  { e(y, y, y, y) } -> std::same_as<double>;
};

/// Straight through the rounding, nothing through the clip: 1 where round(u) is a code, else 0. Rounding comes before
/// the comparison, which is closed at both ends: at alpha = 1 the extreme value lies on the bound and must not freeze.
struct StraightThrough {
  using slot = EstimatorSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real value, Real, Real rounded, Real code) const noexcept {
    // A mask, not a condition: compilers move arithmetic into branches, which vectors do not have.
    using Bits = detail::bits_of<Real>;
    const Bits mask = Bits{0} - static_cast<Bits>(rounded == code);
    return __builtin_bit_cast(Real, __builtin_bit_cast(Bits, value) & mask);
  }
};

}  // namespace fat::inline FAT_ABI

#endif
