// Clipping: what it costs to cut a range inside the extremes of a histogram, and the cut of least cost.
#ifndef FAT_OBSERVE_CLIPPING_HPP_INCLUDED
#define FAT_OBSERVE_CLIPPING_HPP_INCLUDED

#include <fat/observe/histogram.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace fat::inline FAT_ABI {

/// A range inside the extremes of a histogram, widened to 0, with the bins [first, last) that lie in it. An end that is
/// not cut is the extreme itself (or 0).
struct Cut {
  Interval<double> range;
  std::size_t first = 0;
  std::size_t last = 0;
  bool cuts_low = false;
  bool cuts_high = false;

  Cut(const Histogram& seen, const Interval<double>& whole, const Interval<double>& wanted)
      : range(wanted),
        first(seen.bin_of(whole.low)),
        last(whole.high > 0.0 ? seen.bin_of(whole.high) + 1 : Histogram::bins / 2),
        cuts_low(wanted.low > whole.low),
        cuts_high(wanted.high < whole.high) {
    if (cuts_low) first = seen.bins_below(range.low);
    if (cuts_high) last = seen.bins_below(range.high);
  }
  double width() const noexcept { return range.high - range.low; }
};

/// The extremes of a histogram, widened to hold 0 as grids do.
inline Interval<double> whole_range(const Histogram& seen) {
  return {std::min(seen.extremes().low, 0.0), std::max(seen.extremes().high, 0.0)};
}

/// The cut of least `cost(cut)` among shares of the extremes: each end that lies beyond 0 is cut to 1, 1 - 1/64, ...
/// 1/64 of itself, both ends on their own. An end on the other side of 0 is 0. Of equals the wider. Where nothing was
/// cut, the range is that of the extremes themselves.
template <class Cost>
Interval<double> cheapest_range(const Histogram& seen, Cost&& cost) {
  constexpr int steps = 64;
  constexpr double noise = 1e-9;  // of sums of doubles: costs that differ by less are equal
  const Interval<double> whole = whole_range(seen);
  Interval<double> best = whole;
  double least = std::numeric_limits<double>::infinity();
  for (int i = steps; i >= (whole.low < 0.0 ? 1 : steps); --i)
    for (int j = steps; j >= (whole.high > 0.0 ? 1 : steps); --j) {
      const Cut cut{seen, whole, {whole.low * i / steps, whole.high * j / steps}};
      const double found = cost(cut);
      const bool equal = found <= least * (1.0 + noise) && cut.width() > best.high - best.low;
      if (!(found < least * (1.0 - noise)) && !equal) continue;
      least = std::min(found, least);
      best = cut.range;
    }
  const Extremes& extremes = seen.extremes();
  return {std::max(extremes.low, best.low), std::min(extremes.high, best.high)};
}

/// Squared error of grids over ranges, summed over the values of a histogram. Inside: nothing for a value on an end
/// that was not cut, the value's own square where it is nearer to 0 than half a step (it becomes 0), else step^2 / 12;
/// step = width / levels. Outside: the square of the distance. Bins stand for their middles, those that become 0 for
/// their inner edges.
class ClippingError {
 public:
  /// Keeps a reference to the histogram.
  ClippingError(const Histogram& seen, int levels)
      : seen_(seen), levels_(levels), middles_(Histogram::bins + 1), inner_(Histogram::bins + 1) {
    for (std::size_t bin = 0; bin != Histogram::bins; ++bin) {
      const auto count = static_cast<double>(seen.count(bin));
      const double x = 0.5 * (seen.edge(bin) + seen.edge(bin + 1));
      const double inner = bin < Histogram::bins / 2 ? seen.edge(bin + 1) : seen.edge(bin);
      middles_[bin + 1] = {middles_[bin].count + count, middles_[bin].value + count * x,
                           middles_[bin].square + count * x * x};
      inner_[bin + 1] = inner_[bin] + count * inner * inner;
    }
  }

