// Signedness: are codes stored as signed or as unsigned integers?
#ifndef FAT_POLICY_SIGNEDNESS_HPP_INCLUDED
#define FAT_POLICY_SIGNEDNESS_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct SignednessSlot {};

/// Symmetric: codes around 0. Asymmetric: the unsigned codes minus 2^(bits-1), zero point likewise.
struct Signed {
  using slot = SignednessSlot;
  static constexpr bool is_signed = true;
};

/// Codes from 0 to 2^bits - 1. Symmetric: for values that are never negative.
struct Unsigned {
  using slot = SignednessSlot;
  static constexpr bool is_signed = false;
};

}  // namespace fat::inline FAT_ABI

#endif
