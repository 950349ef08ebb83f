// One pass backward through a clamp and the fake quantization behind it, and the slopes of fake-quantized weights.
#ifndef FAT_GRADIENT_CLAMPED_RUN_HPP_INCLUDED
#define FAT_GRADIENT_CLAMPED_RUN_HPP_INCLUDED

#include <fat/gradient/threshold_run.hpp>

namespace fat::inline FAT_ABI {

/// threshold_backward_run where x is itself the result of a clamp to [low, high]: dx is the gradient before the clamp, 0
/// where x is not inside (low, high); the sums do not change. dx may be dy; null where only the sums are wanted.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, class Estimator = StraightThrough,
          RealScalar Real>
ThresholdSums clamped_backward_run(const Real* x, const Real* dy, Real* dx, std::size_t n, const Grid<Real>& grid, Real low,
                                   Real high) {
  if (grid.dead() || dx == nullptr) return threshold_backward_run<Rounding, Scaling, Estimator>(x, dy, dx, n, grid);
  const auto p = detail::grid_parameters(grid);
  const detail::GridColumns<Real> columns{{&p[0], &p[1], &p[2], &p[3], &p[4]}};
  ThresholdSums sums;
  const std::array<double*, 2> totals{&sums.residue, &sums.outside};
  detail::vectorized([=]() __attribute__((always_inline)) {
    detail::accumulate_cells<detail::AddFold, 2>(
        Partition{1, 1, n}, columns, totals,
        [=](std::size_t i, const std::array<Real, 5>& q) __attribute__((always_inline)) {
          const Real value = x[i];
          Real through;
          const auto made = detail::backward_cell<Rounding, Scaling, Estimator>(value, dy[i], through, q);
          through = value > low ? through : Real{0};
          dx[i] = value < high ? through : Real{0};
          return made;
        });
  });
  return sums;
}

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
