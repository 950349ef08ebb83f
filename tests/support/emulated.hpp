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
// set every bit of a mask but for loads, stores and shuffles.
#define __mmask64 simde__mmask64
#define __mmask32 simde__mmask32
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
inline simde__m512i _mm512_madd_epi16(simde__m512i a, simde__m512i b) {
  const auto x = fat_emulated::lanes<std::int16_t>(a), y = fat_emulated::lanes<std::int16_t>(b);
  std::array<std::uint32_t, 16> to;
  for (std::size_t i = 0; i != to.size(); ++i)
    to[i] = static_cast<std::uint32_t>(x[2 * i] * y[2 * i]) + static_cast<std::uint32_t>(x[2 * i + 1] * y[2 * i + 1]);
  return fat_emulated::vector<simde__m512i>(to);
}

using _MM_PERM_ENUM = int;
inline simde__m512i _mm512_maskz_shuffle_epi32(simde__mmask16, simde__m512i a, int order) {
  const auto from = fat_emulated::lanes<std::uint32_t>(a);
  std::array<std::uint32_t, 16> to;
  for (std::size_t i = 0; i != to.size(); ++i)
    to[i] = from[i / 4 * 4 + static_cast<std::size_t>(order >> (i % 4 * 2) & 3)];
  return fat_emulated::vector<simde__m512i>(to);
}
inline simde__m512i _mm512_mask_shuffle_epi32(simde__m512i other, simde__mmask16 mask, simde__m512i a, int order) {
  const auto from = fat_emulated::lanes<std::uint32_t>(_mm512_maskz_shuffle_epi32(0xFFFF, a, order));
  auto to = fat_emulated::lanes<std::uint32_t>(other);
  for (std::size_t i = 0; i != to.size(); ++i)
    if ((mask >> i & 1U) != 0) to[i] = from[i];
  return fat_emulated::vector<simde__m512i>(to);
}
inline simde__m512i _mm512_maskz_shuffle_i64x2(simde__mmask8, simde__m512i a, simde__m512i b, int order) {
  const auto x = fat_emulated::lanes<std::uint64_t>(a), y = fat_emulated::lanes<std::uint64_t>(b);
  std::array<std::uint64_t, 8> to;
  for (std::size_t i = 0; i != to.size(); ++i)
    to[i] = (i < 4 ? x : y)[static_cast<std::size_t>(order >> (i / 2 * 2) & 3) * 2 + i % 2];
  return fat_emulated::vector<simde__m512i>(to);
}
inline simde__m512i _mm512_maskz_srai_epi32(simde__mmask16, simde__m512i a, unsigned shift) {
  return fat_emulated::each<std::int32_t>(a, a, [=](std::int32_t x, std::int32_t) { return x >> shift; });
}

namespace fat_emulated {
template <class Lane, class Vector>
void store(void* out, std::uint64_t mask, const Vector& a) {
  const auto from = lanes<Lane>(a);
  for (std::size_t i = 0; i != from.size(); ++i)
    if ((mask >> i & 1U) != 0) std::memcpy(static_cast<std::uint8_t*>(out) + i * sizeof(Lane), &from[i], sizeof(Lane));
}
}  // namespace fat_emulated

inline void _mm_mask_storeu_epi8(void* out, simde__mmask16 mask, simde__m128i a) {
  fat_emulated::store<std::uint8_t>(out, mask, a);
}
inline void _mm256_mask_storeu_epi8(void* out, simde__mmask32 mask, simde__m256i a) {
  fat_emulated::store<std::uint8_t>(out, mask, a);
}
inline void _mm512_mask_storeu_epi8(void* out, simde__mmask64 mask, simde__m512i a) {
  fat_emulated::store<std::uint8_t>(out, mask, a);
}
inline void _mm512_mask_storeu_epi64(void* out, simde__mmask8 mask, simde__m512i a) {
  fat_emulated::store<std::uint64_t>(out, mask, a);
}
inline simde__m512i _mm512_maskz_loadu_epi8(simde__mmask64 mask, const void* from) {
  std::array<std::uint8_t, 64> to{};
  for (std::size_t i = 0; i != to.size(); ++i)
    if ((mask >> i & 1U) != 0) to[i] = static_cast<const std::uint8_t*>(from)[i];
  return fat_emulated::vector<simde__m512i>(to);
}

/// Tiles of AMX, from Intel's description: rows of bytes, as many as the shapes say; one set for each thread.
namespace fat_emulated {

struct Tiles {
  std::array<std::size_t, 8> row_bytes{}, rows{};
  std::array<std::array<std::array<std::uint8_t, 64>, 16>, 8> bytes{};
};
inline Tiles& tiles() {
  thread_local Tiles all;
  return all;
}

}  // namespace fat_emulated

inline void _tile_loadconfig(const void* shapes) {
  const auto* const from = static_cast<const std::uint8_t*>(shapes);
  fat_emulated::tiles() = {};
  for (std::size_t t = 0; t != 8; ++t) {
    fat_emulated::tiles().row_bytes[t] = from[16 + 2 * t] + 256U * from[17 + 2 * t];
    fat_emulated::tiles().rows[t] = from[48 + t];
  }
}
inline void _tile_release() { fat_emulated::tiles() = {}; }
inline void _tile_zero(int tile) { fat_emulated::tiles().bytes[static_cast<std::size_t>(tile)] = {}; }
inline void _tile_loadd(int tile, const void* from, std::size_t stride) {
  const auto t = static_cast<std::size_t>(tile);
  fat_emulated::Tiles& all = fat_emulated::tiles();
  for (std::size_t row = 0; row != all.rows[t]; ++row)
    std::memcpy(all.bytes[t][row].data(), static_cast<const std::uint8_t*>(from) + row * stride, all.row_bytes[t]);
}
inline void _tile_stored(int tile, void* to, std::size_t stride) {
  const auto t = static_cast<std::size_t>(tile);
  const fat_emulated::Tiles& all = fat_emulated::tiles();
  for (std::size_t row = 0; row != all.rows[t]; ++row)
    std::memcpy(static_cast<std::uint8_t*>(to) + row * stride, all.bytes[t][row].data(), all.row_bytes[t]);
}
inline void _tile_dpbusd(int sums, int a, int b) {
  fat_emulated::Tiles& all = fat_emulated::tiles();
  const auto s = static_cast<std::size_t>(sums), x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
  for (std::size_t row = 0; row != all.rows[s]; ++row)
    for (std::size_t column = 0; column != all.row_bytes[s] / 4; ++column) {
      std::int32_t sum;
      std::memcpy(&sum, all.bytes[s][row].data() + 4 * column, 4);
      for (std::size_t k = 0; k != all.row_bytes[x]; ++k)
        sum += all.bytes[x][row][k] * static_cast<std::int8_t>(all.bytes[y][k / 4][4 * column + k % 4]);
      std::memcpy(all.bytes[s][row].data() + 4 * column, &sum, 4);
    }
}

#define FAT_KERNEL_EMULATED

#endif
