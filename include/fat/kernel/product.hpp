// PackedProduct: weights packed once for one instruction set, and the driver that runs its micro-kernels over rows.
#ifndef FAT_KERNEL_PRODUCT_HPP_INCLUDED
#define FAT_KERNEL_PRODUCT_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/core/error.hpp>
#include <fat/kernel/arch/types.hpp>
#include <fat/kernel/requantize.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Weights of a product as they lie in memory: weight of (depth k, column n) at k * depth_stride + n * column_stride.
struct WeightView {
  const std::int8_t* data = nullptr;
  std::size_t depth = 0;
  std::size_t columns = 0;
  std::size_t depth_stride = 0;
  std::size_t column_stride = 0;
  std::int8_t at(std::size_t k, std::size_t n) const { return data[k * depth_stride + n * column_stride]; }
};

/// Panels of columns [first, last).
struct PanelRange {
  std::size_t first = 0;
  std::size_t last = 0;
};

/// Packed weights B [depth, columns]. Rows of A are read as bytes up to depth_padded(): what lies beyond depth is
/// multiplied by 0. Sums wrap around: what passes 32 bits on the way is right where the whole does not. Errors: no
/// weights, or a depth beyond 262140, whose groups of four are no longer counted in 16 bits.
class PackedProduct {
 public:
  PackedProduct() = default;
  PackedProduct(const Kernels& kernels, const WeightView& weights)
      : kernels_(&kernels), depth_(weights.depth), columns_(weights.columns), groups_((weights.depth + 3) / 4) {
    constexpr std::size_t deepest = 262140;
    expects(weights.data != nullptr && depth_ != 0 && columns_ != 0, "PackedProduct: the weights are empty");
    expects(depth_ <= deepest, "PackedProduct: a depth of ", depth_, " is too large; at most ", deepest);
    blocks_ = kernels.block != nullptr && groups_ >= kernels.block_groups;
    if (blocks_) groups_ = kernels.padded_groups(groups_);
    rows_ = blocks_ ? kernels.block_rows : kernels.rows;
    const std::size_t width = kernels.vectors * kernels.lanes;
    bytes_.reserve(columns_padded() * groups_ * 4 * (kernels.floats ? sizeof(float) : 1) + 64);
    for (std::size_t first = 0; first < columns_; first += width)
      pack_panel(weights, first, std::min(width, columns_ - first));
    bytes_.resize(bytes_.size() + 32);  // the last vector load of a panel of pairs may be read whole
    column_sums_.resize(columns_);
    for (std::size_t n = 0; n != columns_; ++n)
      for (std::size_t k = 0; k != depth_; ++k) column_sums_[n] += weights.at(k, n);
  }

  const Kernels& kernels() const noexcept { return *kernels_; }
  std::size_t depth() const noexcept { return depth_; }
  std::size_t columns() const noexcept { return columns_; }
  std::size_t depth_padded() const noexcept { return groups_ * 4; }
  /// Columns rounded up to whole vectors: the length of the arrays of a ColumnStage.
  std::size_t columns_padded() const noexcept {
    return (columns_ + kernels_->lanes - 1) / kernels_->lanes * kernels_->lanes;
  }
  const std::vector<std::int32_t>& column_sums() const noexcept { return column_sums_; }
  /// Bytes of packed weights and their index.
  std::size_t memory() const noexcept {
    return bytes_.size() + order_.size() * sizeof(std::uint16_t) + parts_.size() * sizeof(Part);
  }
  /// Share of the products that run as bytes, without 16-bit pairs.
  double byte_share() const noexcept {
    std::size_t quads = 0;
    for (const Part& part : parts_) quads += part.quads;
    return parts_.empty() ? 1.0 : static_cast<double>(quads) / static_cast<double>(parts_.size() * groups_);
  }

  /// Rows worked on together so that they stay in the first cache.
  std::size_t rows_at_once() const noexcept {
    return std::clamp<std::size_t>(16384 / depth_padded(), rows_, 384) / rows_ * rows_;
  }
  /// 16-bit elements of scratch memory for one worker.
  std::size_t scratch() const noexcept {
    if (kernels_->floats) return 2 * rows_at_once() * (depth_padded() + 2 * columns_padded());
    return widens_ ? rows_at_once() * depth_padded() + 32 : 0;
  }
  /// Panels of columns, which lie apart: different threads may work on different ones.
  std::size_t panels() const noexcept { return parts_.size(); }
  PanelRange all_panels() const noexcept { return {0, parts_.size()}; }
  /// Tiles that `rows` rows are cut into, as evenly as can be.
  std::size_t tiles(std::size_t rows) const noexcept { return (rows + rows_ - 1) / rows_; }

  /// out[rows, columns] = start + A * B in int32.
  void sums(const std::uint8_t* a, std::size_t stride, std::size_t rows, const std::int32_t* start,
            std::int16_t* scratch, std::int32_t* out, std::size_t out_stride) const {
    TileCall call;
    call.stage.start = start;
    call.out_stride = out_stride;
    call.sums = out;
    run(call, a, stride, rows, all_panels(), scratch);
  }
  /// out[rows, columns] = codes of start + A * B, in the columns of `panels`.
  void codes(const std::uint8_t* a, std::size_t stride, std::size_t rows, PanelRange panels, const ColumnStage& stage,
             const Target& target, std::int16_t* scratch, std::uint8_t* out, std::size_t out_stride) const {
    TileCall call;
    call.stage = stage;
    call.target = target;
    call.out_stride = out_stride;
    call.codes = out;
    run(call, a, stride, rows, panels, scratch);
  }

 private:
  struct Part {
    std::size_t at = 0;
    std::size_t quads = 0;
  };

