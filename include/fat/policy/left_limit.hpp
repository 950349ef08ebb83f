// Left limit: may training move the left limit of an asymmetric range?
#ifndef FAT_POLICY_LEFT_LIMIT_HPP_INCLUDED
#define FAT_POLICY_LEFT_LIMIT_HPP_INCLUDED

#include <fat/policy/bounds.hpp>

namespace fat::inline FAT_ABI {

struct LeftLimitSlot {};

/// The left limit moves where some observed minimum is negative, and is 0 where none is: the default.
struct ZeroLeftIfNotNegative {
  using slot = LeftLimitSlot;
  static constexpr bool fixed(bool negative_minimum) noexcept { return !negative_minimum; }
  static constexpr Limits limits(const Limits& left) noexcept { return left; }
};

/// alpha_T moves the left limit both ways.
struct FreeLeft {
  using slot = LeftLimitSlot;
  static constexpr bool fixed(bool) noexcept { return false; }
  static constexpr Limits limits(const Limits& left) noexcept { return left; }
};

/// The left limit is 0 and there is no alpha_T: zero padding stays exact. For values that are never negative.
struct ZeroLeft {
  using slot = LeftLimitSlot;
  static constexpr bool fixed(bool) noexcept { return true; }
  static constexpr Limits limits(const Limits& left) noexcept { return left; }
};

/// alpha_T moves the left limit to the right only: the paper's unsigned case to the letter.
struct PaperUnsigned {
  using slot = LeftLimitSlot;
  static constexpr bool fixed(bool) noexcept { return false; }
  static constexpr Limits limits(const Limits& left) noexcept { return {0.0, left.high}; }
};

}  // namespace fat::inline FAT_ABI

#endif
