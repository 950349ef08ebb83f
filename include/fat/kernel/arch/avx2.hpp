// AVX2: byte products by vpmaddubsw where packing proves them free of saturation, 16-bit pairs by vpmaddwd elsewhere.
// FAT_KERNEL_EMULATED: intrinsics come from elsewhere (SIMDe), so that any processor runs these kernels in tests.
#ifndef FAT_KERNEL_ARCH_AVX2_HPP_INCLUDED
#define FAT_KERNEL_ARCH_AVX2_HPP_INCLUDED

#include <fat/kernel/arch/types.hpp>

#if defined(__x86_64__) || defined(FAT_KERNEL_EMULATED)
#if !defined(FAT_KERNEL_EMULATED)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#endif
#define FAT_KERNEL_INLINE [[gnu::always_inline]] inline

namespace fat::inline FAT_ABI {
namespace kernel::arch_avx2 {

using Vector = __m256i;
inline constexpr int lanes = 8;
inline constexpr int rows = 6;
inline constexpr int narrow_rows = 6;
inline constexpr int vectors = 2;
inline constexpr bool has_pairs = true;
inline constexpr bool has_masks = false;
inline constexpr std::int32_t byte_offset = 0;

FAT_KERNEL_INLINE Vector load_sums(const std::int32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
FAT_KERNEL_INLINE void store_sums(std::int32_t* p, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

alignas(32) inline constexpr std::int16_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// g++ 12 copies and spills the sums around intrinsics; with the sum tied to one operand of an asm it does not.
struct Quad {
  using Element = std::uint8_t;
  using Weights = __m256i;
  static constexpr int group = 4;
  static constexpr bool ordered = true;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
  }
  FAT_KERNEL_INLINE static __m256i broadcast(const Element* a) {
    std::int32_t four;
    __builtin_memcpy(&four, a, 4);
    return _mm256_set1_epi32(four);
  }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], __m256i a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
#if defined(__clang__) || defined(FAT_KERNEL_EMULATED)
      const __m256i one = *reinterpret_cast<const __m256i*>(ones);
      sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(_mm256_maddubs_epi16(a, w[v]), one));
#else
      __m256i t;
      asm("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
          : "+x"(sums[v]), "=&x"(t)
          : "x"(a), "x"(w[v]), "m"(*reinterpret_cast<const __m256i*>(ones)));
#endif
    }
  }
};

struct Pair {
  using Element = std::int16_t;
  using Weights = __m256i;
  static constexpr int group = 2;
  static constexpr bool ordered = true;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
  }
  FAT_KERNEL_INLINE static __m256i broadcast(const Element* a) {
    std::int32_t two;
    __builtin_memcpy(&two, a, 4);
    return _mm256_set1_epi32(two);
  }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], __m256i a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) {
#if defined(__clang__) || defined(FAT_KERNEL_EMULATED)
      sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(a, w[v]));
#else
      __m256i t;
      asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sums[v]), "=&x"(t) : "x"(a), "x"(w[v]));
#endif
    }
  }
};

struct Scale {
  __m256i even, odd, left, right;
};

FAT_KERNEL_INLINE Scale make_scale(__m256i mantissa, __m256i shift) {
  const __m256i one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256();
  return {mantissa, _mm256_srli_epi64(mantissa, 32), _mm256_max_epi32(_mm256_sub_epi32(one, shift), zero),
          _mm256_max_epi32(_mm256_sub_epi32(shift, one), zero)};
}
FAT_KERNEL_INLINE Scale load_scale(const std::int32_t* mantissa, const std::int8_t* shift) {
  return make_scale(load_sums(mantissa),
                    _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(shift))));
}
FAT_KERNEL_INLINE Scale broadcast_scale(std::int32_t mantissa, std::int8_t shift) {
  return make_scale(_mm256_set1_epi32(mantissa), _mm256_set1_epi32(shift));
}

