// Bias correction: moves a layer's biases so that quantization does not shift the mean of its outputs.
#ifndef FAT_TRANSFORM_BIAS_CORRECTION_HPP_INCLUDED
#define FAT_TRANSFORM_BIAS_CORRECTION_HPP_INCLUDED

#include <fat/transform/affine_layer.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// Empirical: b[c] += wanted[c] - found[c], the means of each output channel before the activation over the calibration
/// data, of the float network and of the quantized one. Returns the largest correction.
/// Errors, before anything is changed: means that do not fit the layer or are not finite.
template <AffineLayer L>
double correct_bias(L& layer, std::span<const double> wanted, std::span<const double> found) {
  auto&& bias = layer.bias();
  expects(wanted.size() == size_of(bias) && found.size() == size_of(bias), "correct_bias: ", wanted.size(), " and ",
          found.size(), " means for ", size_of(bias), " biases");
  for (std::size_t c = 0; c != wanted.size(); ++c)
    expects(std::isfinite(wanted[c] - found[c]), "correct_bias: the mean of channel ", c, " is not finite");
  double largest = 0.0;
  auto at = traits_of<decltype(bias)>::begin(bias);
  for (std::size_t c = 0; c != wanted.size(); ++c, ++at) {
    const double shift = wanted[c] - found[c];
    *at = static_cast<std::remove_cvref_t<decltype(*at)>>(static_cast<double>(*at) + shift);
    largest = std::max(largest, std::abs(shift));
  }
  return largest;
}

/// Analytic: b[c] -= sum over the weights of (quantized - original) * E[input], for inputs whose means are known. Both
/// layers have the same layout; `layer` holds the original weights, and its bias is changed. Ignores padding.
template <AffineLayer L, Tensor Quantized>
void correct_bias_by_weights(L& layer, const Quantized& quantized_weights, std::span<const double> input_means) {
  const auto joins = connections(layer);
  expects(input_means.size() == joins.inputs(), "correct_bias_by_weights: ", input_means.size(), " means for ",
          joins.inputs(), " inputs");
  expects(size_of(quantized_weights) == size_of(layer.weights()),
          "correct_bias_by_weights: ", size_of(quantized_weights), " quantized weights for ", size_of(layer.weights()));
  std::vector<double> wanted(joins.outputs());
  std::vector<double> found(joins.outputs());
  auto at = traits_of<Quantized>::begin(quantized_weights);
  for_each_weight(layer, [&](const auto& weight, std::size_t output, std::size_t input) {
    wanted[output] += static_cast<double>(weight) * input_means[input];
    found[output] += static_cast<double>(*at++) * input_means[input];
  });
  correct_bias(layer, wanted, found);
}

/// Mean of min(max(x, low), high) for normal x: what a batch normalization (mean beta, deviation gamma) gives the next
/// layer through ReLU or ReLU6. Infinite ends are allowed.
inline double clipped_normal_mean(double mean, double deviation, double low, double high) {
  if (!(deviation > 0.0)) return std::fmin(std::fmax(mean, low), high);
  auto density = [&](double z) {
    return std::isinf(z) ? 0.0 : std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
  };
  auto below = [](double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); };
  const double a = (low - mean) / deviation;
  const double b = (high - mean) / deviation;
  double sum = mean * (below(b) - below(a)) + deviation * (density(a) - density(b));
  if (std::isfinite(low)) sum += low * below(a);
  if (std::isfinite(high)) sum += high * (1.0 - below(b));
  return sum;
}

}  // namespace fat::inline FAT_ABI

#endif
