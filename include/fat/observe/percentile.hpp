// Percentile: limits that leave out a given share of the values at each end, from a histogram of bounded size.
#ifndef FAT_OBSERVE_PERCENTILE_HPP_INCLUDED
#define FAT_OBSERVE_PERCENTILE_HPP_INCLUDED

#include <fat/observe/histogram.hpp>

#include <algorithm>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// Keeps `percent` percent of the values: half of the rest lies below the low limit, half above the high one. The
/// limits are exact to one bin of Histogram and never beyond the extremes.
class Percentile {
 public:
  /// Share of the values to keep, in percent.
  double percent = 99.99;

  Percentile() = default;
  explicit Percentile(double keep) : percent(keep) {
    expects(keep > 0.0 && keep <= 100.0, "Percentile: ", keep, " percent; choose above 0 and at most 100");
  }
  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    seen_.observe(x, n);
  }
  void merge(const Percentile& other) { seen_.merge(other.seen_); }
  Interval<double> range() const {
    if (seen_.empty()) return {};
    const double cut = static_cast<double>(seen_.total()) * (100.0 - percent) / 200.0;
    const auto left_out = static_cast<std::uint64_t>(cut);
    std::size_t low = 0;
    for (std::uint64_t below = seen_.count(0); below <= left_out; below += seen_.count(low)) ++low;
    std::size_t high = Histogram::bins - 1;
    for (std::uint64_t above = seen_.count(high); above <= left_out; above += seen_.count(high)) --high;
    const Extremes& extremes = seen_.extremes();
    return {std::max(extremes.low, seen_.edge(low)), std::min(extremes.high, seen_.edge(high + 1))};
  }

 private:
  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
