// Rounding: which integer a real becomes, above all when it lies in the middle between two.
#ifndef FAT_POLICY_ROUNDING_HPP_INCLUDED
#define FAT_POLICY_ROUNDING_HPP_INCLUDED

#include <fat/core/scalar.hpp>
#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct RoundingSlot {};

/// A user's own rounding models this too. Laws: monotone; integers stay; |p(u) - u| < 1. Called with |u| <= 2^17.
template <class P>
concept RoundingPolicy = Fills<P, RoundingSlot> && requires(const P round, float x, double y) {
  { round(x) } -> std::same_as<float>;
  { round(y) } -> std::same_as<double>;
};

/// The nearest integer, from the middle to the even one: std::nearbyint, ONNX, torch. Precondition: |u| <= 2^22.
/// Adding 1.5 * 2^(digits-1) leaves no bits for a fraction, so the sum is rounded by the processor: vectorises
/// everywhere.
struct HalfToEven {
  using slot = RoundingSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real u) const noexcept {
#if defined(__FAST_MATH__)
    if (!__builtin_is_constant_evaluated()) {
      if constexpr (sizeof(Real) == 4)
        return __builtin_rintf(u) + Real{0};
      else
        return __builtin_rint(u) + Real{0};
    }
#endif
    constexpr Real magic = sizeof(Real) == 4 ? Real{12582912} : Real{6755399441055744};
    return (u + magic) - magic;
  }
};

/// The nearest integer, from the middle away from zero: C round, TensorFlow Lite.
struct HalfAwayFromZero {
  using slot = RoundingSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real u) const noexcept {
    const Real even = HalfToEven{}(u);
    const Real rest = u - even;  // exact: a multiple of the last bit of u
    const Real up = (rest == Real{0.5} && u > Real{0}) ? Real{1} : Real{0};
    const Real down = (rest == Real{-0.5} && u < Real{0}) ? Real{1} : Real{0};
    return even + (up - down);
  }
};

/// The nearest integer, from the middle upwards: TensorFlow FakeQuant. 0.49999997 gives 0, which floor(u + 0.5) does
/// not.
struct HalfUp {
  using slot = RoundingSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real u) const noexcept {
    const Real even = HalfToEven{}(u);
    return even + (u - even == Real{0.5} ? Real{1} : Real{0});
  }
};

}  // namespace fat::inline FAT_ABI

#endif
