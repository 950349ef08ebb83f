// Included before everything else by tests that run x86 kernels on any processor: their intrinsics are SIMDe's plain loops.
#ifndef FAT_TESTS_SUPPORT_EMULATED_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_EMULATED_HPP_INCLUDED

#include <random>  // includes intrinsics of its own on some targets

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <simde/x86/avx512.h>
#pragma GCC diagnostic pop

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

// What this SIMDe lacks or has with another number of arguments, lane by lane as Intel's manual defines it. The kernels
// always set every bit of a mask.
#define __mmask16 simde__mmask16
#define __mmask8 simde__mmask8
#undef _mm512_madd_epi16

namespace fat_emulated {

template <class Lane, class Vector>
std::array<Lane, sizeof(Vector) / sizeof(Lane)> lanes(const Vector& v) {
  std::array<Lane, sizeof(Vector) / sizeof(Lane)> all;
  std::memcpy(all.data(), &v, sizeof(v));
  return all;
}
template <class Vector, class Lanes>
Vector vector(const Lanes& all) {
  Vector v;
  static_assert(sizeof(v) == sizeof(all));
  std::memcpy(&v, all.data(), sizeof(v));
  return v;
}
/// function(lane, lane of b) for every lane.
template <class Lane, class Function>
simde__m512i each(simde__m512i a, simde__m512i b, Function function) {
  auto x = lanes<Lane>(a);
  const auto y = lanes<Lane>(b);
  for (std::size_t i = 0; i != x.size(); ++i) x[i] = function(x[i], y[i]);
  return vector<simde__m512i>(x);
}
template <class Byte>
simde__m512i widened(simde__m128i bytes) {
  const auto from = lanes<Byte>(bytes);
  std::array<std::int32_t, 16> to;
  for (std::size_t i = 0; i != to.size(); ++i) to[i] = from[i];
  return vector<simde__m512i>(to);
}

}  // namespace fat_emulated

inline simde__m512i _mm512_maskz_srli_epi64(simde__mmask8, simde__m512i a, unsigned shift) {
  return fat_emulated::each<std::uint64_t>(a, a, [=](std::uint64_t x, std::uint64_t) { return x >> shift; });
}
inline simde__m512i _mm512_maskz_slli_epi32(simde__mmask16, simde__m512i a, unsigned shift) {
  return fat_emulated::each<std::uint32_t>(a, a, [=](std::uint32_t x, std::uint32_t) { return x << shift; });
}
inline simde__m512i _mm512_maskz_sllv_epi32(simde__mmask16, simde__m512i a, simde__m512i b) {
  return fat_emulated::each<std::uint32_t>(a, b, [](std::uint32_t x, std::uint32_t n) { return n > 31 ? 0 : x << n; });
}
inline simde__m512i _mm512_maskz_srav_epi32(simde__mmask16, simde__m512i a, simde__m512i b) {
  return fat_emulated::each<std::int32_t>(
      a, b, [](std::int32_t x, std::int32_t n) { return x >> (n < 0 || n > 31 ? 31 : n); });
}
inline simde__m512i _mm512_maskz_cvtepi8_epi32(simde__mmask16, simde__m128i a) {
  return fat_emulated::widened<std::int8_t>(a);
}
inline simde__m512i _mm512_maskz_cvtepu8_epi32(simde__mmask16, simde__m128i a) {
  return fat_emulated::widened<std::uint8_t>(a);
}
inline simde__m128i _mm512_maskz_cvtepi32_epi8(simde__mmask16, simde__m512i a) {
  const auto from = fat_emulated::lanes<std::uint32_t>(a);
  std::array<std::uint8_t, 16> to;
  for (std::size_t i = 0; i != to.size(); ++i) to[i] = static_cast<std::uint8_t>(from[i]);
  return fat_emulated::vector<simde__m128i>(to);
}
inline simde__m512i _mm512_madd_epi16(simde__m512i a, simde__m512i b) {
  const auto x = fat_emulated::lanes<std::int16_t>(a), y = fat_emulated::lanes<std::int16_t>(b);
  std::array<std::uint32_t, 16> to;
  for (std::size_t i = 0; i != to.size(); ++i)
    to[i] = static_cast<std::uint32_t>(x[2 * i] * y[2 * i]) + static_cast<std::uint32_t>(x[2 * i + 1] * y[2 * i + 1]);
  return fat_emulated::vector<simde__m512i>(to);
}

#define FAT_KERNEL_EMULATED

#endif
