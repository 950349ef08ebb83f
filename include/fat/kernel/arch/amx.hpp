// AMX: tdpbusd multiplies 16 rows of unsigned bytes by 16 columns of signed bytes, 64 deep, exactly, in one instruction.
// FAT_KERNEL_EMULATED: intrinsics come from elsewhere, so that any processor runs these kernels in tests.
#ifndef FAT_KERNEL_ARCH_AMX_HPP_INCLUDED
#define FAT_KERNEL_ARCH_AMX_HPP_INCLUDED

#include <fat/kernel/arch/vnni.hpp>

#if defined(__x86_64__) || defined(FAT_KERNEL_EMULATED)

#define FAT_KERNEL_INLINE [[gnu::always_inline]] inline

#if !defined(FAT_KERNEL_EMULATED)
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8")
#endif
#endif

namespace fat::inline FAT_ABI {
namespace kernel::arch_amx {

using arch_avx512_vnni::lanes;
using arch_avx512_vnni::Vector;

/// Rows of a block: two tiles. Groups of four bytes that one multiplication takes.
inline constexpr std::size_t block_rows = 32;
inline constexpr std::size_t tile_groups = 16;

/// Operand of ldtilecfg.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// Tiles 0 and 1: sums of the upper rows, columns left and right; 2 and 3: of the lower rows; 4 and 5: bytes of the upper
/// and lower rows; 6 and 7: weights of the columns left and right.
FAT_KERNEL_INLINE void shape_tiles(std::size_t height, std::size_t groups) {
  TileShapes shapes;
  const std::size_t upper = (height + 1) / 2, lower = height - upper;
  const auto shape = [&](int tile, std::size_t rows, std::size_t bytes) {
    shapes.rows[tile] = static_cast<std::uint8_t>(rows == 0 ? 1 : rows);
    shapes.row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  };
  for (const int left : {0, 1}) {
    shape(left, upper, 64);
    shape(2 + left, lower, 64);
    shape(6 + left, groups, 64);
  }
  shape(4, upper, 4 * groups);
  shape(5, lower, 4 * groups);
  asm volatile("" ::: "memory");  // the intrinsic of g++ 12 names only the first 8 bytes as its input
  _tile_loadconfig(&shapes);
}

/// Part of the outputs of a call: up to 32 rows and 32 columns.
struct Block {
  std::size_t row = 0, height = 0, column = 0, valid = 0;  ///< valid: columns that are left from `column` on
  bool right() const { return valid > lanes; }
  bool lower() const { return height > 1; }
  std::size_t upper() const { return (height + 1) / 2; }
};

/// Sums of a block: start + A * B. Without a right half only 16 columns are touched.
FAT_KERNEL_INLINE void multiply(const TileCall& call, const Block& block, std::size_t b_stride, std::size_t chunks,
                                std::size_t groups) {
  const std::uint8_t* a = call.a + block.row * call.a_stride;
  const std::uint8_t* below = a + block.upper() * call.a_stride;
  const std::int8_t* b = call.panel.weights + 4 * block.column;
  const std::int32_t* const start = call.stage.start + block.column;
  _tile_loadd(0, start, 0);  // every row the same
  _tile_loadd(2, start, 0);
  if (block.right()) {
    _tile_loadd(1, start + lanes, 0);
    _tile_loadd(3, start + lanes, 0);
  }
  for (std::size_t chunk = 0; chunk != chunks; ++chunk, a += 4 * groups, below += 4 * groups, b += groups * b_stride) {
    _tile_loadd(6, b, b_stride);
    _tile_loadd(4, a, call.a_stride);
    _tile_dpbusd(0, 4, 6);
    if (block.right()) {
      _tile_loadd(7, b + 4 * lanes, b_stride);
      _tile_dpbusd(1, 4, 7);
    }
    if (!block.lower()) continue;
    _tile_loadd(5, below, call.a_stride);
    _tile_dpbusd(2, 5, 6);
    if (block.right()) _tile_dpbusd(3, 5, 7);
  }
}

using Sums = std::int32_t[block_rows][2 * lanes];

FAT_KERNEL_INLINE void store_tiles(const Block& block, Sums& sums) {
  constexpr std::size_t row = sizeof sums[0];
  _tile_stored(0, sums[0], row);
  if (block.right()) _tile_stored(1, sums[0] + lanes, row);
  if (!block.lower()) return;
  _tile_stored(2, sums[block.upper()], row);
  if (block.right()) _tile_stored(3, sums[block.upper()] + lanes, row);
}

/// Codes of a block that is as many vectors wide, four vectors at a time: 4 / Vectors rows. The shift to the left may be
/// left out where none is needed.
template <int Vectors, bool Left>
FAT_KERNEL_INLINE void store_codes(const TileCall& call, const Block& block, const Sums& sums) {
  namespace base = arch_avx512_vnni;
  constexpr std::size_t rows = 4 / Vectors;
  const std::size_t last = block.valid - (Vectors - 1) * lanes;
  const auto last_columns = static_cast<__mmask16>((1U << (last < lanes ? last : lanes)) - 1U);
  base::Scale scale[Vectors];
#pragma GCC unroll 2
  for (int v = 0; v != Vectors; ++v) {
    const std::size_t column = block.column + static_cast<std::size_t>(v * lanes);
    scale[v] = base::load_scale(call.stage.mantissa + column, call.stage.shift + column);
  }
  const Target target = call.target;
  const std::size_t stride = call.out_stride;
  std::uint8_t* out = call.codes + block.row * call.out_stride + block.column;
  for (std::size_t row = 0; row < block.height; row += rows, out += rows * stride) {
    Vector codes[4];
#pragma GCC unroll 4
    for (int i = 0; i != 4; ++i)
      codes[i] = base::doubled<Left>(
          base::load_sums(sums[row + static_cast<std::size_t>(i / Vectors)] + i % Vectors * lanes), scale[i % Vectors]);
    const base::Bytes bytes = base::packed(codes, target);
#pragma GCC unroll 4
    for (int i = 0; i != 4; ++i) {
      const auto down = static_cast<std::size_t>(i / Vectors);
      if (row + down >= block.height) break;
      std::uint8_t* const to = out + down * stride + i % Vectors * lanes;
      if (i % Vectors != Vectors - 1 || last >= lanes)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), base::quarter(bytes, i));
      else
        _mm_mask_storeu_epi8(to, last_columns, base::quarter(bytes, i));
    }
  }
}

