// ColumnTable: what the sums of each output channel start from and are multiplied by, laid out for the kernels.
#ifndef FAT_MODEL_INTEGER_COLUMNS_HPP_INCLUDED
#define FAT_MODEL_INTEGER_COLUMNS_HPP_INCLUDED

#include <fat/kernel/requantize_rows.hpp>
#include <fat/model/integer/layer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {
namespace detail {

/// How the sums of a layer lie: `size` places for `channels` channels, each sum of `terms` products.
struct ColumnLayout {
  std::size_t channels = 0, size = 0, terms = 0;
  std::int32_t offset = 0;        ///< what the kernels add to every input byte
  bool zeros_in_weights = false;  ///< weights are multiplied as they are coded, with their zero points in them
};

/// The shift of a ColumnStage.
inline int stage_shift(FixedPointMultiplier m) { return m.mantissa == 0 ? 1 : -1 - m.shift; }

class ColumnTable {
 public:
  ColumnTable() = default;
  /// column_sum(c) adds up the weights of channel c, place(c) says where it lies; largest: the magnitude that the sums
  /// of each channel can reach.
  template <class Sum, class Place>
  ColumnTable(const IntegerSite& site, const WeightEncoding& w, const ColumnLayout& layout,
              const std::vector<std::int64_t>& largest, Sum column_sum, Place place)
      : y_(site.y), start_(layout.size + 64, 0), mantissa_(layout.size + 64, 0), shift_(layout.size + 64, 1) {
    asymmetric_ = layout.zeros_in_weights &&
                  std::any_of(w.zero_point.begin(), w.zero_point.end(), [](std::int32_t z) { return z != 0; });
    fast_ = !asymmetric_ && site.rounding != ProductRounding::twice;
    const ByteGrid& x = site.x[0];
    std::vector<FixedPointMultiplier> multipliers;
    for (std::size_t c = 0; c != layout.channels; ++c) {
      const auto m = product_multiplier(x, w, c, y_);
      const std::int64_t zero = w.channel_zero_point(c);
      std::int64_t start = std::int64_t{w.bias[c]} + std::int64_t{layout.offset - x.zero} * column_sum(c);
      if (layout.zeros_in_weights) start += std::int64_t{x.zero} * zero * static_cast<std::int64_t>(layout.terms);
      start_[place(c)] = static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::uint64_t>(start)));
      const int shift = stage_shift(m);
      const int left = std::max(1 - shift, 0);
      left_ = left_ || left != 0;
      // |sum| <= 255 * 255 * terms + |bias|
      const double bound = 65025.0 * static_cast<double>(layout.terms) + std::abs(static_cast<double>(w.bias[c]));
      if (left > 15 || std::ldexp(bound, left) >= 2147483647.0) fast_ = false;
      // without halves there is nothing that the kernels, which round them up, could do wrong
      if (site.rounding == ProductRounding::once_even && has_halves(m, largest[c])) fast_ = false;
      mantissa_[place(c)] = m.mantissa;
      shift_[place(c)] = static_cast<std::int8_t>(std::clamp(shift, -100, 100));
      multipliers.push_back(m);
      if (asymmetric_) weight_zeros_.push_back(w.channel_zero_point(c));
    }
    rows_ = {std::move(multipliers), site.rounding};
  }

  /// Whether the kernels' requantization holds for every column; if not, sums are finished by finish().
  bool fast() const noexcept { return fast_; }
  /// Whether weight zero points have to be taken from the sums: sum of the inputs times weight_zero(channel).
  bool asymmetric() const noexcept { return asymmetric_; }
  std::int32_t weight_zero(std::size_t channel) const { return weight_zeros_[channel]; }

  const std::int32_t* start(std::size_t at) const { return start_.data() + at; }
  kernel::ColumnStage stage(std::size_t at) const {
    return {start_.data() + at, mantissa_.data() + at, shift_.data() + at, left_};
  }
  kernel::Target target() const {
    return {y_.zero, static_cast<std::uint8_t>(y_.low), static_cast<std::uint8_t>(y_.high)};
  }
  /// Codes of `channels` sums from a channel on, for each of `rows`.
  void finish(const std::int32_t* sums, std::size_t rows, std::size_t channel, std::size_t channels,
              std::uint8_t* y) const {
    rows_.finish(sums, rows, channel, channels, y_.zero, y_.low, y_.high, y);
  }
  /// For layers that never call finish().
  void forget_multipliers() { rows_ = {}; }

  std::size_t memory() const noexcept {
    return (start_.size() + mantissa_.size()) * 4 + shift_.size() + rows_.memory();
  }

 private:
  ByteGrid y_;
  std::vector<std::int32_t> start_, mantissa_, weight_zeros_;
  std::vector<std::int8_t> shift_;
  RowRequantizer rows_;
  bool fast_ = false, asymmetric_ = false, left_ = false;
};

}  // namespace detail
}  // namespace fat::inline FAT_ABI

#endif
