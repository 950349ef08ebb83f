// AVX-VNNI (256 bits) and AVX-512 VNNI: vpdpbusd multiplies unsigned by signed bytes in fours, exactly.
// FAT_KERNEL_EMULATED: intrinsics come from elsewhere (SIMDe), so that any processor runs these kernels in tests.
#ifndef FAT_KERNEL_ARCH_VNNI_HPP_INCLUDED
#define FAT_KERNEL_ARCH_VNNI_HPP_INCLUDED

#include <fat/kernel/arch/avx2.hpp>

#if defined(__x86_64__) || defined(FAT_KERNEL_EMULATED)
#if !defined(FAT_KERNEL_EMULATED)
#include <immintrin.h>
#endif

#define FAT_KERNEL_INLINE [[gnu::always_inline]] inline

#if !defined(FAT_KERNEL_EMULATED)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#endif
#endif

namespace fat::inline FAT_ABI {
namespace kernel::arch_avx512_vnni {

using Vector = __m512i;
inline constexpr int lanes = 16;
inline constexpr int rows = 6;
inline constexpr int narrow_rows = 12;  // as many sums as hide the time that a product takes
inline constexpr int vectors = 4;
inline constexpr bool has_pairs = false;
inline constexpr bool has_masks = true;  ///< store_some
inline constexpr std::int32_t byte_offset = 0;

// The forms with a mask, all bits set: the plain ones make g++ 12 warn of an uninitialized value in its own header.
inline constexpr __mmask16 all_lanes = 0xFFFF;
inline constexpr __mmask8 all_eight = 0xFF;

FAT_KERNEL_INLINE Vector load_sums(const std::int32_t* p) { return _mm512_loadu_si512(p); }
FAT_KERNEL_INLINE void store_sums(std::int32_t* p, Vector v) { _mm512_storeu_si512(p, v); }

struct Quad {
  using Element = std::uint8_t;
  using Weights = __m512i;
  static constexpr int group = 4;
  static constexpr bool ordered = false;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) { return _mm512_loadu_si512(b); }
  FAT_KERNEL_INLINE static __m512i broadcast(const Element* a) {
    std::int32_t four;
    __builtin_memcpy(&four, a, 4);
    return _mm512_set1_epi32(four);
  }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], __m512i a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
#if defined(__clang__) || defined(FAT_KERNEL_EMULATED)
      sums[v] = _mm512_dpbusd_epi32(sums[v], a, w[v]);
#else  // g++ 12 spills the sums around the intrinsic
      asm("vpdpbusd %2, %1, %0" : "+v"(sums[v]) : "v"(a), "v"(w[v]));
#endif
    }
  }
};

struct Scale {
  __m512i even, odd, left, right;
};

FAT_KERNEL_INLINE Scale make_scale(__m512i mantissa, __m512i shift) {
  const __m512i one = _mm512_set1_epi32(1), zero = _mm512_setzero_si512();
  return {mantissa, _mm512_maskz_srli_epi64(all_eight, mantissa, 32),
          _mm512_maskz_max_epi32(all_lanes, _mm512_sub_epi32(one, shift), zero),
          _mm512_maskz_max_epi32(all_lanes, _mm512_sub_epi32(shift, one), zero)};
}
FAT_KERNEL_INLINE Scale load_scale(const std::int32_t* mantissa, const std::int8_t* shift) {
  return make_scale(load_sums(mantissa),
                    _mm512_maskz_cvtepi8_epi32(all_lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(shift))));
}
FAT_KERNEL_INLINE Scale broadcast_scale(std::int32_t mantissa, std::int8_t shift) {
  return make_scale(_mm512_set1_epi32(mantissa), _mm512_set1_epi32(shift));
}

/// 32-bit lanes 1, 1, 3, 3 of every four.
inline constexpr auto odd_to_even = static_cast<_MM_PERM_ENUM>(0xF5);