FAT_KERNEL_INLINE void store_sums(const TileCall& call, const Block& block, const Sums& sums) {
  namespace base = arch_avx512_vnni;
  std::int32_t* out = call.sums + block.row * call.out_stride + block.column;
  for (std::size_t row = 0; row != block.height; ++row, out += call.out_stride)
    if (block.valid >= 2 * lanes) {
      base::store_sums(out, base::load_sums(sums[row]));
      base::store_sums(out + lanes, base::load_sums(sums[row] + lanes));
    } else
      __builtin_memcpy(out, sums[row], block.valid * sizeof *out);
}

FAT_KERNEL_INLINE void store(const TileCall& call, const Block& block, const Sums& sums) {
  const bool left = call.stage.left;
  if (call.sums != nullptr) return store_sums(call, block, sums);
  if (block.right()) return left ? store_codes<2, true>(call, block, sums) : store_codes<2, false>(call, block, sums);
  left ? store_codes<1, true>(call, block, sums) : store_codes<1, false>(call, block, sums);
}

/// call.rows rows times one panel, in blocks of equal height, of which the last may overlap the one before: shapes are set
/// once, which costs as much as a hundred multiplications. The depth is a multiple of the chunks that padded_groups cuts it
/// into. While the tiles of a block are multiplied, the sums of the one before become codes.
inline void block(const TileCall& call) {
  alignas(64) Sums sums;
  const std::size_t chunks = (call.panel.quads + tile_groups - 1) / tile_groups, groups = call.panel.quads / chunks;
  const std::size_t b_stride = (call.columns + lanes - 1) / lanes * lanes * 4;
  const std::size_t blocks = (call.rows + block_rows - 1) / block_rows;
  Block before, now;
  now.height = (call.rows + blocks - 1) / blocks;
  if (call.begins) shape_tiles(now.height, groups);
  for (std::size_t i = 0; i != blocks; ++i) {
    now.row = i + 1 == blocks ? call.rows - now.height : i * now.height;
    for (now.column = 0; now.column < call.columns; now.column += 2 * lanes) {
      now.valid = call.columns - now.column;
      multiply(call, now, b_stride, chunks, groups);
      if (before.height != 0) store(call, before, sums);
      store_tiles(now, sums);
      before = now;
    }
  }
  store(call, before, sums);
  if (call.ends) _tile_release();
}

/// Groups of four that weights of `groups` groups are padded to: a whole number of equal multiplications.
constexpr std::size_t padded_groups(std::size_t groups) {
  const std::size_t chunks = (groups + tile_groups - 1) / tile_groups;
  return (groups + chunks - 1) / chunks * chunks;
}

/// Shallow products and all else are those of AVX-512 VNNI.
constexpr Kernels with_blocks(Kernels k) {
  k.name = "amx";
  k.block = block;
  k.block_rows = block_rows;
  k.block_groups = 6;
  k.padded_groups = padded_groups;
  return k;
}
inline constexpr Kernels kernels = with_blocks(arch_avx512_vnni::kernels);

}  // namespace kernel::arch_amx
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
