// Bounds: between which limits trained factors may move.
#ifndef FAT_POLICY_BOUNDS_HPP_INCLUDED
#define FAT_POLICY_BOUNDS_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct BoundsSlot {};

/// Closed limits of one factor.
struct Limits {
  double low = 0.0;
  double high = 1.0;
  template <class Real>
  constexpr bool contain(Real factor) const noexcept {
    return static_cast<Real>(low) <= factor && factor <= static_cast<Real>(high);
  }
  template <class Real>
  constexpr Real clip(Real factor) const noexcept {
    const auto least = static_cast<Real>(low);
    const auto greatest = static_cast<Real>(high);
    return factor < least ? least : factor > greatest ? greatest : factor;
  }
  bool operator==(const Limits&) const = default;
};

/// Limits of every threshold factor: alpha of a symmetric threshold, alpha_T of an asymmetric left limit (a share of
/// the range), alpha_R of an asymmetric width. The defaults are the paper's.
struct ThresholdBounds {
  Limits threshold{0.5, 1.0};
  Limits left{-0.2, 0.4};
  Limits width{0.5, 1.0};
  bool operator==(const ThresholdBounds&) const = default;
};

/// The paper's bounds (equations 12 to 23).
struct PaperBounds {
  using slot = BoundsSlot;
  static constexpr ThresholdBounds value{};
};

/// The bounds of the authors' program: thresholds may grow too.
struct WideBounds {
  using slot = BoundsSlot;
  static constexpr ThresholdBounds value{{0.5, 1.3}, {-0.2, 0.4}, {0.5, 1.3}};
};

}  // namespace fat::inline FAT_ABI

#endif
