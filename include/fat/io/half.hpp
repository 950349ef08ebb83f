// Half-precision floats as files store them.
#ifndef FAT_IO_HALF_HPP_INCLUDED
#define FAT_IO_HALF_HPP_INCLUDED

#include <fat/config.hpp>

#include <bit>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// The float equal to an IEEE binary16 given by its bits.
constexpr float half_to_float(std::uint16_t half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

/// The float equal to a bfloat16 given by its bits.
constexpr float bfloat_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

}  // namespace fat::inline FAT_ABI

#endif