/// Sums times their multipliers, times two, rounded down (ColumnStage). Without the shift to the left where every one of
/// them is 0.
template <bool Left = true>
FAT_KERNEL_INLINE Vector doubled(Vector sums, const Scale& s) {
  constexpr __mmask16 even_lanes = 0x5555;
  if constexpr (Left) sums = _mm512_maskz_sllv_epi32(all_lanes, sums, s.left);
  const __m512i even = _mm512_maskz_mul_epi32(all_eight, sums, s.even);
  // Moves that Intel runs beside the multiplications and shifts, not instead of one.
  const __m512i odd =
      _mm512_maskz_mul_epi32(all_eight, _mm512_maskz_shuffle_epi32(all_lanes, sums, odd_to_even), s.odd);
  return _mm512_maskz_srav_epi32(all_lanes, _mm512_mask_shuffle_epi32(odd, even_lanes, even, odd_to_even), s.right);
}
FAT_KERNEL_INLINE Vector halved(Vector twice) {
  return _mm512_maskz_srai_epi32(all_lanes, _mm512_add_epi32(twice, _mm512_set1_epi32(1)), 1);
}

FAT_KERNEL_INLINE Vector broadcast_sum(std::int32_t value) { return _mm512_set1_epi32(value); }
FAT_KERNEL_INLINE Vector add_sums(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
FAT_KERNEL_INLINE Vector shifted_codes(const std::uint8_t* codes, Vector start) {
  const __m512i wide = _mm512_maskz_cvtepu8_epi32(all_lanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  return _mm512_add_epi32(_mm512_maskz_slli_epi32(all_lanes, wide, 20), start);
}

inline void widen(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) {
  for (std::size_t i = 0; i != count; ++i) out[i] = bytes[i];
}

template <int Blocks>
FAT_KERNEL_INLINE void add_tap_pair(Vector (&sums)[Blocks], const std::uint8_t* x0, const std::uint8_t* x1,
                                    const std::int16_t* w) {
#pragma GCC unroll 4
  for (int v = 0; v != Blocks; ++v) {
    const __m128i one = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x0 + v * lanes));
    const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x1 + v * lanes));
    // bytes of both taps side by side in each 32-bit lane, as two 16-bit numbers
    const __m512i pairs =
        _mm512_or_si512(_mm512_maskz_cvtepu8_epi32(all_lanes, one),
                        _mm512_maskz_slli_epi32(all_lanes, _mm512_maskz_cvtepu8_epi32(all_lanes, two), 16));
    sums[v] = _mm512_add_epi32(sums[v], _mm512_madd_epi16(pairs, _mm512_loadu_si512(w + 2 * v * lanes)));
  }
}

FAT_KERNEL_INLINE __m256i lower_half(__m512i v) {
#if defined(__clang__) || defined(FAT_KERNEL_EMULATED)
  return _mm512_castsi512_si256(v);
#else  // the cast makes g++ 12 warn of an uninitialized value in its own header
  return __builtin_shufflevector(v, v, 0, 1, 2, 3);
#endif
}

/// The codes of four vectors of doubled sums, four of each in every 128 bits: saturated to 16 bits, rounded, moved by the
/// zero point, saturated to 8 and held to the range.
FAT_KERNEL_INLINE __m512i narrow(const Vector (&twice)[4], const Target& target) {
  const __m512i half = _mm512_set1_epi16(1 << 14);  // times 2^14, rounded, over 2^15
  __m512i first = _mm512_mulhrs_epi16(_mm512_packs_epi32(twice[0], twice[1]), half);
  __m512i second = _mm512_mulhrs_epi16(_mm512_packs_epi32(twice[2], twice[3]), half);
  if (target.zero_point != 0) {
    const __m512i zero_point = _mm512_set1_epi16(static_cast<short>(target.zero_point));
    first = _mm512_add_epi16(first, zero_point);
    second = _mm512_add_epi16(second, zero_point);
  }
  const __m512i bytes = _mm512_packus_epi16(first, second);
  if (target.low == 0 && target.high == 255) return bytes;
  return _mm512_min_epu8(_mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(target.low))),
                         _mm512_set1_epi8(static_cast<char>(target.high)));
}
using Bytes = __m512i;
/// The same, one vector's codes after the other's.
FAT_KERNEL_INLINE Bytes packed(const Vector (&twice)[4], const Target& target) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_maskz_permutexvar_epi32(all_lanes, order, narrow(twice, target));
}
FAT_KERNEL_INLINE __m128i quarter(Bytes codes, int piece) {
  if (piece == 1) return _mm512_maskz_extracti32x4_epi32(0xF, codes, 1);
  if (piece == 2) return _mm512_maskz_extracti32x4_epi32(0xF, codes, 2);
  if (piece == 3) return _mm512_maskz_extracti32x4_epi32(0xF, codes, 3);
  return _mm256_castsi256_si128(lower_half(codes));
}
/// Stores the piece-th `Vectors` vectors' codes.
template <int Vectors>
FAT_KERNEL_INLINE void store_piece(std::uint8_t* out, Bytes codes, int piece) {
  if constexpr (Vectors == 4) return _mm512_storeu_si512(out, codes);
  if constexpr (Vectors == 1) return _mm_storeu_si128(reinterpret_cast<__m128i*>(out), quarter(codes, piece));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      piece == 0 ? lower_half(codes) : _mm512_maskz_extracti64x4_epi64(0xF, codes, 1));
  if constexpr (Vectors == 3) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * lanes), quarter(codes, 2));
}

