// Ranges: one interval of reals for each channel, what calibration hands to a quantizer.
#ifndef FAT_QUANTIZER_RANGES_HPP_INCLUDED
#define FAT_QUANTIZER_RANGES_HPP_INCLUDED

#include <fat/quantizer/grid.hpp>

#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// One interval for each channel; a single one where the quantizer is Scalar. A lone Interval converts.
template <RealScalar Real>
class Ranges {
 public:
  using value_type = Interval<Real>;

  Ranges() = default;
  Ranges(const Interval<Real>& interval) : intervals_{interval} {}
  Ranges(std::initializer_list<Interval<Real>> intervals) : intervals_(intervals) {}
  explicit Ranges(std::vector<Interval<Real>> intervals) : intervals_(std::move(intervals)) {}

  std::size_t size() const noexcept { return intervals_.size(); }
  Interval<Real>& operator[](std::size_t channel) { return intervals_[channel]; }
  const Interval<Real>& operator[](std::size_t channel) const { return intervals_[channel]; }
  auto begin() const noexcept { return intervals_.begin(); }
  auto end() const noexcept { return intervals_.end(); }
  bool operator==(const Ranges&) const = default;

 private:
  std::vector<Interval<Real>> intervals_;
};

}  // namespace fat::inline FAT_ABI

#endif
