// One fused pass backward through fake quantization: dL/dx, and the sums that the gradients of thresholds are made of.
#ifndef FAT_GRADIENT_THRESHOLD_RUN_HPP_INCLUDED
#define FAT_GRADIENT_THRESHOLD_RUN_HPP_INCLUDED

#include <fat/core/accumulate.hpp>
#include <fat/gradient/straight_through.hpp>
#include <fat/quantizer/run.hpp>

namespace fat::inline FAT_ABI {

/// With g the upstream gradient, u the scaled real, q its centered code and `in` = d(code)/du (NUMERICS 2, 3):
///   residue = sum g * (q - in * u),   outside = sum g * (1 - in).
/// Symmetric: dL/dT = residue / Q. Asymmetric: dL/dL = m * outside, dL/dW = residue / N - m * outside * L / W.
/// Both are 0 for a dead grid. Sums are pairwise in blocks and double beyond: the same on every processor.
struct ThresholdSums {
  double residue = 0.0;
  double outside = 0.0;
};

namespace detail {

/// The backward pass of one element: writes dx and returns {residue, outside}. A sixth parameter is an origin that the
/// grid counts from.
template <class Rounding, class Scaling, class Estimator, class Real, std::size_t K>
[[gnu::always_inline]] inline std::array<Real, 2> backward_cell(Real x, Real dy, Real& dx,
                                                                const std::array<Real, K>& p) {
  if constexpr (K == 6) x -= p[5];
  const Real low = p[2];
  const Real high = p[3];
  Real u = Scaling{}(x, p[0], p[1]);
  u = is_nan(u) ? Real{0} : u;
  u = u < low - Real{1} ? low - Real{1} : u;
  u = u > high + Real{1} ? high + Real{1} : u;
  const Real rounded = Rounding{}(u);
  Real code = rounded < low ? low : rounded;
  code = code > high ? high : code;
  const Real through = Estimator{}(dy, u, rounded, code);
  const Real in_u = Estimator{}(u, u, rounded, code);
  dx = through;
  return {dy * (code - in_u), dy - through};
}

template <class Rounding, class Scaling, class Estimator, class Real, std::size_t K>
void backward_cells(const Real* x, const Real* dy, Real* dx, const Partition& parts, const Columns<Real, K>& columns,
                    const std::array<double*, 2>& totals) {
  if (dx != nullptr) {
    vectorized([=]() __attribute__((always_inline)) {
      accumulate_cells<AddFold, 2>(
          parts, columns, totals,
          [=](std::size_t i, const std::array<Real, K>& p) __attribute__((always_inline)) {
            return backward_cell<Rounding, Scaling, Estimator>(x[i], dy[i], dx[i], p);
          },
          [ =, n = parts.size() ](std::size_t i) __attribute__((always_inline)) {
            fetch_ahead(x, i, n);
            fetch_ahead(dy, i, n);
            fetch_ahead(dx, i, n);
          });
    });
  } else {
    vectorized([=]() __attribute__((always_inline)) {
      accumulate_cells<AddFold, 2>(
          parts, columns, totals, [=](std::size_t i, const std::array<Real, K>& p) __attribute__((always_inline)) {
            Real unused;
            return backward_cell<Rounding, Scaling, Estimator>(x[i], dy[i], unused, p);
          });
    });
  }
}

/// The sums and dx of every channel; zeros where the step is 0.
template <class Rounding, class Scaling, class Estimator, class Real, std::size_t K>
void backward_channels(const Real* x, const Real* dy, Real* dx, const Partition& parts, const Columns<Real, K>& columns,
                       double* residue, double* outside) {
  std::fill_n(residue, parts.channels, 0.0);
  std::fill_n(outside, parts.channels, 0.0);
  backward_cells<Rounding, Scaling, Estimator>(x, dy, dx, parts, columns, {residue, outside});
  for (std::size_t c = 0; c != parts.channels; ++c) {
    if (columns.column[1][c] != Real{0}) continue;
    residue[c] = 0.0;
    outside[c] = 0.0;
    for (std::size_t o = 0; dx != nullptr && o != parts.outer; ++o)
      std::fill_n(dx + (o * parts.channels + c) * parts.inner, parts.inner, Real{0});
  }
}

}  // namespace detail

/// dx[i] = dL/dx[i] and the sums over i < n on one grid. dx may be dy; null where only the sums are wanted. A dead grid
/// gives zeros.
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, class Estimator = StraightThrough,
          RealScalar Real>
ThresholdSums threshold_backward_run(const Real* x, const Real* dy, Real* dx, std::size_t n, const Grid<Real>& grid) {
  if (grid.dead()) {
    if (dx != nullptr) std::fill_n(dx, n, Real{0});
    return {};
  }
  const auto p = detail::grid_parameters(grid);
  ThresholdSums sums;
  const detail::GridColumns<Real> columns{{&p[0], &p[1], &p[2], &p[3], &p[4]}};
  detail::backward_cells<Rounding, Scaling, Estimator>(x, dy, dx, {1, 1, n}, columns, {&sums.residue, &sums.outside});
  return sums;
}

/// The same for every channel of [outer][channels][inner]; the sums of channel c go to residue[c] and outside[c].
template <class Rounding = HalfToEven, class Scaling = MultiplyReciprocal, class Estimator = StraightThrough,
          RealScalar Real>
void threshold_backward_channels(const Real* x, const Real* dy, Real* dx, const Partition& parts,
                                 const GridTable<Real>& grids, double* residue, double* outside) {
  detail::backward_channels<Rounding, Scaling, Estimator>(x, dy, dx, parts, grids.columns(), residue, outside);
}

}  // namespace fat::inline FAT_ABI

#endif
