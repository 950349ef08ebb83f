// Zero-point form: how real 0 sits on the grid of an asymmetric range while its limits are trained (NUMERICS 3).
#ifndef FAT_POLICY_ZERO_POINT_HPP_INCLUDED
#define FAT_POLICY_ZERO_POINT_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct ZeroPointSlot {};

/// Zero point round(-L * S), clipped to the codes: real 0 is always exact. What a Quantizer does, and the default.
struct NudgeZeroPoint {
  using slot = ZeroPointSlot;
  static constexpr bool shifted = false;
  static constexpr bool clipped = true;
};

/// Zero point round(-L * S), which may lie outside the codes: the authors' program.
struct CodeZeroPoint {
  using slot = ZeroPointSlot;
  static constexpr bool shifted = false;
  static constexpr bool clipped = false;
};

/// Code k stands for L + k * step: the paper to the letter. Real 0 is not exact, so zero padding is not either.
struct OffsetZeroPoint {
  using slot = ZeroPointSlot;
  static constexpr bool shifted = true;
  static constexpr bool clipped = false;
};

}  // namespace fat::inline FAT_ABI

#endif
