// MovingAverage: exponential means of each run's least and greatest value; one odd image moves them little.
#ifndef FAT_OBSERVE_MOVING_AVERAGE_HPP_INCLUDED
#define FAT_OBSERVE_MOVING_AVERAGE_HPP_INCLUDED

#include <fat/fwd.hpp>
#include <fat/observe/extremes.hpp>

#include <cmath>

namespace fat::inline FAT_ABI {

/// After runs with extremes e_1 .. e_k the limits are sum d^(k-i) e_i / sum d^(k-i), d = `decay`: a weighted mean
/// without bias to the first run. The order of the runs matters; merge(other) counts the other's runs as the later
/// ones.
class MovingAverage {
 public:
  /// Weight of the past against each new run, 0 to 1.
  double decay = 0.99;

  MovingAverage() = default;
  explicit MovingAverage(double past_weight) : decay(past_weight) {
    expects(past_weight >= 0.0 && past_weight <= 1.0, "MovingAverage: decay ", past_weight, "; choose 0 to 1");
  }
  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    if (n == 0) return;
    const Extremes run = extremes_run(x, n);
    add({run.low, run.high, 1.0, 1.0});
  }
  void merge(const MovingAverage& other) { add(other.sums_); }
  Interval<double> range() const noexcept {
    return sums_.weight == 0.0 ? Interval<double>{}
                               : Interval<double>{sums_.low / sums_.weight, sums_.high / sums_.weight};
  }

 private:
  struct Sums {
    double low = 0.0;
    double high = 0.0;
    double weight = 0.0;
    double runs = 0.0;
  };
  void add(const Sums& later) {
    const double fade = std::pow(decay, later.runs);
    sums_ = {sums_.low * fade + later.low, sums_.high * fade + later.high, sums_.weight * fade + later.weight,
             sums_.runs + later.runs};
  }
  Sums sums_;
};

}  // namespace fat::inline FAT_ABI

#endif
