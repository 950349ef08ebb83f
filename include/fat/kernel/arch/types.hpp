// What the driver and the micro-kernels of every instruction set agree on: call blocks, packed panels, one table each.
#ifndef FAT_KERNEL_ARCH_TYPES_HPP_INCLUDED
#define FAT_KERNEL_ARCH_TYPES_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Consecutive columns of packed weights. The depth is cut in groups of four; groups [0, quads) of `order` are
/// multiplied byte by byte, the others as 16-bit pairs (only where the instruction set needs the difference).
struct Panel {
  const std::int8_t* weights = nullptr;
  /// Group numbers in packed order; null: 0, 1, 2...
  const std::uint16_t* order = nullptr;
  std::size_t quads = 0;
  std::size_t pairs = 0;
};

/// Codes that sums become: clamp(zero point + rounded sum, low, high).
struct Target {
  std::int32_t zero_point = 0;
  std::uint8_t low = 0;
  std::uint8_t high = 255;
};

/// Constants of the output columns of a panel: rounded sum = round(sum * mantissa / 2^(32 + shift)), halves up, computed
/// as (twice + 1) >> 1 with twice = high half of ((sum << left) * mantissa) >> right, left = max(1 - shift, 0) and
/// right = max(shift, 1) - 1. `twice` may be held to 16 bits before it is rounded: codes have 8. Packing proves that the
/// shift to the left does not overflow.
struct ColumnStage {
  /// Start of the sums: bias and the correction for zero points.
  const std::int32_t* start = nullptr;
  const std::int32_t* mantissa = nullptr;
  const std::int8_t* shift = nullptr;
  bool left = true;  ///< whether any sum has to be shifted to the left; rarely, as multipliers are below 1/4
};

/// rows x columns outputs: rows of A (bytes, and the same as 16-bit numbers where a panel has pairs) times one panel.
struct TileCall {
  /// A multiple of the tile's.
  std::size_t rows = 0;
  /// For Kernels::block only: of consecutive calls with the same rows and depth one begins and one ends.
  bool begins = true;
  bool ends = true;
  const std::uint8_t* a = nullptr;
  std::size_t a_stride = 0;
  /// Scratch memory of PackedProduct::scratch(), which begins with the widened rows of A.
  std::int16_t* wide = nullptr;
  std::size_t wide_stride = 0;
  Panel panel;
  ColumnStage stage;
  Target target;
  /// Valid columns; fewer than the vectors hold in the last panel.
  std::size_t columns = 0;
  /// Elements from row to row of the output.
  std::size_t out_stride = 0;
  /// The output: sums where that is not null, else codes.
  std::int32_t* sums = nullptr;
  std::uint8_t* codes = nullptr;
};

/// Moves a call `rows` rows down.
constexpr void advance(TileCall& call, std::size_t rows) {
  call.a += rows * call.a_stride;
  if (call.wide != nullptr) call.wide += rows * call.wide_stride;
  if (call.sums != nullptr) call.sums += rows * call.out_stride;
  if (call.codes != nullptr) call.codes += rows * call.out_stride;
}

/// One output row segment of a depthwise convolution: `columns` output pixels of all channels.
struct DepthwiseCall {
  /// taps[t] points to the input pixel of tap t for the first output pixel; each moves by `step` bytes per output
  /// pixel.
  const std::uint8_t* const* taps = nullptr;
  std::size_t tap_count = 0;
  std::size_t step = 0;
  std::size_t channels = 0;
  /// Tap pairs interleaved by channel: [ceil(taps / 2)][channels][2].
  const std::int16_t* weights = nullptr;
  ColumnStage stage;
  Target target;
  std::size_t columns = 0;
};

/// One output row of a depthwise 3 x 3 convolution with stride 1 or 2. Channels come in blocks of 4 * lanes (the last
/// is shorter, a multiple of 4); channel c of a block has place place_in_block(c, lanes), which is how `weights` (bytes
/// [block] [kernel column][place][kernel row, and 0]) and the arrays of the stage, padded to whole blocks, are laid
/// out.
struct Depthwise3x3Call {
  /// Input rows under the kernel's rows; null where that is outside the image.
  const std::uint8_t* rows[3] = {};
  std::size_t in_width = 0, out_width = 0, channels = 0, stride = 1, pad_left = 0;
  /// What lies outside the image: the zero point.
  std::uint8_t outside = 0;
  const std::int8_t* weights = nullptr;
  ColumnStage stage;
  Target target;
};

/// Bytes are interleaved in each 128 bits on their own: 4 channels of every 16 go to one of four vectors of 32-bit
/// lanes.
constexpr std::size_t place_in_block(std::size_t channel, std::size_t lanes) {
  return channel % 16 / 4 * lanes + channel / 16 * 4 + channel % 4;
}

/// codes = requantized sum of two tensors of codes (AddStage); the shifts are as in ColumnStage.
struct AddCall {
  const std::uint8_t* a = nullptr;
  const std::uint8_t* b = nullptr;
  std::size_t size = 0;
  std::int32_t a_zero = 0, b_zero = 0;
  std::int32_t a_mantissa = 0, b_mantissa = 0, mantissa = 0;
  std::int8_t a_shift = 0, b_shift = 0, shift = 0;
  Target target;
};

using Tile = void (*)(const TileCall&);

/// Everything one instruction set does. A tile covers `rows` x (`vectors` * `lanes`) outputs or less, one of a single
/// vector `narrow_rows`.
struct Kernels {
  static constexpr int max_rows = 12;
  static constexpr int max_vectors = 4;

  const char* name = "";
  std::size_t rows = 0;
  std::size_t narrow_rows = 0;
  std::size_t vectors = 0;
  std::size_t lanes = 0;
  /// Byte products saturate unless packing proves the contrary, so some groups are kept as 16-bit pairs.
  bool saturates = false;
  /// Weights are packed and rows of A widened as floats; products and sums of a block lie behind the rows.
  bool floats = false;
  /// Depth of one multiplication: weights are packed [depth / group][columns][group].
  std::size_t group = 4;
  /// What the micro-kernel subtracts from every byte of A.
  std::int32_t offset = 0;
  /// Tiles below one another, indexed by vectors - 1 and rows of one tile - 1.
  Tile tiles[max_vectors][max_rows] = {};
  /// Any number of rows times one panel, for weights of at least block_groups groups of four, padded to padded_groups of
  /// them; null where tiles do all the work. block_rows at a time fill its registers.
  Tile block = nullptr;
  std::size_t block_rows = 0;
  std::size_t block_groups = 0;
  std::size_t (*padded_groups)(std::size_t groups) = nullptr;
  void (*depthwise)(const DepthwiseCall&, std::uint8_t* out) = nullptr;
  /// Null where there is none.
  void (*depthwise3x3)(const Depthwise3x3Call&, std::uint8_t* out) = nullptr;
  void (*add)(const AddCall&, std::uint8_t* out) = nullptr;
  void (*widen)(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) = nullptr;
};

}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#endif
