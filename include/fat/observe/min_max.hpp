// MinMax: the least and the greatest value ever seen.
#ifndef FAT_OBSERVE_MIN_MAX_HPP_INCLUDED
#define FAT_OBSERVE_MIN_MAX_HPP_INCLUDED

#include <fat/fwd.hpp>
#include <fat/observe/extremes.hpp>

namespace fat::inline FAT_ABI {

/// Exact, and independent of the order of the data.
class MinMax {
 public:
  template <RealScalar Real>
  void observe(const Real* x, std::size_t n) {
    extremes_ += extremes_run(x, n);
  }
  /// Takes extremes that were found elsewhere, of all channels in one pass for instance.
  void observe(const Extremes& extremes) noexcept { extremes_ += extremes; }
  void merge(const MinMax& other) noexcept { extremes_ += other.extremes_; }
  Interval<double> range() const noexcept {
    if (extremes_.low > extremes_.high) return {};
    return {extremes_.low, extremes_.high};
  }

 private:
  Extremes extremes_;
};

}  // namespace fat::inline FAT_ABI

#endif
