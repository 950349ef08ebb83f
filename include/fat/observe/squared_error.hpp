// SquaredError: the range whose grid has the least mean squared error on the values seen, clipping against step size.
#ifndef FAT_OBSERVE_SQUARED_ERROR_HPP_INCLUDED
#define FAT_OBSERVE_SQUARED_ERROR_HPP_INCLUDED

#include <fat/observe/clipping.hpp>

namespace fat::inline FAT_ABI {

/// The range of least ClippingError: rounding inside it, clipping outside. Zeros and values on the extremes are without
/// error.
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
    const Interval<double> best = cheapest_range(seen_, ClippingError{seen_, levels});
    return limited_range(seen_, best, levels, 1.0);  // an estimate of few values may be wrong
  }

 private:
  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
