// Scheme: is real 0 in the middle of the codes (symmetric), or at a zero point (asymmetric)?
#ifndef FAT_POLICY_SCHEME_HPP_INCLUDED
#define FAT_POLICY_SCHEME_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct SchemeSlot {};

/// One threshold T = max|x|, zero point 0, step T / (largest code).
struct Symmetric {
  using slot = SchemeSlot;
};

/// A left limit and a width, step width / (2^bits - 1), zero point where real 0 falls.
struct Asymmetric {
  using slot = SchemeSlot;
};

}  // namespace fat::inline FAT_ABI

#endif
