// rescale_depthwise: brings the filters of a depthwise layer to one threshold, so that one scale for all of them is enough.
#ifndef FAT_TRANSFORM_RESCALE_DEPTHWISE_HPP_INCLUDED
#define FAT_TRANSFORM_RESCALE_DEPTHWISE_HPP_INCLUDED

#include <fat/transform/rescale_channels.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace fat::inline FAT_ABI {

/// Choices of rescale_depthwise.
struct RescaleOptions {
  /// ReLU6 only: channels whose largest pre-activation reaches this stay as they are. For another bound than 6, this
  /// and the limit count in proportion to it.
  float lock = 5.9F;
  /// ReLU6 only: no channel's largest pre-activation is raised above this; 5.9 keeps the margin of the lock.
  float limit = 6.0F;
  /// Filters below this share of the layer's largest weight count as dead: a factor for them would be a matter of
  /// noise.
  double negligible = 1e-7;
  /// Identity and ReLU, where maxima are given: no channel is raised above the largest of them, so that an almost dead
  /// filter does not widen the range that all channels share.
  bool keep_range = false;

  void check() const {
    expects(limit > 0.0F && limit <= 6.0F, "RescaleOptions: the limit is ", limit,
            "; give a positive one up to 6, where ReLU6 cuts");
    expects(lock > 0.0F, "RescaleOptions: the lock is ", lock, "; give a positive one");
    expects(negligible >= 0.0, "RescaleOptions: negligible is ", negligible, "; give a share of 0 or more");
  }

  /// The same with lock and limit as they are for an activation.
  template <ScalableActivation A>
  RescaleOptions scaled_to(const A& activation) const {
    RescaleOptions scaled = *this;
    if constexpr (A::bounded) {
      const auto bound = static_cast<double>(activation.bound);
      expects(bound > 0.0 && std::isfinite(bound), "the bound of an activation is ", bound, "; give a positive one");
      scaled.lock = static_cast<float>(static_cast<double>(lock) * (bound / 6.0));
      scaled.limit = static_cast<float>(static_cast<double>(limit) * (bound / 6.0));
    }
    return scaled;
  }
};

/// What was done to a pair of layers.
struct DepthwiseRescaling {
  /// s_k of every channel.
  std::vector<double> factors;
  /// Channels that stay as they are because ReLU6 cuts them.
  std::vector<bool> locked;
  /// T0, the threshold that the filters were brought to (NUMERICS 6, step 4).
  double control = 0.0;
};

/// The factors of NUMERICS 6 for filters of these thresholds (max |w| a channel), without touching a layer.
/// channel_maxima: the largest pre-activation of each channel over the calibration data; may be empty unless ReLU6 is
/// used.
template <ScalableActivation A>
DepthwiseRescaling depthwise_factors(std::span<const double> thresholds, A activation,
                                     std::span<const double> channel_maxima, const RescaleOptions& choices = {}) {
  const std::size_t channels = thresholds.size();
  expects(!A::bounded || channel_maxima.size() == channels, "rescale_depthwise: ", channel_maxima.size(),
          " calibration maxima for ", channels, " channels; ReLU6 needs the largest pre-activation of each channel");
  choices.check();
  const RescaleOptions options = choices.scaled_to(activation);
  DepthwiseRescaling result{std::vector<double>(channels, 1.0), std::vector<bool>(channels, false), 0.0};
  const double largest = channels == 0 ? 0.0 : *std::max_element(thresholds.begin(), thresholds.end());
  auto live = [&](std::size_t k) { return thresholds[k] > 0.0 && thresholds[k] >= options.negligible * largest; };
  double sum[2] = {0.0, 0.0};
  std::size_t count[2] = {0, 0};
  for (std::size_t k = 0; k != channels; ++k) {
    expects(std::isfinite(thresholds[k]), "rescale_depthwise: the threshold of channel ", k, " is ", thresholds[k]);
    expects(channel_maxima.size() != channels || channel_maxima[k] == channel_maxima[k],
            "rescale_depthwise: the calibration maximum of channel ", k, " is NaN");
    if constexpr (A::bounded) result.locked[k] = channel_maxima[k] >= static_cast<double>(options.lock);
    if (!live(k)) continue;
    sum[result.locked[k] ? 1 : 0] += thresholds[k];
    ++count[result.locked[k] ? 1 : 0];
  }
  const bool keeps = !A::bounded && options.keep_range && channel_maxima.size() == channels && channels != 0;
  const double widest = keeps ? *std::max_element(channel_maxima.begin(), channel_maxima.end()) : 0.0;
  const std::size_t chosen = count[1] != 0 ? 1 : 0;
  if (count[chosen] == 0) return result;
  result.control = sum[chosen] / static_cast<double>(count[chosen]);
  for (std::size_t k = 0; k != channels; ++k) {
    if (result.locked[k] || !live(k)) continue;
    result.factors[k] = result.control / thresholds[k];
    if constexpr (A::bounded)
      if (channel_maxima[k] > 0.0)
        result.factors[k] = std::min(result.factors[k], static_cast<double>(options.limit) / channel_maxima[k]);
    if (keeps && channel_maxima[k] > 0.0)
      result.factors[k] = std::min(result.factors[k], std::max(1.0, widest / channel_maxima[k]));
  }
  return result;
}

/// Depthwise -> activation -> convolution: scales the filters (and biases) of `depthwise` to one threshold and the
/// inputs of `convolution` back (the paper's section 3.3). For Identity and ReLU the pair computes the same as before
/// for every input; for ReLU6 where the channel maxima hold. Calibrate again afterwards: the activation between has
/// changed.
/// Errors, before anything is changed: channel counts that differ, missing maxima, maxima that are NaN; those of
/// rescale_channels.
/// channel_maxima: a tensor, a container or a span of reals.
template <AffineLayer Depthwise, ScalableActivation A, AffineLayer Convolution, class Maxima>
DepthwiseRescaling rescale_depthwise(Depthwise& depthwise, A activation, Convolution& convolution,
                                     const Maxima& channel_maxima, const RescaleOptions& options = {}) {
  std::vector<double> maxima;
  if constexpr (Tensor<Maxima>)
    maxima.assign(traits_of<Maxima>::begin(channel_maxima), traits_of<Maxima>::end(channel_maxima));
  else
    for (const auto maximum : channel_maxima) maxima.push_back(static_cast<double>(maximum));
  const std::vector<double> thresholds = output_thresholds(depthwise);
  DepthwiseRescaling result = depthwise_factors(thresholds, activation, maxima, options);
  limit_by_biases(depthwise, thresholds, result.factors);
  rescale_channels(depthwise, convolution, result.factors);
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
