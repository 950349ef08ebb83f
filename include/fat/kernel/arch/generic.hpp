// Any processor: the micro-kernel on small arrays that compilers turn into whatever vectors there are.
#ifndef FAT_KERNEL_ARCH_GENERIC_HPP_INCLUDED
#define FAT_KERNEL_ARCH_GENERIC_HPP_INCLUDED

#include <fat/kernel/arch/types.hpp>

#define FAT_KERNEL_INLINE [[gnu::always_inline]] inline

namespace fat::inline FAT_ABI {
namespace kernel::arch_generic {

inline constexpr int lanes = 8;
inline constexpr int rows = 4;
inline constexpr int narrow_rows = rows;
inline constexpr int vectors = 1;
inline constexpr bool has_pairs = false;
inline constexpr bool has_masks = false;
inline constexpr std::int32_t byte_offset = 0;

// Sums wrap like every vector unit's: intermediate values may pass int32 where the final one does not.
struct Vector {
  std::uint32_t at[lanes];
};

FAT_KERNEL_INLINE Vector load_sums(const std::int32_t* p) {
  Vector v;
  __builtin_memcpy(v.at, p, sizeof v.at);
  return v;
}
FAT_KERNEL_INLINE void store_sums(std::int32_t* p, const Vector& v) { __builtin_memcpy(p, v.at, sizeof v.at); }

struct Quad {
  using Element = std::uint8_t;
  struct Weights {
    std::int16_t at[lanes];
  };
  static constexpr int group = 1;
  static constexpr bool ordered = false;
  FAT_KERNEL_INLINE static Weights load(const std::int8_t* b) {
    Weights w;
    for (int i = 0; i != lanes; ++i) w.at[i] = b[i];
    return w;
  }
  FAT_KERNEL_INLINE static std::int16_t broadcast(const Element* a) { return *a; }
  template <int Vectors>
  FAT_KERNEL_INLINE static void multiply_add(Vector (&sums)[Vectors], std::int16_t a, const Weights (&w)[Vectors]) {
    for (int v = 0; v != Vectors; ++v)
      for (int i = 0; i != lanes; ++i) sums[v].at[i] += static_cast<std::uint32_t>(a * w[v].at[i]);
  }
};
using Pair = Quad;

struct Scale {
  std::int32_t mantissa[lanes], left[lanes], right[lanes];
};

FAT_KERNEL_INLINE Scale load_scale(const std::int32_t* mantissa, const std::int8_t* shift) {
  Scale s;
  for (int i = 0; i != lanes; ++i) {
    s.mantissa[i] = mantissa[i];
    s.left[i] = shift[i] < 1 ? 1 - shift[i] : 0;
    s.right[i] = shift[i] < 1 ? 0 : shift[i] > 32 ? 31 : shift[i] - 1;
  }
  return s;
}
FAT_KERNEL_INLINE Scale broadcast_scale(std::int32_t mantissa, std::int8_t shift) {
  std::int32_t mantissas[lanes];
  std::int8_t shifts[lanes];
  for (int i = 0; i != lanes; ++i) mantissas[i] = mantissa, shifts[i] = shift;
  return load_scale(mantissas, shifts);
}

/// Sums times their multipliers, times two, rounded down (ColumnStage).
template <bool Left = true>  // one way suits both
FAT_KERNEL_INLINE Vector doubled(Vector sums, const Scale& s) {
  for (int i = 0; i != lanes; ++i) {
    const auto sum = static_cast<std::int32_t>(sums.at[i] << s.left[i]);
    const auto high = static_cast<std::int32_t>((std::int64_t{sum} * s.mantissa[i]) >> 32);
    sums.at[i] = static_cast<std::uint32_t>(high >> s.right[i]);
  }
  return sums;
}
FAT_KERNEL_INLINE Vector halved(Vector twice) {
  for (std::uint32_t& value : twice.at) value = static_cast<std::uint32_t>(static_cast<std::int32_t>(value + 1) >> 1);
  return twice;
}

FAT_KERNEL_INLINE Vector broadcast_sum(std::int32_t value) {
  Vector v;
  for (int i = 0; i != lanes; ++i) v.at[i] = static_cast<std::uint32_t>(value);
  return v;
}
FAT_KERNEL_INLINE Vector add_sums(Vector a, const Vector& b) {
  for (int i = 0; i != lanes; ++i) a.at[i] += b.at[i];
  return a;
}
FAT_KERNEL_INLINE Vector shifted_codes(const std::uint8_t* codes, Vector start) {
  for (int i = 0; i != lanes; ++i) start.at[i] += static_cast<std::uint32_t>(codes[i]) << 20;
  return start;
}

inline void widen(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) {
  for (std::size_t i = 0; i != count; ++i) out[i] = bytes[i];
}

template <int Blocks>
FAT_KERNEL_INLINE void add_tap_pair(Vector (&sums)[Blocks], const std::uint8_t* x0, const std::uint8_t* x1,
                                    const std::int16_t* w) {
  for (int v = 0; v != Blocks; ++v)
    for (int i = 0, c = v * lanes; i != lanes; ++i, ++c)
      sums[v].at[i] += static_cast<std::uint32_t>(x0[c] * w[2 * c] + x1[c] * w[2 * c + 1]);
}

/// Four vectors of doubled sums, which become codes as they are stored.
struct Bytes {
  const Vector (&twice)[4];
  const Target& target;
};
FAT_KERNEL_INLINE Bytes packed(const Vector (&twice)[4], const Target& target) { return {twice, target}; }
/// Stores the piece-th `Vectors` vectors' codes.
template <int Vectors>
FAT_KERNEL_INLINE void store_piece(std::uint8_t* out, const Bytes& codes, int piece) {
  const Target to = codes.target;
  for (int v = 0; v != Vectors; ++v) {
    const Vector sums = halved(codes.twice[piece * Vectors + v]);
    for (int i = 0; i != lanes; ++i) {
      const std::int32_t code = static_cast<std::int32_t>(sums.at[i]) + to.zero_point;
      out[v * lanes + i] = static_cast<std::uint8_t>(code < to.low ? to.low : code > to.high ? to.high : code);
    }
  }
}

#include <fat/kernel/arch/tile.inl>

inline constexpr Kernels kernels = make_kernels("generic");

}  // namespace kernel::arch_generic
}  // namespace fat::inline FAT_ABI

#undef FAT_KERNEL_INLINE

#endif