/// The same of the first columns alone.
template <int Vectors>
FAT_KERNEL_INLINE void store_some(std::uint8_t* out, Bytes codes, int piece, std::size_t columns) {
  const std::uint64_t mask = (std::uint64_t{1} << columns) - 1;
  if constexpr (Vectors == 1) return _mm_mask_storeu_epi8(out, static_cast<__mmask16>(mask), quarter(codes, piece));
  if constexpr (Vectors == 2)
    return _mm256_mask_storeu_epi8(out, static_cast<__mmask32>(mask),
                                   piece == 0 ? lower_half(codes) : _mm512_maskz_extracti64x4_epi64(0xF, codes, 1));
  _mm512_mask_storeu_epi8(out, mask, codes);
}

using Pair = Quad;

using ByteMask = __mmask64;
inline constexpr ByteMask all_bytes = ~ByteMask{0};
FAT_KERNEL_INLINE ByteMask byte_mask(std::size_t count) { return count >= 64 ? all_bytes : (ByteMask{1} << count) - 1; }
FAT_KERNEL_INLINE Vector broadcast_bytes(std::uint8_t value) { return _mm512_set1_epi8(static_cast<char>(value)); }
FAT_KERNEL_INLINE __m256i load_quarters(const std::uint8_t* p, std::size_t step) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + step)), 1);
}
FAT_KERNEL_INLINE Vector join(__m256i left, __m256i right) {
  return _mm512_maskz_inserti64x4(all_eight, _mm512_castsi256_si512(left), right, 1);
}
FAT_KERNEL_INLINE __m256i load_eights(const std::uint8_t* p, std::size_t step) {
  return _mm256_setr_m128i(arch_avx2::load_eights(p, step), arch_avx2::load_eights(p + 2 * step, step));
}
/// Segments 0: under the mask; 2, 4 or 8: as many pieces, `step` bytes from one to the next.
template <int Segments>
FAT_KERNEL_INLINE Vector load_bytes(const std::uint8_t* p, std::size_t step, ByteMask mask) {
  if constexpr (Segments == 0) return _mm512_maskz_loadu_epi8(mask, p);
  if constexpr (Segments == 1) return _mm512_loadu_si512(p);
  if constexpr (Segments == 2)
    return join(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + step)));
  if constexpr (Segments == 4) return join(load_quarters(p, step), load_quarters(p + 2 * step, step));
  return join(load_eights(p, step), load_eights(p + 4 * step, step));
}
template <int Segments>
FAT_KERNEL_INLINE void store_bytes(std::uint8_t* out, std::size_t step, ByteMask mask, Vector bytes) {
  if constexpr (Segments == 0) return _mm512_mask_storeu_epi8(out, mask, bytes);
  if constexpr (Segments == 1) return _mm512_storeu_si512(out, bytes);
  // every piece from its own lanes, as if the whole vector were stored there
  constexpr int lanes_each = Segments > 1 ? 8 / Segments : 8;
#pragma GCC unroll 8
  for (int s = 0; s < Segments; ++s, out += step)
    _mm512_mask_storeu_epi64(out - 8 * s * lanes_each,
                             static_cast<__mmask8>(((1U << lanes_each) - 1U) << (s * lanes_each)), bytes);
}
/// The constants of the first segment for all.
template <int Segments>
FAT_KERNEL_INLINE Vector spread(Vector v) {
  if constexpr (Segments == 2) return _mm512_maskz_shuffle_i64x2(all_eight, v, v, 0x44);
  if constexpr (Segments > 2) return _mm512_maskz_shuffle_i64x2(all_eight, v, v, 0x00);
  return v;
}
using ColumnBytes = Vector;
using ColumnWeights = Vector;
FAT_KERNEL_INLINE ColumnWeights column_weights(Vector bytes) { return bytes; }
/// Four vectors of (a, b, c, c) in 32-bit lanes, in the order of place_in_block.
FAT_KERNEL_INLINE void interleave(Vector a, Vector b, Vector c, Vector (&to)[4]) {
  const Vector low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
  const Vector low_c = _mm512_unpacklo_epi8(c, c), high_c = _mm512_unpackhi_epi8(c, c);
  to[0] = _mm512_unpacklo_epi16(low, low_c), to[1] = _mm512_unpackhi_epi16(low, low_c);
  to[2] = _mm512_unpacklo_epi16(high, high_c), to[3] = _mm512_unpackhi_epi16(high, high_c);
}
FAT_KERNEL_INLINE void add_products(Vector& sum, Vector bytes, Vector w) {
  const Vector weights[1] = {w};
  Vector sums[1] = {sum};
  Quad::multiply_add<1>(sums, bytes, weights);
  sum = sums[0];
}

