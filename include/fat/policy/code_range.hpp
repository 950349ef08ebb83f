// Code range: do signed symmetric codes use the most negative integer?
#ifndef FAT_POLICY_CODE_RANGE_HPP_INCLUDED
#define FAT_POLICY_CODE_RANGE_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct CodeRangeSlot {};

/// Signed symmetric codes from -Q to Q with Q = 2^(bits-1) - 1, as every int8 runtime wants its weights.
struct NarrowRange {
  using slot = CodeRangeSlot;
  static constexpr bool full = false;
};

/// All codes: signed symmetric ones from -2^(bits-1) with the same step. Unsigned and asymmetric codes are always full.
struct FullRange {
  using slot = CodeRangeSlot;
  static constexpr bool full = true;
};

}  // namespace fat::inline FAT_ABI

#endif
