// Clipping: candidate ranges inside the extremes of a histogram, from which an observer takes the one of least cost.
#ifndef FAT_OBSERVE_CLIPPING_HPP_INCLUDED
#define FAT_OBSERVE_CLIPPING_HPP_INCLUDED

#include <fat/observe/histogram.hpp>

#include <cstddef>
#include <limits>

namespace fat::inline FAT_ABI {

/// The range of least `cost(low, high)` among shares of the extremes: each end that lies beyond 0 is cut to 1, 1 -
/// 1/64, ... 1/64 of itself, both ends on their own. An end on the other side of 0 is 0, as grids hold 0 anyway. Of
/// equals the wider.
template <class Cost>
Interval<double> cheapest_range(const Extremes& extremes, Cost&& cost) {
  constexpr int steps = 64;
  const Interval<double> whole{std::min(extremes.low, 0.0), std::max(extremes.high, 0.0)};
  Interval<double> best = whole;
  double least = std::numeric_limits<double>::infinity();
  for (int i = steps; i >= (whole.low < 0.0 ? 1 : steps); --i)
    for (int j = steps; j >= (whole.high > 0.0 ? 1 : steps); --j) {
      const Interval<double> range{whole.low * i / steps, whole.high * j / steps};
      const double found = cost(range.low, range.high);
      if (!(found < least)) continue;
      least = found;
      best = range;
    }
  // Where nothing was cut, the extremes themselves.
  return {extremes.low > best.low ? extremes.low : best.low, extremes.high < best.high ? extremes.high : best.high};
}

}  // namespace fat::inline FAT_ABI

#endif