/// Sums times their multipliers, times two, rounded down (ColumnStage). Without the shift to the left where every one of
/// them is 0.
template <bool Left = true>
FAT_KERNEL_INLINE Vector doubled(Vector sums, const Scale& s) {
  if constexpr (Left) sums = _mm256_sllv_epi32(sums, s.left);
  const __m256i even = _mm256_mul_epi32(sums, s.even);
  const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(sums, 32), s.odd);
  return _mm256_srav_epi32(_mm256_blend_epi32(_mm256_shuffle_epi32(even, 0xF5), odd, 0xAA), s.right);
}
FAT_KERNEL_INLINE Vector halved(Vector twice) {
  return _mm256_srai_epi32(_mm256_add_epi32(twice, _mm256_set1_epi32(1)), 1);
}

FAT_KERNEL_INLINE Vector broadcast_sum(std::int32_t value) { return _mm256_set1_epi32(value); }
FAT_KERNEL_INLINE Vector add_sums(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
/// codes * 2^20 + start
FAT_KERNEL_INLINE Vector shifted_codes(const std::uint8_t* codes, Vector start) {
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
  return _mm256_add_epi32(_mm256_slli_epi32(wide, 20), start);
}

inline void widen(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) {
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i))));
  for (; i != count; ++i) out[i] = bytes[i];
}

/// sums += x0 * w[..][0] + x1 * w[..][1], channel by channel.
template <int Blocks>
FAT_KERNEL_INLINE void add_tap_pair(Vector (&sums)[Blocks], const std::uint8_t* x0, const std::uint8_t* x1,
                                    const std::int16_t* w) {
#pragma GCC unroll 4
  for (int v = 0; v != Blocks; ++v) {
    const __m128i pairs = _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x0 + v * lanes)),
                                            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x1 + v * lanes)));
    const __m256i taps = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 2 * v * lanes));
    sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(_mm256_cvtepu8_epi16(pairs), taps));
  }
}

/// The codes of four vectors of doubled sums, four of each in every 128 bits: saturated to 16 bits, rounded, moved by the
/// zero point, saturated to 8 and held to the range.
FAT_KERNEL_INLINE __m256i narrow(const Vector (&twice)[4], const Target& target) {
  const __m256i half = _mm256_set1_epi16(1 << 14);  // times 2^14, rounded, over 2^15
  __m256i first = _mm256_mulhrs_epi16(_mm256_packs_epi32(twice[0], twice[1]), half);
  __m256i second = _mm256_mulhrs_epi16(_mm256_packs_epi32(twice[2], twice[3]), half);
  if (target.zero_point != 0) {
    const __m256i zero_point = _mm256_set1_epi16(static_cast<short>(target.zero_point));
    first = _mm256_add_epi16(first, zero_point);
    second = _mm256_add_epi16(second, zero_point);
  }
  const __m256i bytes = _mm256_packus_epi16(first, second);
  if (target.low == 0 && target.high == 255) return bytes;
  return _mm256_min_epu8(_mm256_max_epu8(bytes, _mm256_set1_epi8(static_cast<char>(target.low))),
                         _mm256_set1_epi8(static_cast<char>(target.high)));
}
using Bytes = __m256i;
/// The same, one vector's codes after the other's.
FAT_KERNEL_INLINE Bytes packed(const Vector (&twice)[4], const Target& target) {
  return _mm256_permutevar8x32_epi32(narrow(twice, target), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
/// Stores the piece-th `Vectors` vectors' codes.
template <int Vectors>
FAT_KERNEL_INLINE void store_piece(std::uint8_t* out, Bytes codes, int piece) {
  if constexpr (Vectors == 4) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), codes);
  const bool upper = Vectors == 1 ? piece >= 2 : piece == 1;
  const __m128i half = upper ? _mm256_extracti128_si256(codes, 1) : _mm256_castsi256_si128(codes);
  if constexpr (Vectors == 2) return _mm_storeu_si128(reinterpret_cast<__m128i*>(out), half);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), piece % 2 == 0 ? half : _mm_unpackhi_epi64(half, half));
}

