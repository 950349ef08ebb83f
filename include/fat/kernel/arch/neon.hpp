// ARM: NEON smlal (every aarch64), sdot and usdot where the processor has them.
#ifndef FAT_KERNEL_ARCH_NEON_HPP_INCLUDED
#define FAT_KERNEL_ARCH_NEON_HPP_INCLUDED

#include <fat/kernel/arch/types.hpp>

#if defined(__aarch64__)
#include <arm_neon.h>

#define FAT_KERNEL_INLINE [[gnu::always_inline]] inline

namespace fat::inline FAT_ABI {
namespace kernel::arch_neon {

using Vector = int32x4_t;
inline constexpr int lanes = 4;
inline constexpr int rows = 4;
inline constexpr int narrow_rows = rows;
inline constexpr int vectors = 4;
inline constexpr bool has_pairs = false;
inline constexpr bool has_masks = false;
inline constexpr std::int32_t byte_offset = 0;

FAT_KERNEL_INLINE Vector load_sums(const std::int32_t* p) { return vld1q_s32(p); }
FAT_KERNEL_INLINE void store_sums(std::int32_t* p, Vector v) { vst1q_s32(p, v); }

/// Four bytes at any address.
FAT_KERNEL_INLINE uint32x2_t load_four(const void* p) {
  std::uint32_t four;
  __builtin_memcpy(&four, p, 4);
  return vdup_n_u32(four);
}

struct Quad {
  using Element = std::uint8_t;
  using Weights = int16x4_t;
  static constexpr int group = 1;
  static constexpr bool ordered = false;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) {
    return vget_low_s16(vmovl_s8(vreinterpret_s8_u32(load_four(b))));
  }
  FAT_KERNEL_INLINE static std::int16_t broadcast(const Element* a) { return *a; }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], std::int16_t a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) sums[v] = vmlal_n_s16(sums[v], w[v], a);
  }
};
using Pair = Quad;

struct Scale {
  int32x4_t mantissa, left, right;  // right: negative
};

FAT_KERNEL_INLINE Scale make_scale(int32x4_t mantissa, int32x4_t shift) {
  const int32x4_t one = vdupq_n_s32(1), zero = vdupq_n_s32(0);
  return {mantissa, vmaxq_s32(vsubq_s32(one, shift), zero), vminq_s32(vsubq_s32(one, shift), zero)};
}
FAT_KERNEL_INLINE Scale load_scale(const std::int32_t* mantissa, const std::int8_t* shift) {
  return make_scale(vld1q_s32(mantissa), vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(load_four(shift))))));
}
FAT_KERNEL_INLINE Scale broadcast_scale(std::int32_t mantissa, std::int8_t shift) {
  return make_scale(vdupq_n_s32(mantissa), vdupq_n_s32(shift));
}

/// Sums times their multipliers, times two, rounded down (ColumnStage). Without the shift to the left where every one of
/// them is 0.
template <bool Left = true>
FAT_KERNEL_INLINE Vector doubled(Vector sums, const Scale& s) {
  if constexpr (Left) sums = vshlq_s32(sums, s.left);
  const int64x2_t low = vmull_s32(vget_low_s32(sums), vget_low_s32(s.mantissa));
  const int64x2_t high = vmull_high_s32(sums, s.mantissa);
  return vshlq_s32(vuzp2q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high)), s.right);
}
FAT_KERNEL_INLINE Vector halved(Vector twice) { return vrshrq_n_s32(twice, 1); }

FAT_KERNEL_INLINE Vector broadcast_sum(std::int32_t value) { return vdupq_n_s32(value); }
FAT_KERNEL_INLINE Vector add_sums(Vector a, Vector b) { return vaddq_s32(a, b); }
FAT_KERNEL_INLINE uint16x4_t widen_four(const std::uint8_t* codes) {
  return vget_low_u16(vmovl_u8(vreinterpret_u8_u32(load_four(codes))));
}
FAT_KERNEL_INLINE Vector shifted_codes(const std::uint8_t* codes, Vector start) {
  return vaddq_s32(start, vreinterpretq_s32_u32(vshlq_n_u32(vmovl_u16(widen_four(codes)), 20)));
}

inline void widen(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) {
  for (std::size_t i = 0; i != count; ++i) out[i] = bytes[i];
}

template <int Blocks>
FAT_KERNEL_INLINE void add_tap_pair(Vector (&sums)[Blocks], const std::uint8_t* x0, const std::uint8_t* x1,
                                    const std::int16_t* w) {
#pragma GCC unroll 4
  for (int v = 0; v != Blocks; ++v) {
    const int16x4x2_t taps = vld2_s16(w + 2 * v * lanes);
    sums[v] = vmlal_s16(sums[v], vreinterpret_s16_u16(widen_four(x0 + v * lanes)), taps.val[0]);
    sums[v] = vmlal_s16(sums[v], vreinterpret_s16_u16(widen_four(x1 + v * lanes)), taps.val[1]);
  }
}

