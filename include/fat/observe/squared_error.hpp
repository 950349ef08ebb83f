// SquaredError: the range whose grid has the least mean squared error on the values seen, clipping against step size.
#ifndef FAT_OBSERVE_SQUARED_ERROR_HPP_INCLUDED
#define FAT_OBSERVE_SQUARED_ERROR_HPP_INCLUDED

#include <fat/observe/clipping.hpp>

#include <vector>

namespace fat::inline FAT_ABI {

/// Values inside the range err by step^2 / 12 in the mean (rounding), values outside by the square of their distance
/// from it (clipping); step = (high - low) / levels. Bins stand for their middles.
class SquaredError {
 public:
  /// Steps of the grid: 255 for eight bits.
  int levels = 255;

  SquaredError() = default;
  explicit SquaredError(int steps) : levels(steps) {
    expects(steps >= 1, "SquaredError: ", steps, " levels; give at least 1");
  }
  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    seen_.observe(x, n);
  }
  void merge(const SquaredError& other) { seen_.merge(other.seen_); }

  Interval<double> range() const {
    if (seen_.empty()) return {};
    // Sums over the bins before each: counts, values, squares; so that a candidate costs a few operations.
    std::vector<Sums> before(Histogram::bins + 1);
    for (std::size_t bin = 0; bin != Histogram::bins; ++bin) {
      const auto count = static_cast<double>(seen_.count(bin));
      const double x = 0.5 * (seen_.edge(bin) + seen_.edge(bin + 1));
      before[bin + 1] = {before[bin].count + count, before[bin].value + count * x, before[bin].square + count * x * x};
    }
    // sum of (x - end)^2 over the values of some bins
    const auto clipped = [](const Sums& first, const Sums& last, double end) {
      return last.square - first.square - 2.0 * end * (last.value - first.value) +
             end * end * (last.count - first.count);
    };
    return cheapest_range(seen_.extremes(), [&](double low, double high) {
      const Sums& below = before[seen_.bins_below(low)];
      const Sums& inside = before[seen_.bins_below(high)];
      const double step = (high - low) / levels;
      return clipped(before.front(), below, low) + clipped(inside, before.back(), high) +
             (inside.count - below.count) * step * step / 12.0;
    });
  }

 private:
  struct Sums {
    double count = 0.0;
    double value = 0.0;
    double square = 0.0;
  };
  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
