// TrainedGrid: the grid of a ModelGrids entry as a function of its threshold factors, chosen at run time.
#ifndef FAT_MODEL_TRAINED_GRID_HPP_INCLUDED
#define FAT_MODEL_TRAINED_GRID_HPP_INCLUDED

#include <fat/gradient/threshold.hpp>
#include <fat/model/encodings.hpp>

#include <algorithm>
#include <cstddef>

namespace fat::inline FAT_ABI {

/// One grid and the factors that move it: alpha of a symmetric threshold; alpha_R of an asymmetric one, with alpha_T
/// before it unless the left limit is 0 (NUMERICS 2, 3). Factors at their start give the start grid, bit for bit.
class TrainedGrid {
 public:
  /// A grid without factors: dead, or not to be trained.
  explicit TrainedGrid(const Grid<float>& start) : start_(start) {}
  /// `observed`, where it leads to `start`, is the interval that the factors scale, else it is that of the grid's ends.
  TrainedGrid(const Grid<float>& start, const Interval<float>& observed, const ThresholdBounds& bounds)
      : start_(start), bounds_(bounds) {
    if (start.dead()) return;
    // Codes 0..255 alone say nothing: an asymmetric grid may have them too, its zero point elsewhere.
    symmetric_ = start.zero_point == 0 && (start.code_min == 0 || start.code_min == -start.code_max);
    codes_ = {start.code_min, start.code_max, symmetric_ ? start.code_max : start.code_max - start.code_min};
    const Interval<float> wide = with_zero(observed);
    const Grid<float> led = symmetric_ ? symmetric_grid(threshold_of(observed), codes_)
                                       : asymmetric_grid(wide.low, wide.high - wide.low, codes_);
    range_ = {static_cast<float>(start.code_min - start.zero_point) * start.step,
              static_cast<float>(start.code_max - start.zero_point) * start.step};
    if (led == start) range_ = symmetric_ ? Interval<float>{0.0F, threshold_of(observed)} : wide;
    zero_left_ = !symmetric_ && range_.low == 0.0F;
    count_ = symmetric_ || zero_left_ ? 1 : 2;
  }

  /// Number of factors.
  std::size_t count() const noexcept { return count_; }
  void begin(float* factors) const noexcept {
    if (count_ == 2) *factors++ = 0.0F;
    if (count_ != 0) *factors = 1.0F;
  }
  void project(float* factors) const noexcept {
    if (count_ == 2) *factors = bounds_.left.clip(*factors), ++factors;
    if (count_ != 0) *factors = width_limits().clip(*factors);
  }
  Grid<float> grid(const float* factors) const {
    if (count_ == 0 || (factors[count_ - 1] == 1.0F && (count_ == 1 || factors[0] == 0.0F))) return start_;
    if (symmetric_) return symmetric().grid(factors[0]);
    return asymmetric().grid(count_ == 2 ? factors[0] : 0.0F, factors[count_ - 1]);
  }
  /// dL/dfactors, from the sums of a backward pass on grid(factors).
  void gradient(const float* factors, const ThresholdSums& sums, float* gradients) const {
    if (count_ == 0) return;
    if (symmetric_) {
      gradients[0] = symmetric().gradient(factors[0], sums);
      return;
    }
    const auto both = asymmetric().gradient(count_ == 2 ? factors[0] : 0.0F, factors[count_ - 1], sums);
    if (count_ == 2) gradients[0] = both.left;
    gradients[count_ - 1] = both.width;
  }
  /// The range of the start grid.
  float extent() const noexcept { return static_cast<float>(start_.code_max - start_.code_min) * start_.step; }

 private:
  const Limits& width_limits() const noexcept { return symmetric_ ? bounds_.threshold : bounds_.width; }
  SymmetricThreshold<float> symmetric() const { return {range_.high, codes_, bounds_.threshold}; }
  AsymmetricThreshold<float> asymmetric() const { return {range_, codes_, zero_left_, bounds_.left, bounds_.width}; }

  Grid<float> start_;
  ThresholdBounds bounds_;
  Interval<float> range_;
  Codes codes_;
  bool symmetric_ = true;
  bool zero_left_ = false;
  std::size_t count_ = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
