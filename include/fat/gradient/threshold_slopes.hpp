// Slopes of fake-quantized weights along their thresholds, weight by weight.
#ifndef FAT_GRADIENT_THRESHOLD_SLOPES_HPP_INCLUDED
#define FAT_GRADIENT_THRESHOLD_SLOPES_HPP_INCLUDED

#include <fat/gradient/threshold_run.hpp>

namespace fat::inline FAT_ABI {

namespace detail {

template <class Rounding, class Scaling, class Estimator>
struct SlopeCell {
  template <class Real>
  [[gnu::always_inline]] static void apply(const Real& in, Real& out, const std::array<Real, 5>& p) {
    Real unused;
    out = backward_cell<Rounding, Scaling, Estimator>(in, Real{1}, unused, p)[0];
  }
};

}  // namespace detail

/// slopes[i] = q - in * u of weight i (NUMERICS 2): the derivative of the fake-quantized weight along its threshold, in
/// steps of the threshold. A dead grid gives zeros.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, class Estimator = StraightThrough,
          RealScalar Real>
void threshold_slopes(const Real* x, Real* slopes, const Partition& parts, const GridTable<Real>& grids) {
  detail::transform_cells<detail::SlopeCell<Rounding, Scaling, Estimator>>(x, slopes, parts, grids.columns());
}

}  // namespace fat::inline FAT_ABI

#endif
