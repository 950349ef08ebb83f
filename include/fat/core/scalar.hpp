// Which scalars the library computes with, and the few bit-level facts about them that no compiler flag can change.
#ifndef FAT_CORE_SCALAR_HPP_INCLUDED
#define FAT_CORE_SCALAR_HPP_INCLUDED

#include <fat/config.hpp>

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace fat::inline FAT_ABI {

/// Real numbers a quantizer computes in: float (what runs) or double (what checks it).
template <class T>
concept RealScalar = std::same_as<T, float> || std::same_as<T, double>;

/// Integers that hold codes. 32 bits is enough for every grid (at most 16 bits) and for biases.
template <class T>
concept CodeScalar = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t> || std::same_as<T, std::int16_t> ||
    std::same_as<T, std::uint16_t> || std::same_as<T, std::int32_t>;

namespace detail {

template <RealScalar Real>
using bits_of = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

template <RealScalar Real>
inline constexpr bits_of<Real> infinity_bits = __builtin_bit_cast(bits_of<Real>, std::numeric_limits<Real>::infinity());

template <RealScalar Real>
[[gnu::always_inline]] constexpr bits_of<Real> magnitude_bits(Real x) noexcept {
  return __builtin_bit_cast(bits_of<Real>, x) & (static_cast<bits_of<Real>>(-1) >> 1U);
}

}  // namespace detail

/// True for NaN; decided on the bits where the compiler may assume that there is none.
template <RealScalar Real>
[[gnu::always_inline]] constexpr bool is_nan(Real x) noexcept {
#if defined(__FAST_MATH__)
  return detail::magnitude_bits(x) > detail::infinity_bits<Real>;
#else
  return x != x;
#endif
}

/// False for NaN and infinities, decided on the bits.
template <RealScalar Real>
[[gnu::always_inline]] constexpr bool is_finite(Real x) noexcept {
  return detail::magnitude_bits(x) < detail::infinity_bits<Real>;
}

}  // namespace fat::inline FAT_ABI

#endif