#include <fat/kernel/arch/depthwise.inl>
#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = with_depthwise3x3(make_kernels("avx512_vnni"));

}  // namespace kernel::arch_avx512_vnni
}  // namespace fat::inline FAT_ABI

#if !defined(FAT_KERNEL_EMULATED)
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,avxvnni")
#endif
#endif

namespace fat::inline FAT_ABI {
namespace kernel::arch_avx_vnni {

using Vector = __m256i;
using arch_avx2::add_sums;
using arch_avx2::add_tap_pair;
using arch_avx2::broadcast_bytes;
using arch_avx2::broadcast_scale;
using arch_avx2::broadcast_sum;
using arch_avx2::byte_mask;
using arch_avx2::ByteMask;
using arch_avx2::Bytes;
using arch_avx2::doubled;
using arch_avx2::halved;
using arch_avx2::lanes;
using arch_avx2::load_bytes;
using arch_avx2::load_scale;
using arch_avx2::load_sums;
using arch_avx2::narrow;
using arch_avx2::narrow_rows;
using arch_avx2::packed;
using arch_avx2::rows;
using arch_avx2::Scale;
using arch_avx2::shifted_codes;
using arch_avx2::spread;
using arch_avx2::store_bytes;
using arch_avx2::store_piece;
using arch_avx2::store_sums;
using arch_avx2::vectors;
using arch_avx2::widen;
inline constexpr bool has_pairs = false;
inline constexpr bool has_masks = false;
inline constexpr std::int32_t byte_offset = 0;

struct Quad : arch_avx2::Quad {
  static constexpr bool ordered = false;
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], __m256i a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
#if defined(FAT_KERNEL_EMULATED)
      sums[v] = simde_mm256_dpbusd_epi32(sums[v], a, w[v]);
#elif defined(__clang__)
      sums[v] = _mm256_dpbusd_avx_epi32(sums[v], a, w[v]);
#else
      asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums[v]) : "x"(a), "x"(w[v]));
#endif
    }
  }
};

using Pair = Quad;

using ColumnBytes = Vector;
using ColumnWeights = Vector;
FAT_KERNEL_INLINE ColumnWeights column_weights(Vector bytes) { return bytes; }
FAT_KERNEL_INLINE void interleave(Vector a, Vector b, Vector c, Vector (&to)[4]) {
  arch_avx2::interleave_bytes(a, b, c, to);
}
FAT_KERNEL_INLINE void add_products(Vector& sum, Vector bytes, Vector w) {
  const Vector weights[1] = {w};
  Vector sums[1] = {sum};
  Quad::multiply_add<1>(sums, bytes, weights);
  sum = sums[0];
}

#include <fat/kernel/arch/depthwise.inl>
#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = with_depthwise3x3(make_kernels("avx_vnni"));

}  // namespace kernel::arch_avx_vnni
}  // namespace fat::inline FAT_ABI

#if !defined(FAT_KERNEL_EMULATED)
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
#undef FAT_KERNEL_INLINE

#endif  // x86-64

#endif