  /// vpmaddubsw adds two products of a byte 0..255 and a weight in 16 bits: exact while the positive weights of the two
  /// add up to 128 at most, and the negative ones likewise.
  static bool free_of_saturation(const WeightView& w, std::size_t group, std::size_t first, std::size_t count) {
    for (std::size_t n = first; n != first + count; ++n)
      for (std::size_t k = 4 * group; k < std::min(4 * group + 4, w.depth); k += 2) {
        const int one = w.at(k, n), two = k + 1 < w.depth ? w.at(k + 1, n) : 0;
        if (std::max(one, 0) + std::max(two, 0) > 128 || std::min(one, 0) + std::min(two, 0) < -128) return false;
      }
    return true;
  }

  void append(std::int8_t weight) {
    if (!kernels_->floats) return bytes_.push_back(weight);
    const auto real = static_cast<float>(weight);
    bytes_.resize(bytes_.size() + sizeof real);
    std::memcpy(bytes_.data() + bytes_.size() - sizeof real, &real, sizeof real);
  }

  void pack_panel(const WeightView& w, std::size_t first, std::size_t count) {
    Part part{bytes_.size(), groups_};
    std::vector<std::uint16_t> order, pairs;
    for (std::size_t group = 0; group != groups_; ++group) {
      const bool quad = !kernels_->saturates || free_of_saturation(w, group, first, count);
      (quad ? order : pairs).push_back(static_cast<std::uint16_t>(group));
    }
    part.quads = order.size();
    order.insert(order.end(), pairs.begin(), pairs.end());
    widens_ = widens_ || kernels_->floats || !pairs.empty();
    const std::size_t width = (count + kernels_->lanes - 1) / kernels_->lanes * kernels_->lanes;
    for (std::size_t at = 0; at != groups_; ++at) {
      const std::size_t step = at < part.quads ? kernels_->group : 2;
      for (std::size_t k = 4 * order[at]; k != 4 * order[at] + 4u; k += step)
        for (std::size_t n = first; n != first + width; ++n)
          for (std::size_t inner = k; inner != k + step; ++inner)
            append(inner < depth_ && n < columns_ ? w.at(inner, n) : std::int8_t{0});
    }
    if (kernels_->saturates) order_.insert(order_.end(), order.begin(), order.end());
    parts_.push_back(part);
  }

  void run(const TileCall& call, const std::uint8_t* a, std::size_t stride, std::size_t rows, PanelRange panels,
           std::int16_t* scratch) const {
    const bool alone = panels.last - panels.first == 1 && !widens_;  // no panel after it reads the same rows
    const std::size_t count = tiles(rows), at_once = alone ? count : rows_at_once() / rows_;
    for (std::size_t first = 0; first < count; first += at_once) {
      const std::size_t top = first * rows / count, end = std::min(first + at_once, count) * rows / count;
      TileCall block = call;
      block.a = a;
      block.a_stride = stride;
      advance(block, top);
      block.rows = end - top;
      run_block(block, panels, scratch);
    }
  }

  /// Rows that stay in the first cache, times one panel after the other.
  void run_block(const TileCall& whole, PanelRange panels, std::int16_t* scratch) const {
    const std::size_t width = kernels_->vectors * kernels_->lanes;
    if (widens_)
      for (std::size_t row = 0; row != whole.rows; ++row)
        kernels_->widen(whole.a + row * whole.a_stride, depth_padded(),
                        scratch + row * depth_padded() * (kernels_->floats ? 2 : 1));
    for (std::size_t panel = panels.first; panel != panels.last; ++panel) {
      const std::size_t column = panel * width;
      TileCall call = whole;
      call.wide = widens_ ? scratch : nullptr;
      call.wide_stride = depth_padded();
      call.panel = {bytes_.data() + parts_[panel].at, order_.empty() ? nullptr : order_.data() + panel * groups_,
                    parts_[panel].quads, groups_ - parts_[panel].quads};
      call.columns = std::min(width, columns_ - column);
      call.stage.start += column;
      if (call.sums != nullptr)
        call.sums += column;
      else
        call.stage.mantissa += column, call.stage.shift += column, call.codes += column;
      if (blocks_) {
        call.begins = panel == panels.first;
        call.ends = panel + 1 == panels.last;
        kernels_->block(call);
      } else
        run_tiles(call);
    }
  }

  /// Rows of one panel in tiles as even as can be: so many of one row more, then those of one row less.
  void run_tiles(TileCall call) const {
    const std::size_t vectors = (call.columns + kernels_->lanes - 1) / kernels_->lanes;
    const std::size_t most = vectors == 1 ? kernels_->narrow_rows : kernels_->rows;
    const std::size_t rows = call.rows, count = (rows + most - 1) / most, low = rows / count, tall = rows % count;
    const auto below = [&](std::size_t height, std::size_t tiles) {
      call.rows = height * tiles;
      if (tiles != 0) kernels_->tiles[vectors - 1][height - 1](call);
    };
    below(low + 1, tall);
    advance(call, call.rows);
    below(low, count - tall);
  }

  const Kernels* kernels_ = nullptr;
  std::size_t depth_ = 0;
  std::size_t columns_ = 0;
  std::size_t groups_ = 0;
  std::size_t rows_ = 0;  ///< worked on by one call of a tile, or at a time by a block
  bool blocks_ = false;
  bool widens_ = false;  ///< rows of A are widened into scratch memory
  aligned_vector<std::int8_t> bytes_;
  std::vector<std::uint16_t> order_;
  std::vector<Part> parts_;
  std::vector<std::int32_t> column_sums_;
};

}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#endif
