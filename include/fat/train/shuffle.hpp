// Shuffling that gives the same order on every machine and compiler (std::shuffle does not promise that).
#ifndef FAT_TRAIN_SHUFFLE_HPP_INCLUDED
#define FAT_TRAIN_SHUFFLE_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace fat::inline FAT_ABI {

/// SplitMix64: a 64-bit state, a 64-bit number a call; good enough to draw samples, and portable.
class SplitMix64 {
 public:
  constexpr explicit SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}
  constexpr std::uint64_t operator()() noexcept {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_;
};

/// Puts the values into an order that depends on the seed alone (Fisher-Yates; the modulo bias is below 2^-40 for fewer
/// than 2^24 values).
template <class T>
constexpr void shuffle(std::span<T> values, std::uint64_t seed) noexcept {
  SplitMix64 random{seed};
  for (std::size_t left = values.size(); left > 1; --left)
    std::swap(values[left - 1], values[static_cast<std::size_t>(random() % left)]);
}

}  // namespace fat::inline FAT_ABI

#endif
