// balance: the factors of the channels between two layers that lower the noise of quantizing both with one step each.
#ifndef FAT_TRANSFORM_BALANCE_HPP_INCLUDED
#define FAT_TRANSFORM_BALANCE_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace fat::inline FAT_ABI {

/// What balancing_factors has to know of each channel k between two layers.
struct ChannelNoise {
  /// Largest magnitude of the weights that make channel k, and of those that read it.
  std::vector<double> first, second;
  /// Variance that noise of variance 1 on the weights of the first layer leaves in channel k: the variances of what
  /// they read, added up.
  std::vector<double> made;
  /// What noise of variance 1 in channel k leaves behind the second layer: the squares of the weights that read it,
  /// added up.
  std::vector<double> gain;
  /// What noise of variance 1 on the weights that read channel k leaves behind the second layer: their number times the
  /// variance of the channel.
  std::vector<double> read;
  /// Largest factor of channel k; infinity where nothing limits it.
  std::vector<double> highest;
  /// Channels that keep 1.
  std::vector<bool> locked;
  /// Square of the step of the values between the layers; 0 where it moves with the factors.
  double value_step_squared = 0.0;
};

namespace detail {

/// Sum over k of (D1^2 made + value_step^2) gain / s^2 + D2^2 read s^2, least over T_second / D2 <= s <= T_first's
/// share of D1, where D1 and D2 are the largest weights of the layers after scaling; infinite where a channel has no
/// such s.
inline double balanced_noise(const ChannelNoise& of, double d1, double d2, double levels,
                             std::vector<double>* factors) {
  double sum = 0.0;
  const double v1 = d1 * d1 / (levels * levels), v2 = d2 * d2 / (levels * levels);
  for (std::size_t k = 0; k != of.first.size(); ++k) {
    const double noise = (v1 * of.made[k] + of.value_step_squared) * of.gain[k], later = v2 * of.read[k];
    double high = of.first[k] > 0.0 ? d1 / of.first[k] : std::numeric_limits<double>::infinity();
    const double low = of.second[k] / d2;
    double s = 1.0;
    if (!of.locked[k]) {
      high = std::min(high, of.highest[k]);
      if (noise > 0.0 && later > 0.0) s = std::sqrt(std::sqrt(noise / later));
      s = std::max(std::min(s, high), low);
    }
    constexpr double rounding = 1e-9;
    if (s > high * (1.0 + rounding) || s < low * (1.0 - rounding)) return std::numeric_limits<double>::infinity();
    sum += noise / (s * s) + later * s * s;
    if (factors != nullptr) (*factors)[k] = s;
  }
  return sum;
}

}  // namespace detail

/// Factors s_k that lower the noise behind the second layer when the weights of both layers are rounded to `levels`
/// steps between 0 and their largest magnitude. Given the two largest magnitudes after scaling, the best s_k has a
/// closed form, the fourth root of a ratio of noises between bounds; the two magnitudes are searched for on a grid that
/// is refined once. Never noisier than all factors 1. Errors: lists of different lengths, entries below 0 or NaN, no
/// levels.
inline std::vector<double> balancing_factors(const ChannelNoise& of, double levels = 127.0) {
  const std::size_t channels = of.first.size();
  expects(of.second.size() == channels && of.made.size() == channels && of.gain.size() == channels &&
              of.read.size() == channels && of.highest.size() == channels && of.locked.size() == channels,
          "balance: ", channels, " channels, but not every list of ChannelNoise has so many entries");
  for (std::size_t k = 0; k != channels; ++k) {
    expects(of.highest[k] >= 0.0, "balance: the largest factor of channel ", k, " is ", of.highest[k]);
    for (const double amount : {of.first[k], of.second[k], of.made[k], of.gain[k], of.read[k]})
      expects(amount >= 0.0 && std::isfinite(amount), "balance: an entry of channel ", k, " is ", amount,
              "; all are finite and 0 or more");
  }
  expects(of.value_step_squared >= 0.0 && std::isfinite(of.value_step_squared),
          "balance: the square of the step of the values is ", of.value_step_squared, "; give a finite one, 0 or more");
  expects(levels > 0.0, "balance: ", levels, " levels; give a positive number");
  std::vector<double> factors(channels, 1.0);
  if (channels == 0) return factors;
  const double d1 = *std::max_element(of.first.begin(), of.first.end());
  const double d2 = *std::max_element(of.second.begin(), of.second.end());
  if (!(d1 > 0.0) || !(d2 > 0.0)) return factors;
  double best = 0.0, at1 = 0.0, at2 = 0.0;
  const auto ones = [&] {
    double sum = 0.0;
    for (std::size_t k = 0; k != channels; ++k)
      sum += (d1 * d1 / (levels * levels) * of.made[k] + of.value_step_squared) * of.gain[k] +
             d2 * d2 / (levels * levels) * of.read[k];
    return sum;
  };
  best = ones();
  bool found = false;
  const auto search = [&](double center1, double center2, double step) {
    for (int i = -8; i <= 8; ++i)
      for (int j = -8; j <= 8; ++j) {
        const double e1 = center1 + i * step, e2 = center2 + j * step;
        const double noise = detail::balanced_noise(of, d1 * std::exp2(e1), d2 * std::exp2(e2), levels, nullptr);
        if (!(noise < best)) continue;
        best = noise, at1 = e1, at2 = e2, found = true;
      }
  };
  search(0.0, 0.0, 0.5);
  const double coarse1 = at1, coarse2 = at2;
  search(coarse1, coarse2, 0.0625);
  if (found) detail::balanced_noise(of, d1 * std::exp2(at1), d2 * std::exp2(at2), levels, &factors);
  return factors;
}

}  // namespace fat::inline FAT_ABI

#endif
