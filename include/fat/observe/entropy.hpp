// Entropy: the range whose grid loses the least information on the values seen, by Kullback-Leibler divergence.
#ifndef FAT_OBSERVE_ENTROPY_HPP_INCLUDED
#define FAT_OBSERVE_ENTROPY_HPP_INCLUDED

#include <fat/observe/clipping.hpp>

#include <cmath>
#include <vector>

namespace fat::inline FAT_ABI {

/// For each candidate: P is the distribution over the bins inside, with the values outside added to the bins at the
/// ends; Q gives every level of the grid the values inside that it stands for, spread evenly over its non-empty bins.
/// The candidate of least divergence D(P || Q) is taken. A bin where Q has nothing and P has something counts as a
/// divergence of its share times `unmatched`.
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
    std::vector<double> before(Histogram::bins + 1);
    for (std::size_t bin = 0; bin != Histogram::bins; ++bin)
      before[bin + 1] = before[bin] + static_cast<double>(seen_.count(bin));
    return cheapest_range(seen_.extremes(), [&](double low, double high) {
      const std::size_t first = seen_.bins_below(low);
      const std::size_t last = seen_.bins_below(high);
      if (last <= first) return unmatched;
      return divergence(first, last, before[first], before.back() - before[last]);
    });
  }

 private:
  /// D(P || Q) over the bins [first, last), `below` and `above` values lying outside.
  double divergence(std::size_t first, std::size_t last, double below, double above) const {
    const auto total = static_cast<double>(seen_.total());
    const double inside = total - below - above;
    double sum = 0.0;
    const std::size_t bins = last - first;
    const auto groups = std::min(static_cast<std::size_t>(levels) + 1, bins);
    for (std::size_t group = 0; group != groups; ++group) {
      const std::size_t from = first + group * bins / groups;
      const std::size_t to = first + (group + 1) * bins / groups;
      double mass = 0.0;
      double filled = 0.0;
      for (std::size_t bin = from; bin != to; ++bin) {
        mass += static_cast<double>(seen_.count(bin));
        filled += seen_.count(bin) != 0 ? 1.0 : 0.0;
      }
      for (std::size_t bin = from; bin != to; ++bin) {
        auto p = static_cast<double>(seen_.count(bin));
        const double q = p != 0.0 ? mass / filled / inside : 0.0;
        if (bin == first) p += below;
        if (bin + 1 == last) p += above;
        p /= total;
        if (p > 0.0) sum += q > 0.0 ? p * std::log(p / q) : p * unmatched;
      }
    }
    return sum;
  }

  Histogram seen_;
};

}  // namespace fat::inline FAT_ABI

#endif
