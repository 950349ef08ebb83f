// Bits: how many bits a code has.
#ifndef FAT_POLICY_BITS_HPP_INCLUDED
#define FAT_POLICY_BITS_HPP_INCLUDED

#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct BitsSlot {};

/// Can codes have this many bits? 2 to 8, and 16 (for activations).
constexpr bool valid_bits(int bits) noexcept { return (bits >= 2 && bits <= 8) || bits == 16; }

/// Codes of N bits, stored in 8 bits (N <= 8) or in 16.
template <int N>
struct Bits {
  static_assert(valid_bits(N), "fat::Bits<N>: N is 2 to 8, or 16");
  using slot = BitsSlot;
  static constexpr int bits = N;
};

}  // namespace fat::inline FAT_ABI

#endif
