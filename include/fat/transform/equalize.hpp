// equalize: cross-layer equalization, the factors that give a channel the same range on both sides of an activation.
#ifndef FAT_TRANSFORM_EQUALIZE_HPP_INCLUDED
#define FAT_TRANSFORM_EQUALIZE_HPP_INCLUDED

#include <fat/transform/rescale_depthwise.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace fat::inline FAT_ABI {

/// Factors s_k = sqrt(second_k / first_k): with them the weights that make channel k and the weights that read it have
/// the same largest magnitude. Channels dead on either side keep 1. ReLU6 locks and limits channels as in
/// rescale_depthwise.
template <ScalableActivation A>
std::vector<double> equalizing_factors(std::span<const double> first, A activation, std::span<const double> second,
                                       std::span<const double> channel_maxima, const RescaleOptions& choices = {}) {
  expects(first.size() == second.size(), "equalize: the first layer has ", first.size(),
          " output channels, the second ", second.size(), " input channels; they must follow each other");
  expects(!A::bounded || channel_maxima.size() == first.size(), "equalize: ", channel_maxima.size(),
          " calibration maxima for ", first.size(),
          " channels; ReLU6 needs the largest pre-activation of each channel");
  choices.check();
  const RescaleOptions options = choices.scaled_to(activation);
  std::vector<double> factors(first.size(), 1.0);
  if (factors.empty()) return factors;
  const double least_first = options.negligible * *std::max_element(first.begin(), first.end());
  const double least_second = options.negligible * *std::max_element(second.begin(), second.end());
  for (std::size_t k = 0; k != factors.size(); ++k) {
    expects(std::isfinite(first[k]) && std::isfinite(second[k]), "equalize: the thresholds of channel ", k, " are ",
            first[k], " and ", second[k]);
    if (first[k] <= least_first || second[k] <= least_second) continue;
    double factor = std::sqrt(second[k] / first[k]);
    if constexpr (A::bounded) {
      expects(!std::isnan(channel_maxima[k]), "equalize: the calibration maximum of channel ", k, " is NaN");
      if (channel_maxima[k] >= static_cast<double>(options.lock)) continue;
      if (channel_maxima[k] > 0.0) factor = std::min(factor, static_cast<double>(options.limit) / channel_maxima[k]);
    }
    factors[k] = factor;
  }
  return factors;
}

/// Equalizes one pair of layers in place; returns the factors. For Identity and ReLU the pair computes the same as
/// before.
/// Errors: those of rescale_depthwise.
template <AffineLayer First, ScalableActivation A, AffineLayer Second>
std::vector<double> equalize(First& first, A activation, Second& second, std::span<const double> channel_maxima = {},
                             const RescaleOptions& options = {}) {
  const std::vector<double> thresholds = output_thresholds(first);
  std::vector<double> factors =
      equalizing_factors(thresholds, activation, input_thresholds(second), channel_maxima, options);
  limit_by_biases(first, thresholds, factors);
  rescale_channels(first, second, factors);
  return factors;
}

/// Largest distance of a factor from 1, as |log s|: iterate equalize over a chain until it is below a tolerance.
inline double imbalance(std::span<const double> factors) {
  double worst = 0.0;
  for (const double factor : factors) worst = std::max(worst, std::abs(std::log(factor)));
  return worst;
}

/// Moves what is always added to a channel from the layer that makes it to the layer that reads it: where the least
/// pre-activation c_k over the calibration data is positive, b_first[k] -= c_k and b_second += W_second[:, k] c_k. The
/// pair computes the same where ReLU never cuts, provided that the second layer adds no padding. Returns c.
/// Errors, before anything is changed: layers that do not follow each other, minima that are missing or not finite, a
/// bias that overflows.
template <AffineLayer First, AffineLayer Second>
std::vector<double> absorb_bias(First& first, Second& second, std::span<const double> channel_minima) {
  const std::size_t channels = connections(first).outputs();
  const auto joins = connections(second);
  expects(joins.inputs() == channels && channel_minima.size() == channels, "absorb_bias: ", channels, " channels, ",
          joins.inputs(), " inputs of the second layer, ", channel_minima.size(),
          " calibration minima; they must be equal");
  std::vector<double> shift(channels);
  for (std::size_t k = 0; k != channels; ++k) {
    expects(std::isfinite(channel_minima[k]), "absorb_bias: the calibration minimum of channel ", k, " is ",
            channel_minima[k]);
    shift[k] = std::max(0.0, channel_minima[k]);
  }
  std::vector<double> gain(joins.outputs());
  for_each_weight(second, [&](const auto& weight, std::size_t output, std::size_t input) {
    gain[output] += static_cast<double>(weight) * shift[input];
  });
  const auto each = [](auto&& bias, const std::vector<double>& by, double sign, auto&& f) {
    auto at = traits_of<decltype(bias)>::begin(bias);
    for (std::size_t k = 0; k != by.size(); ++k, ++at) f(*at, static_cast<double>(*at) + sign * by[k], k);
  };
  const auto fits = []<class Real>(const Real& was, double becomes, std::size_t k) {
    expects(std::abs(becomes) <= static_cast<double>(std::numeric_limits<Real>::max()), "absorb_bias: the bias ", was,
            " of channel ", k, " becomes ", becomes, ", which overflows");
  };
  const auto move = []<class Real>(Real& was, double becomes, std::size_t) { was = static_cast<Real>(becomes); };
  each(first.bias(), shift, -1.0, fits);
  each(second.bias(), gain, 1.0, fits);
  each(first.bias(), shift, -1.0, move);
  each(second.bias(), gain, 1.0, move);
  return shift;
}

}  // namespace fat::inline FAT_ABI

#endif
