// GridTable: the grids of all channels, one array for each number, so that neighbouring channels load as vectors.
#ifndef FAT_QUANTIZER_GRID_TABLE_HPP_INCLUDED
#define FAT_QUANTIZER_GRID_TABLE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/core/vector_loop.hpp>
#include <fat/quantizer/grid.hpp>

#include <array>
#include <cstddef>

namespace fat::inline FAT_ABI {

namespace detail {

/// What the loops read of a grid: codes per unit, step, lowest and highest centered code, zero point.
template <class Real>
using GridColumns = Columns<Real, 5>;

template <RealScalar Real>
constexpr std::array<Real, 5> grid_parameters(const Grid<Real>& grid) noexcept {
  return {grid.codes_per_unit, grid.step, static_cast<Real>(grid.code_min - grid.zero_point),
          static_cast<Real>(grid.code_max - grid.zero_point), static_cast<Real>(grid.zero_point)};
}

}  // namespace detail

/// One Grid for each channel. Only the constructor allocates; `set` may be called in every training step.
template <RealScalar Real>
class GridTable {
 public:
  GridTable() = default;
  /// `channels` dead grids.
  explicit GridTable(std::size_t channels) : channels_(channels), values_(5 * channels) {}

  std::size_t channels() const noexcept { return channels_; }
  /// Precondition: channel < channels().
  void set(std::size_t channel, const Grid<Real>& grid) noexcept {
    const auto parameters = detail::grid_parameters(grid);
    for (std::size_t k = 0; k != parameters.size(); ++k) values_[k * channels_ + channel] = parameters[k];
  }
  /// Precondition: channel < channels().
  Grid<Real> operator[](std::size_t channel) const noexcept {
    const auto p = columns().at(channel);
    return {p[0], p[1], static_cast<std::int32_t>(p[4]), static_cast<std::int32_t>(p[2] + p[4]),
            static_cast<std::int32_t>(p[3] + p[4])};
  }
  detail::GridColumns<Real> columns() const noexcept {
    detail::GridColumns<Real> view;
    for (std::size_t k = 0; k != view.column.size(); ++k) view.column[k] = values_.data() + k * channels_;
    return view;
  }
  bool operator==(const GridTable&) const = default;

 private:
  std::size_t channels_ = 0;
  aligned_vector<Real> values_;
};

}  // namespace fat::inline FAT_ABI

#endif
