// Scaling: is a real multiplied by codes per unit, or divided by the step? They differ by one ulp, and so at midpoints.
#ifndef FAT_POLICY_SCALING_HPP_INCLUDED
#define FAT_POLICY_SCALING_HPP_INCLUDED

#include <fat/core/scalar.hpp>
#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct ScalingSlot {};

/// u = x * codes_per_unit.
struct MultiplyReciprocal {
  using slot = ScalingSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real x, Real codes_per_unit, Real) const noexcept {
    return x * codes_per_unit;
  }
};

/// u = x / step, as ONNX QuantizeLinear and TensorFlow Lite have it. A dead grid (step 0) gives 0 or NaN, never
/// infinity.
struct Divide {
  using slot = ScalingSlot;
  template <RealScalar Real>
  [[gnu::always_inline]] constexpr Real operator()(Real x, Real, Real step) const noexcept {
    return x / (step == Real{0} ? std::numeric_limits<Real>::infinity() : step);
  }
};

}  // namespace fat::inline FAT_ABI

#endif