using ByteMask = __m256i;
FAT_KERNEL_INLINE ByteMask byte_mask(std::size_t count) {
  const __m256i at = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<std::int32_t>(count)), at);
}
FAT_KERNEL_INLINE Vector broadcast_bytes(std::uint8_t value) { return _mm256_set1_epi8(static_cast<char>(value)); }
/// Two pieces of 8 bytes.
FAT_KERNEL_INLINE __m128i load_eights(const std::uint8_t* p, std::size_t step) {
  return _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)),
                            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + step)));
}
/// Segments 0: under the mask; 2 or 4: as many pieces, `step` bytes from one to the next.
template <int Segments>
FAT_KERNEL_INLINE Vector load_bytes(const std::uint8_t* p, std::size_t step, ByteMask mask) {
  if constexpr (Segments == 0) return _mm256_maskload_epi32(reinterpret_cast<const int*>(p), mask);
  if constexpr (Segments == 1) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  if constexpr (Segments == 4) return _mm256_setr_m128i(load_eights(p, step), load_eights(p + 2 * step, step));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + step)), 1);
}
FAT_KERNEL_INLINE void store_eights(std::uint8_t* out, std::size_t step, __m128i bytes) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), bytes);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out + step), _mm_unpackhi_epi64(bytes, bytes));
}
template <int Segments>
FAT_KERNEL_INLINE void store_bytes(std::uint8_t* out, std::size_t step, ByteMask mask, Vector bytes) {
  if constexpr (Segments == 0) _mm256_maskstore_epi32(reinterpret_cast<int*>(out), mask, bytes);
  if constexpr (Segments == 1) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
  if constexpr (Segments == 2) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + step), _mm256_extracti128_si256(bytes, 1));
  }
  if constexpr (Segments == 4) {
    store_eights(out, step, _mm256_castsi256_si128(bytes));
    store_eights(out + 2 * step, step, _mm256_extracti128_si256(bytes, 1));
  }
}
/// The constants of the first segment for all.
template <int Segments>
FAT_KERNEL_INLINE Vector spread(Vector v) {
  if constexpr (Segments > 1) return _mm256_permute2x128_si256(v, v, 0);
  return v;
}
/// Four vectors of (a, b, c, c) in 32-bit lanes, in the order of place_in_block.
FAT_KERNEL_INLINE void interleave_bytes(Vector a, Vector b, Vector c, Vector (&to)[4]) {
  const Vector low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
  const Vector low_c = _mm256_unpacklo_epi8(c, c), high_c = _mm256_unpackhi_epi8(c, c);
  to[0] = _mm256_unpacklo_epi16(low, low_c), to[1] = _mm256_unpackhi_epi16(low, low_c);
  to[2] = _mm256_unpacklo_epi16(high, high_c), to[3] = _mm256_unpackhi_epi16(high, high_c);
}
/// Bytes 0 and 2 of every lane, and bytes 1 and 3, as 16-bit pairs, so that no product saturates.
struct ColumnBytes {
  Vector even, odd;
};
using ColumnWeights = ColumnBytes;
FAT_KERNEL_INLINE ColumnWeights column_weights(Vector bytes) {
  return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
}
FAT_KERNEL_INLINE void interleave(Vector a, Vector b, Vector c, ColumnBytes (&to)[4]) {
  Vector bytes[4];
  interleave_bytes(a, b, c, bytes);
#pragma GCC unroll 4
  for (int v = 0; v != 4; ++v)
    to[v] = {_mm256_and_si256(bytes[v], _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes[v], 8)};
}
FAT_KERNEL_INLINE void add_products(Vector& sum, const ColumnBytes& bytes, const ColumnWeights& w) {
  sum = _mm256_add_epi32(sum,
                         _mm256_add_epi32(_mm256_madd_epi16(bytes.even, w.even), _mm256_madd_epi16(bytes.odd, w.odd)));
}

#include <fat/kernel/arch/depthwise.inl>
#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = with_depthwise3x3(make_kernels("avx2"));

}  // namespace kernel::arch_avx2
}  // namespace fat::inline FAT_ABI

#undef FAT_KERNEL_INLINE
#if !defined(FAT_KERNEL_EMULATED)
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#endif  // x86-64
#endif
