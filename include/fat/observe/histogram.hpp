// Histogram: how many values fell where, in a bounded number of bins that need not know the range beforehand.
#ifndef FAT_OBSERVE_HISTOGRAM_HPP_INCLUDED
#define FAT_OBSERVE_HISTOGRAM_HPP_INCLUDED

#include <fat/fwd.hpp>
#include <fat/observe/extremes.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fat::inline FAT_ABI {

/// 4096 bins around 0 whose common width is a power of two and doubles when a value falls outside, so the counts do not
/// depend on the order of the data or on how it was split over threads. The width is at most 1/1024 of the extremes'
/// distance from 0. Zeros are left out: every grid has them without error, so they say nothing of its range. How many
/// values equal the extremes is known as well: a clamp piles them up there, where a range that is not cut ends.
class Histogram {
 public:
  static constexpr std::size_t bins = 4096;

  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    if (n == 0) return;
    const Extremes run = extremes_run(x, n);
    Ends ends{run};
    widen(std::max(std::abs(run.low), std::abs(run.high)));
    const double bins_per_unit = std::ldexp(1.0, -exponent_);
    for (std::size_t i = 0; i != n; ++i) {
      const auto value = static_cast<double>(x[i]);
      if (value == 0.0) continue;
      ++total_;
      ends.at_low += value == run.low ? 1U : 0U;
      ends.at_high += value == run.high ? 1U : 0U;
      const double position = value * bins_per_unit;
      const auto towards_zero = static_cast<std::int32_t>(position);
      const std::int32_t bin = towards_zero - (static_cast<double>(towards_zero) > position ? 1 : 0);
      const std::int32_t place = bin + static_cast<std::int32_t>(bins / 2);
      ++counts_[static_cast<std::size_t>(place)];
    }
    ends_ += ends;
  }
  void merge(const Histogram& other) {
    ends_ += other.ends_;
    if (other.total_ == 0) return;
    if (total_ == 0) reset(other.exponent_);
    Histogram aligned = other;
    aligned.coarsen(exponent_);
    coarsen(aligned.exponent_);
    for (std::size_t bin = 0; bin != bins; ++bin) counts_[bin] += aligned.counts_[bin];
    total_ += other.total_;
  }

  /// Whether no value was seen but zeros.
  bool empty() const noexcept { return total_ == 0; }
  /// Values other than 0.
  std::uint64_t total() const noexcept { return total_; }
  std::uint64_t count(std::size_t bin) const { return counts_[bin]; }
  /// Lower edge of a bin; edge(bins) is the end of the last.
  double edge(std::size_t bin) const { return std::ldexp(static_cast<double>(bin) - half, exponent_); }
  /// How many bins lie below x, to the nearest edge.
  std::size_t bins_below(double x) const {
    const double bin = std::nearbyint((x - edge(0)) / (edge(1) - edge(0)));
    return static_cast<std::size_t>(std::clamp(bin, 0.0, static_cast<double>(bins)));
  }
  /// The bin that x falls into; of the first beyond them the last.
  std::size_t bin_of(double x) const {
    return static_cast<std::size_t>(std::clamp(std::floor(std::ldexp(x, -exponent_)) + half, 0.0, bins - 1.0));
  }
  /// Least and greatest value seen, exactly.
  const Extremes& extremes() const noexcept { return ends_.found; }
  /// How many values other than 0 equal the least, and the greatest.
  std::uint64_t at_low() const noexcept { return ends_.at_low; }
  std::uint64_t at_high() const noexcept { return ends_.at_high; }

 private:
  struct Ends {
    Extremes found;
    std::uint64_t at_low = 0, at_high = 0;
    Ends& operator+=(const Ends& other) noexcept {
      if (other.found.low <= found.low) at_low = other.at_low + (other.found.low == found.low ? at_low : 0);
      if (other.found.high >= found.high) at_high = other.at_high + (other.found.high == found.high ? at_high : 0);
      found += other.found;
      return *this;
    }
  };
  static constexpr double half = 0.5 * bins;

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
  Ends ends_;
  std::uint64_t total_ = 0;
  int exponent_ = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
