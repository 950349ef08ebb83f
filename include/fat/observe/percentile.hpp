// Percentile: limits that leave out a given share of the values at each end, from a histogram of bounded size.
#ifndef FAT_OBSERVE_PERCENTILE_HPP_INCLUDED
#define FAT_OBSERVE_PERCENTILE_HPP_INCLUDED

#include <fat/observe/clipping.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {

/// Keeps `percent` percent of the values other than 0: half of the rest lies below the low limit, half above the high
/// one. The limits are exact to one bin of Histogram and never beyond the extremes. Where they would make the squared
/// error more than `most_error` times that of the extremes, both move towards those until they do not: what the rule
/// cuts off shall be worth its finer step.
class Percentile {
 public:
  /// Share of the values to keep, in percent.
  double percent = 99.99;
  /// Steps of the grid: 255 for eight bits. Its error decides how far the limits may cut.
  int levels = 255;
  /// Times the squared error of the extremes; infinity for the percentile alone.
  double most_error = most_clipping_error;

  Percentile() = default;
  explicit Percentile(double keep, int steps = 255, double most = most_clipping_error)
      : percent(keep), levels(steps), most_error(most) {
    expects(keep > 0.0 && keep <= 100.0, "Percentile: ", keep, " percent; choose above 0 and at most 100");
    expects(steps >= 1, "Percentile: ", steps, " levels; give at least 1");
    expects(most >= 1.0, "Percentile: at most ", most, " times the error of the extremes; choose at least 1");
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
    const Interval<double> kept{std::max(extremes.low, seen_.edge(low)), std::min(extremes.high, seen_.edge(high + 1))};
    return limited_range(seen_, kept, levels, most_error);
  }

 private:
  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
