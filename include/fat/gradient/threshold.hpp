// One trained threshold: from its factors to a grid, and from the sums of a backward pass to the factors' gradients.
#ifndef FAT_GRADIENT_THRESHOLD_HPP_INCLUDED
#define FAT_GRADIENT_THRESHOLD_HPP_INCLUDED

#include <fat/gradient/threshold_run.hpp>
#include <fat/policy/bounds.hpp>
#include <fat/policy/zero_point.hpp>

namespace fat::inline FAT_ABI {

/// T = clip(alpha) * maximum (NUMERICS 2). Plain functions of numbers, for code that chooses schemes at run time.
template <RealScalar Real>
struct SymmetricThreshold {
  Real maximum{};
  Codes codes{};
  Limits limits = PaperBounds::value.threshold;

  constexpr Grid<Real> grid(Real alpha) const { return symmetric_grid(limits.clip(alpha) * maximum, codes); }
  /// dL/dalpha; 0 where alpha is beyond its limits.
  constexpr Real gradient(Real alpha, const ThresholdSums& sums) const {
    if (!limits.contain(alpha)) return Real{0};
    return static_cast<Real>(sums.residue * static_cast<double>(maximum) / codes.steps);
  }
};

/// The gradients of both factors of an asymmetric threshold.
template <RealScalar Real>
struct AsymmetricGradient {
  Real left{};
  Real width{};
};

/// L = range.low + clip(alpha_T) * R, W = clip(alpha_R) * R with R = range.high - range.low (NUMERICS 3). With
/// zero_left the left limit is 0, R = range.high, and alpha_T is ignored.
template <RealScalar Real, class ZeroPoint = NudgeZeroPoint, class Rounding = HalfToEven,
          class Scaling = MultiplyReciprocal>
struct AsymmetricThreshold {
  Interval<Real> range{};
  Codes codes{};
  bool zero_left = false;
  Limits left_limits = PaperBounds::value.left;
  Limits width_limits = PaperBounds::value.width;

  constexpr Real extent() const { return zero_left ? range.high : range.high - range.low; }
  constexpr Real left(Real alpha_t) const {
    return zero_left ? Real{0} : range.low + left_limits.clip(alpha_t) * extent();
  }
  constexpr Real width(Real alpha_r) const { return width_limits.clip(alpha_r) * extent(); }

  /// The grid; with OffsetZeroPoint it is that of x - left, with zero point at the smallest code.
  constexpr Grid<Real> grid(Real alpha_t, Real alpha_r) const {
    if constexpr (ZeroPoint::shifted) return asymmetric_grid<Rounding, Scaling>(Real{0}, width(alpha_r), codes);
    Grid<Real> made = asymmetric_grid<Rounding, Scaling>(left(alpha_t), width(alpha_r), codes);
    if constexpr (!ZeroPoint::clipped) made.zero_point = codes.min + free_zero_point(alpha_t, made);
    return made;
  }
  /// dL/dalpha_T and dL/dalpha_R; 0 where a factor is beyond its limits.
  constexpr AsymmetricGradient<Real> gradient(Real alpha_t, Real alpha_r, const ThresholdSums& sums) const {
    const Grid<Real> made = grid(alpha_t, alpha_r);
    if (made.dead()) return {};
    const auto limit = static_cast<double>(left(alpha_t));
    const auto zero = static_cast<double>(free_zero_point(alpha_t, made));
    const bool moves = !ZeroPoint::clipped || (zero >= 0.0 && zero <= codes.steps);
    const double by_left = moves ? sums.outside : 0.0;
    double by_width = sums.residue / codes.steps;
    if constexpr (!ZeroPoint::shifted) by_width -= by_left * limit / static_cast<double>(width(alpha_r));
    const auto r = static_cast<double>(extent());
    return {!zero_left && left_limits.contain(alpha_t) ? static_cast<Real>(r * by_left) : Real{0},
            width_limits.contain(alpha_r) ? static_cast<Real>(r * by_width) : Real{0}};
  }

 private:
  /// round(-L * S), not clipped to the codes (but to what rounds exactly).
  constexpr std::int32_t free_zero_point(Real alpha_t, const Grid<Real>& made) const {
    if (made.dead()) return 0;
    constexpr Real most{1 << 20};
    const Real u = Scaling{}(-left(alpha_t), made.codes_per_unit, made.step);
    return static_cast<std::int32_t>(Rounding{}(u < -most ? -most : u > most ? most : u));
  }
};

}  // namespace fat::inline FAT_ABI

#endif
