// Extremes: least and greatest value of a run, noticing NaN and infinities, at the speed of reading.
#ifndef FAT_OBSERVE_EXTREMES_HPP_INCLUDED
#define FAT_OBSERVE_EXTREMES_HPP_INCLUDED

#include <fat/core/accumulate.hpp>
#include <fat/core/array.hpp>
#include <fat/quantizer/grid.hpp>

#include <array>
#include <cstddef>
#include <limits>

namespace fat::inline FAT_ABI {

/// What a pass over some values found. Without values low > high.
struct Extremes {
  double low = std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::lowest();
  /// No NaN and no infinity among the values.
  bool finite = true;

  constexpr Extremes& operator+=(const Extremes& other) noexcept {
    if (other.low < low) low = other.low;
    if (other.high > high) high = other.high;
    finite = finite && other.finite;
    return *this;
  }
};

namespace detail {

/// Folds least value, negated greatest value, and 0 or -1 where a value is not finite, into one total per channel.
template <RealScalar Real>
void fold_extremes(const Real* x, const Partition& parts, const std::array<double*, 3>& totals) {
  vectorized([=]() __attribute__((always_inline)) {
    accumulate_cells<MinFold, 3>(
        parts, Columns<Real, 0>{},
        totals, [=](std::size_t i, const std::array<Real, 0>&) __attribute__((always_inline)) {
          const Real bad = is_finite(x[i]) ? Real{0} : Real{-1};
          return std::array<Real, 3>{x[i], -x[i], bad};
        });
  });
}

constexpr Extremes extremes_of(double low, double negated_high, double bad) noexcept {
  return {low, -negated_high, bad >= 0.0};
}

}  // namespace detail

/// Extremes of x[0..n).
template <RealScalar Real>
Extremes extremes_run(const Real* x, std::size_t n) {
  std::array<double, 3> totals{std::numeric_limits<double>::max(), std::numeric_limits<double>::max(), 0.0};
  detail::fold_extremes(x, {1, 1, n}, {totals.data(), &totals[1], &totals[2]});
  return detail::extremes_of(totals[0], totals[1], totals[2]);
}

/// max|x| of x[0..n), 0 for n == 0; says through `finite` whether all values are finite.
template <RealScalar Real>
Real absolute_maximum_run(const Real* x, std::size_t n, bool& finite) {
  const Extremes found = extremes_run(x, n);
  finite = found.finite;
  return n == 0 ? Real{0} : threshold_of(Interval<Real>{static_cast<Real>(found.low), static_cast<Real>(found.high)});
}

/// Index of the first value of x[0..n) that is not finite; n where all are.
template <RealScalar Real>
std::size_t first_not_finite(const Real* x, std::size_t n) noexcept {
  std::size_t i = 0;
  while (i != n && is_finite(x[i])) ++i;
  return i;
}

/// Extremes of every channel of x, [outer][channels][inner]; out has room for parts.channels of them. Channels last is
/// as fast as channels first. Allocates three numbers a channel.
template <RealScalar Real>
void extremes_channels(const Real* x, const Partition& parts, Extremes* out) {
  aligned_vector<double> totals(3 * parts.channels, std::numeric_limits<double>::max());
  double* const low = totals.data();
  double* const high = low + parts.channels;
  double* const bad = high + parts.channels;
  for (std::size_t c = 0; c != parts.channels; ++c) bad[c] = 0.0;
  detail::fold_extremes(x, parts, {low, high, bad});
  for (std::size_t c = 0; c != parts.channels; ++c) out[c] = detail::extremes_of(low[c], high[c], bad[c]);
}

}  // namespace fat::inline FAT_ABI

#endif
