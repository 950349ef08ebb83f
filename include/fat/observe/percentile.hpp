// Percentile: limits that leave out a given share of the values at each end, from a histogram of bounded size.
#ifndef FAT_OBSERVE_PERCENTILE_HPP_INCLUDED
#define FAT_OBSERVE_PERCENTILE_HPP_INCLUDED

#include <fat/fwd.hpp>
#include <fat/observe/extremes.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fat::inline FAT_ABI {

/// Keeps `percent` percent of the values: half of the rest lies below the low limit, half above the high one. The
/// histogram has 4096 bins whose common width is a power of two and doubles when a value falls outside, so the limits
/// are exact to one bin width (at most 1/1024 of the extremes' distance from 0), never beyond the extremes, and do not
/// depend on the order of the data or on how it was split over threads.
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
    if (n == 0) return;
    const Extremes run = extremes_run(x, n);
    extremes_ += run;
    widen(std::max(std::abs(run.low), std::abs(run.high)));
    const double bins_per_unit = std::ldexp(1.0, -exponent_);
    for (std::size_t i = 0; i != n; ++i) {
      const double position = static_cast<double>(x[i]) * bins_per_unit;
      const auto towards_zero = static_cast<std::int32_t>(position);
      const std::int32_t bin = towards_zero - (static_cast<double>(towards_zero) > position ? 1 : 0);
      ++counts_[static_cast<std::size_t>(bin + static_cast<std::int32_t>(bins / 2))];
    }
    total_ += n;
  }
  void merge(const Percentile& other) {
    if (other.total_ == 0) return;
    extremes_ += other.extremes_;
    if (total_ == 0) reset(other.exponent_);
    Percentile aligned = other;
    aligned.coarsen(exponent_);
    coarsen(aligned.exponent_);
    for (std::size_t bin = 0; bin != bins; ++bin) counts_[bin] += aligned.counts_[bin];
    total_ += other.total_;
  }
  Interval<double> range() const {
    if (total_ == 0) return {};
    const double cut = static_cast<double>(total_) * (100.0 - percent) / 200.0;
    const auto left_out = static_cast<std::uint64_t>(cut);
    std::size_t low = 0;
    for (std::uint64_t below = counts_[0]; below <= left_out; below += counts_[low]) ++low;
    std::size_t high = bins - 1;
    for (std::uint64_t above = counts_[high]; above <= left_out; above += counts_[high]) --high;
    return {std::max(extremes_.low, edge(low)), std::min(extremes_.high, edge(high + 1))};
  }

 private:
  static constexpr std::size_t bins = 4096;
  static constexpr double half = bins / 2;

  double edge(std::size_t bin) const { return std::ldexp(static_cast<double>(bin) - half, exponent_); }
  void reset(int exponent) {
    exponent_ = exponent;
    counts_.assign(bins, 0);
  }
  /// Makes room for values of this magnitude.
  void widen(double magnitude) {
    // 2^e > magnitude, so that both -magnitude and magnitude fall into [-half, half) bins of width 2^e / half
    const int above = magnitude == 0.0 ? smallest_exponent : std::max(std::ilogb(magnitude) + 1, smallest_exponent);
    const int needed = above - 11;
    if (total_ == 0)
      reset(needed);
    else
      coarsen(needed);
  }
  /// Doubles the bin width until it is 2^exponent; does nothing where it is that wide already.
  void coarsen(int exponent) {
    // after 12 doublings every count lies beside 0, where more of them change nothing
    for (int doubling = std::clamp(exponent - exponent_, 0, 12); doubling != 0; --doubling) {
      // bin b covers [b - half, b - half + 1) widths; pairs that start at an even distance from 0 join
      for (std::size_t side = 0; side != bins / 4; ++side) {
        const std::size_t up = bins / 2 + side;
        counts_[up] = counts_[up + side] + counts_[up + side + 1];
        const std::size_t down = bins / 2 - 1 - side;
        counts_[down] = counts_[down - side] + counts_[down - side - 1];
      }
      std::fill_n(counts_.begin(), bins / 4, std::uint64_t{0});
      std::fill_n(counts_.end() - static_cast<std::ptrdiff_t>(bins / 4), bins / 4, std::uint64_t{0});
    }
    exponent_ = std::max(exponent_, exponent);
  }
  static constexpr int smallest_exponent = -1000;

  std::vector<std::uint64_t> counts_;
  Extremes extremes_;
  std::uint64_t total_ = 0;
  int exponent_ = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
