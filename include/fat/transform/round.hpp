// Rounding that is chosen, not nearest: codes that keep a filter's sum, and codes that keep what it computes on data.
#ifndef FAT_TRANSFORM_ROUND_HPP_INCLUDED
#define FAT_TRANSFORM_ROUND_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// The least and greatest code of a filter.
struct CodeLimits {
  std::int32_t low = -127;
  std::int32_t high = 127;
};

namespace detail {

template <std::floating_point Real>
std::int32_t nearest_code(Real units, const CodeLimits& limits) {
  return static_cast<std::int32_t>(
      std::clamp(std::nearbyint(units), static_cast<Real>(limits.low), static_cast<Real>(limits.high)));
}

}  // namespace detail

/// Sum-preserving rounding of one filter. units: the weights divided by the step. Writes codes whose sum is the sum of
/// the units, rounded, by rounding the other way where that costs least: each unit of sum is bought from the weight
/// nearest to its midpoint. No code is further than 1 from its unit, so where a filter would need more (many saturated
/// weights) the sum is approached as far as that allows. Closed form: one sort. Ties go to the lower index.
/// A filter with a large threshold and a small sum otherwise shifts its response to a constant by whole steps.
template <std::floating_point Real>
void round_preserving_sum(std::span<const Real> units, const CodeLimits& limits, std::span<std::int32_t> codes) {
  expects(units.size() == codes.size(), "round_preserving_sum: ", units.size(), " weights, room for ", codes.size(),
          " codes");
  double wanted = 0.0;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i != units.size(); ++i) {
    expects(std::isfinite(units[i]), "round_preserving_sum: weight ", i, " is not finite");
    codes[i] = detail::nearest_code(units[i], limits);
    wanted += static_cast<double>(units[i]);
    sum += codes[i];
  }
  const auto count = static_cast<double>(units.size());  // no codes add up to more
  wanted = std::clamp(std::nearbyint(wanted), count * limits.low, count * limits.high);
  const std::int64_t missing = static_cast<std::int64_t>(wanted) - sum;
  const std::int32_t move = missing > 0 ? 1 : -1;
  // residual[i] in direction of the move: the larger, the cheaper the other rounding.
  auto residual = [&](std::size_t i) {
    return (static_cast<double>(units[i]) - static_cast<double>(codes[i])) * static_cast<double>(move);
  };
  std::vector<std::size_t> order(units.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return residual(a) > residual(b); });
  std::int64_t left = missing < 0 ? -missing : missing;
  for (const std::size_t i : order) {
    if (left == 0 || residual(i) <= 0.0) break;
    const std::int32_t next = codes[i] + move;
    if (next < limits.low || next > limits.high) continue;
    codes[i] = next;
    --left;
  }
}

/// Squared error d' M d of a filter on data, d = codes - units; moments: row-major [n, n], the mean of x x' over the
/// inputs x the filter meets. This is the specification of what learned rounding lowers.
template <std::floating_point Real>
double rounding_error(std::span<const Real> units, std::span<const Real> moments, std::span<const std::int32_t> codes) {
  const std::size_t n = units.size();
  double sum = 0.0;
  for (std::size_t i = 0; i != n; ++i)
    for (std::size_t j = 0; j != n; ++j)
      sum += static_cast<double>(moments[i * n + j]) * (static_cast<double>(codes[i]) - static_cast<double>(units[i])) *
             (static_cast<double>(codes[j]) - static_cast<double>(units[j]));
  return sum;
}

/// Learned rounding of one filter: lowers rounding_error by coordinate descent, starting from the given codes: each
/// pass moves every code by one step where that helps, until none does (at most `passes` times). Never ends worse than
/// it starts. No code goes further than 1 from its unit: up or down is the choice, so that inputs which were constant
/// on the data cannot carry a weight away. slope: scratch of n values. moments is symmetric.
template <std::floating_point Real>
void round_to_data(std::span<const Real> units, std::span<const Real> moments, const CodeLimits& limits,
                   std::span<std::int32_t> codes, std::span<Real> slope, std::size_t passes = 20) {
  const std::size_t n = units.size();
  expects(codes.size() == n && slope.size() == n && moments.size() == n * n, "round_to_data: ", n, " weights, ",
          codes.size(), " codes, ", slope.size(), " slopes, ", moments.size(),
          " moments; n, n, n and n * n are needed");
  std::fill(slope.begin(), slope.end(), Real{0});
  for (std::size_t i = 0; i != n; ++i) {
    const Real d = static_cast<Real>(codes[i]) - units[i];
    const Real* const row = moments.data() + i * n;
    for (std::size_t j = 0; j != n; ++j) slope[j] += d * row[j];
  }
  for (std::size_t pass = 0; pass != passes; ++pass) {
    bool moved = false;
    for (std::size_t i = 0; i != n; ++i) {
      const Real* const row = moments.data() + i * n;
      const std::int32_t move = slope[i] > Real{0} ? -1 : 1;
      const std::int32_t next = codes[i] + move;
      if (std::abs(static_cast<Real>(next) - units[i]) >= Real{1}) continue;
      // Change of the error: 2 move slope + M_ii; a little less than 0, so that rounding noise cannot cycle.
      if (Real{2} * std::abs(slope[i]) <= row[i] * Real(1.0001) || next < limits.low || next > limits.high) continue;
      codes[i] = next;
      for (std::size_t j = 0; j != n; ++j) slope[j] += static_cast<Real>(move) * row[j];
      moved = true;
    }
    if (!moved) break;
  }
}

}  // namespace fat::inline FAT_ABI

#endif