using Bytes = uint8x16_t;
/// The codes of four vectors of doubled sums: rounded and saturated to 16 bits, moved by the zero point, saturated to 8
/// and held to the range.
FAT_KERNEL_INLINE Bytes packed(const Vector (&twice)[4], const Target& target) {
  const int16x8_t zero_point = vdupq_n_s16(static_cast<std::int16_t>(target.zero_point));
  const int16x8_t first = vcombine_s16(vqrshrn_n_s32(twice[0], 1), vqrshrn_n_s32(twice[1], 1));
  const int16x8_t second = vcombine_s16(vqrshrn_n_s32(twice[2], 1), vqrshrn_n_s32(twice[3], 1));
  const uint8x16_t bytes =
      vcombine_u8(vqmovun_s16(vqaddq_s16(first, zero_point)), vqmovun_s16(vqaddq_s16(second, zero_point)));
  return vminq_u8(vmaxq_u8(bytes, vdupq_n_u8(target.low)), vdupq_n_u8(target.high));
}
/// Stores the piece-th `Vectors` vectors' codes.
template <int Vectors>
FAT_KERNEL_INLINE void store_piece(std::uint8_t* out, Bytes codes, int piece) {
  if constexpr (Vectors == 4) return vst1q_u8(out, codes);
  std::uint8_t all[16];
  vst1q_u8(all, codes);
  __builtin_memcpy(out, all + piece * Vectors * lanes, Vectors * lanes);
}

#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = make_kernels("neon");

}  // namespace kernel::arch_neon
}  // namespace fat::inline FAT_ABI

#define FAT_KERNEL_NEON_COMMON             \
  using arch_neon::add_sums;               \
  using arch_neon::add_tap_pair;           \
  using arch_neon::broadcast_scale;        \
  using arch_neon::broadcast_sum;          \
  using arch_neon::Bytes;                  \
  using arch_neon::doubled;                \
  using arch_neon::halved;                 \
  using arch_neon::lanes;                  \
  using arch_neon::load_scale;             \
  using arch_neon::load_sums;              \
  using arch_neon::Scale;                  \
  using arch_neon::packed;                 \
  using arch_neon::shifted_codes;          \
  using arch_neon::store_piece;            \
  using arch_neon::store_sums;             \
  using arch_neon::Vector;                 \
  using arch_neon::vectors;                \
  using arch_neon::widen;                  \
  inline constexpr int rows = 6;           \
  inline constexpr int narrow_rows = rows; \
  inline constexpr bool has_masks = false; \
  inline constexpr bool has_pairs = false;

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

namespace fat::inline FAT_ABI {
namespace kernel::arch_neon_dot {
FAT_KERNEL_NEON_COMMON
/// sdot takes signed bytes: the top bit of A is flipped, which subtracts 128.
inline constexpr std::int32_t byte_offset = 128;

struct Quad {
  using Element = std::uint8_t;
  using Weights = int8x16_t;
  static constexpr int group = 4;
  static constexpr bool ordered = false;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) { return vld1q_s8(b); }
  FAT_KERNEL_INLINE static int8x16_t broadcast(const Element* a) {
    std::uint32_t four;
    __builtin_memcpy(&four, a, 4);
    return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080U));
  }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], int8x16_t a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) sums[v] = vdotq_s32(sums[v], w[v], a);
  }
};

using Pair = Quad;

#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = make_kernels("neon_dot");

}  // namespace kernel::arch_neon_dot
}  // namespace fat::inline FAT_ABI

#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+i8mm")
#endif

namespace fat::inline FAT_ABI {
namespace kernel::arch_neon_i8mm {
FAT_KERNEL_NEON_COMMON
inline constexpr std::int32_t byte_offset = 0;

struct Quad {
  using Element = std::uint8_t;
  using Weights = int8x16_t;
  static constexpr int group = 4;
  static constexpr bool ordered = false;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) { return vld1q_s8(b); }
  FAT_KERNEL_INLINE static uint8x16_t broadcast(const Element* a) {
    std::uint32_t four;
    __builtin_memcpy(&four, a, 4);
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
  }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], uint8x16_t a, const Weights (&w)[Vectors]) {
#pragma GCC unroll 8
    for (int v = 0; v != Vectors; ++v) sums[v] = vusdotq_s32(sums[v], a, w[v]);
  }
};

using Pair = Quad;

#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = make_kernels("neon_i8mm");

}  // namespace kernel::arch_neon_i8mm
}  // namespace fat::inline FAT_ABI

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef FAT_KERNEL_NEON_COMMON
#undef FAT_KERNEL_INLINE

#endif  // aarch64

#endif
