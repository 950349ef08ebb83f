// Entropy: the range whose grid loses the least information on the values seen, by Kullback-Leibler divergence.
#ifndef FAT_OBSERVE_ENTROPY_HPP_INCLUDED
#define FAT_OBSERVE_ENTROPY_HPP_INCLUDED

#include <fat/observe/clipping.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace fat::inline FAT_ABI {

/// For each candidate: P is the distribution over the bins inside, with the values outside added to the bins at the
/// ends; Q gives every level of the grid the values inside that it stands for, spread evenly over its non-empty bins.
/// The candidate of least divergence D(P || Q), times the values that it is of, is taken. A bin where Q has nothing and
/// P has something counts as a divergence of its share times `unmatched`. Zeros, and values on an extreme that is not
/// cut, have no part in P: they are without error. Candidates whose squared error is more than most_clipping_error
/// times that of the extremes are none.
class Entropy {
 public:
  /// Steps of the grid: 255 for eight bits.
  int levels = 255;
  static constexpr double unmatched = 20.0;

  Entropy() = default;
  explicit Entropy(int steps) : levels(steps) { expects(steps >= 1, "Entropy: ", steps, " levels; give at least 1"); }
  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    seen_.observe(x, n);
  }
  void merge(const Entropy& other) { seen_.merge(other.seen_); }

  Interval<double> range() const {
    if (seen_.empty()) return {};
    const ClippingError error{seen_, levels};
    const double most = most_clipping_error * error.whole();
    const Interval<double> best = cheapest_range(seen_, [&](const Cut& cut) {
      if (cut.last <= cut.first || error(cut) > most) return std::numeric_limits<double>::infinity();
      return divergence(cut, error.count(0, cut.first), error.count(cut.last, Histogram::bins));
    });
    return limited_range(seen_, best, levels, most_clipping_error);
  }

 private:
  /// D(P || Q) of a cut times its values, `below` and `above` of them lying outside.
  double divergence(const Cut& cut, double below, double above) const {
    const std::size_t lowest = seen_.bin_of(cut.range.low), highest = seen_.bin_of(cut.range.high);
    const auto values_of = [&](std::size_t bin) {
      std::uint64_t exact = 0;
      if (!cut.cuts_low && bin == lowest) exact += seen_.at_low();
      if (!cut.cuts_high && bin == highest) exact += seen_.at_high();
      const std::uint64_t all = seen_.count(bin);
      return static_cast<double>(all > exact ? all - exact : 0);
    };
    double inside = 0.0;
    for (std::size_t bin = cut.first; bin != cut.last; ++bin) inside += values_of(bin);
    const double total = inside + below + above;
    double sum = 0.0;
    const std::size_t bins = cut.last - cut.first;
    const auto groups = std::min(static_cast<std::size_t>(levels) + 1, bins);
    for (std::size_t group = 0; group != groups; ++group) {
      const std::size_t from = cut.first + group * bins / groups;
      const std::size_t to = cut.first + (group + 1) * bins / groups;
      double mass = 0.0;
      double filled = 0.0;
      for (std::size_t bin = from; bin != to; ++bin) {
        mass += values_of(bin);
        filled += values_of(bin) != 0.0 ? 1.0 : 0.0;
      }
      for (std::size_t bin = from; bin != to; ++bin) {
        double p = values_of(bin);
        const double q = p != 0.0 ? mass / filled / inside : 0.0;
        if (bin == cut.first) p += below;
        if (bin + 1 == cut.last) p += above;
        if (p > 0.0) sum += q > 0.0 ? p * std::log(p / total / q) : p * unmatched;
      }
    }
    return sum;
  }

  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
