// Params: the grids a quantizer made of ranges, with the step and zero point of every channel.
#ifndef FAT_QUANTIZER_PARAMS_HPP_INCLUDED
#define FAT_QUANTIZER_PARAMS_HPP_INCLUDED

#include <fat/quantizer/grid_table.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fat::inline FAT_ABI {

/// One grid for each channel.
template <RealScalar Real>
class Params {
 public:
  explicit Params(GridTable<Real> grids) : grids_(std::move(grids)) {
    for (std::size_t c = 0; c != channels(); ++c) largest_ = std::max(largest_, grids_[c].step);
  }

  std::size_t channels() const noexcept { return grids_.channels(); }
  /// The step to show and to export: always > 0. A dead channel takes the largest step of the live ones, 1 if none is
  /// live.
  Real scale(std::size_t channel = 0) const {
    const Real step = grid(channel).step;
    return step > Real{0} ? step : largest_ > Real{0} ? largest_ : Real{1};
  }
  std::int32_t zero_point(std::size_t channel = 0) const { return grid(channel).zero_point; }
  /// The arithmetic of a channel; a dead one has step 0.
  Grid<Real> grid(std::size_t channel = 0) const {
    expects(channel < channels(), "Params: channel ", channel, " of ", channels());
    return grids_[channel];
  }
  const GridTable<Real>& grids() const noexcept { return grids_; }
  bool operator==(const Params&) const = default;

 private:
  GridTable<Real> grids_;
  Real largest_{};
};

}  // namespace fat::inline FAT_ABI

#endif
