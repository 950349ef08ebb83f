// Projection: what happens to a trained factor that an optimizer moved out of its bounds.
#ifndef FAT_POLICY_PROJECTION_HPP_INCLUDED
#define FAT_POLICY_PROJECTION_HPP_INCLUDED

#include <fat/policy/bounds.hpp>

namespace fat::inline FAT_ABI {

struct ProjectionSlot {};

/// project() moves the stored factor back to the bound, where its gradient still flows.
struct Project {
  using slot = ProjectionSlot;
  template <class Real>
  static constexpr Real apply(Real factor, const Limits& limits) noexcept {
    return limits.clip(factor);
  }
};

/// project() leaves the stored factor alone: the paper to the letter. A factor beyond a bound has no gradient and may
/// never come back (NUMERICS 2, the clip trap).
struct ClipOnly {
  using slot = ProjectionSlot;
  template <class Real>
  static constexpr Real apply(Real factor, const Limits&) noexcept {
    return factor;
  }
};

}  // namespace fat::inline FAT_ABI

#endif