  double operator()(const Cut& cut) const {
    const double step = cut.width() / levels_;
    const std::size_t zero_begin = std::clamp(seen_.bins_below(-0.5 * step), cut.first, cut.last);
    const std::size_t zero_end = std::clamp(seen_.bins_below(0.5 * step), zero_begin, cut.last);
    double rounded = count(cut.first, zero_begin) + count(zero_end, cut.last);
    if (!cut.cuts_low && -cut.range.low > 0.5 * step) rounded -= static_cast<double>(seen_.at_low());
    if (!cut.cuts_high && cut.range.high > 0.5 * step) rounded -= static_cast<double>(seen_.at_high());
    return clipped(0, cut.first, cut.range.low) + clipped(cut.last, Histogram::bins, cut.range.high) +
           (inner_[zero_end] - inner_[zero_begin]) + std::max(rounded, 0.0) * step * step / 12.0;
  }
  /// Of the range that cuts nothing.
  double whole() const { return (*this)(Cut{seen_, whole_range(seen_), whole_range(seen_)}); }

  /// Values in the bins [first, last).
  double count(std::size_t first, std::size_t last) const { return middles_[last].count - middles_[first].count; }

 private:
  struct Sums {
    double count = 0.0;
    double value = 0.0;
    double square = 0.0;
  };
  /// Sum of (x - end)^2 over the values of the bins [first, last).
  double clipped(std::size_t first, std::size_t last, double end) const {
    const Sums &from = middles_[first], &to = middles_[last];
    const double sum =
        to.square - from.square - 2.0 * end * (to.value - from.value) + end * end * (to.count - from.count);
    return std::max(sum, 0.0);
  }

  const Histogram& seen_;
  double levels_;
  std::vector<Sums> middles_;  ///< sums over the bins before each
  std::vector<double> inner_;  ///< of squares of the edges next to 0
};

/// Squared error of the grid over a range that holds 0, summed over the values of a histogram; asymmetric, or symmetric
/// and signed. What becomes 0 stands for its inner edge, other bins for their middles.
inline double grid_error(const Histogram& seen, const Interval<double>& range, int levels, bool symmetric) {
  const int reach = std::max((levels - 1) / 2, 1);
  const double step = symmetric ? std::max(-range.low, range.high) / reach : (range.high - range.low) / levels;
  if (!(step > 0.0)) return 0.0;  // nothing but zeros
  const double lowest = symmetric ? -reach : -std::clamp<double>(std::nearbyint(-range.low / step), 0.0, levels);
  const double highest = symmetric ? reach : levels + lowest;
  const auto square = [&](double x, double inner) {
    const double code = std::clamp(std::nearbyint(x / step), lowest, highest);
    const double error = code == 0.0 ? inner : x - code * step;
    return error * error;
  };
  const Extremes& ends = seen.extremes();
  const std::size_t first = seen.bin_of(ends.low), last = seen.bin_of(ends.high);
  double sum = static_cast<double>(seen.at_low()) * square(ends.low, ends.low);
  if (ends.high != ends.low) sum += static_cast<double>(seen.at_high()) * square(ends.high, ends.high);
  for (std::size_t bin = first; bin <= last; ++bin) {
    std::uint64_t count = seen.count(bin);
    if (bin == first) count -= std::min(count, seen.at_low());
    if (bin == last && ends.high != ends.low) count -= std::min(count, seen.at_high());
    const double low = seen.edge(bin), high = seen.edge(bin + 1);
    if (count != 0) sum += static_cast<double>(count) * square(0.5 * (low + high), low < 0.0 ? high : low);
  }
  return sum;
}

/// Rules that do not look at squared errors may cost at most so many times the error of the extremes. Leaves room to 2
/// for what bins cannot tell.
inline constexpr double most_clipping_error = 1.5;

/// The range, its ends moved towards the extremes in 64 steps as far as it takes for its grid_error to be at most
/// `most` times that of the extremes.
inline Interval<double> limited_range(const Histogram& seen, const Interval<double>& wanted, int levels, double most) {
  if (most == std::numeric_limits<double>::infinity()) return wanted;
  constexpr int steps = 64;
  const Interval<double> whole{seen.extremes().low, seen.extremes().high};
  const auto error = [&](const Interval<double>& range, bool symmetric) {
    return grid_error(seen, with_zero(range), levels, symmetric);
  };
  const double least = error(whole, false), least_symmetric = error(whole, true);
  const auto between = [](double from, double to, int step) { return from + (to - from) * step / steps; };
  for (int step = 0; step != steps; ++step) {
    const Interval<double> range{between(wanted.low, whole.low, step), between(wanted.high, whole.high, step)};
    if (error(range, false) <= most * least && (whole.low >= 0.0 || error(range, true) <= most * least_symmetric))
      return range;
  }
  return whole;
}

}  // namespace fat::inline FAT_ABI

#endif
