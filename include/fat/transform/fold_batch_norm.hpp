// fold_batch_norm: absorbs a batch normalization into the weighted layer before it.
#ifndef FAT_TRANSFORM_FOLD_BATCH_NORM_HPP_INCLUDED
#define FAT_TRANSFORM_FOLD_BATCH_NORM_HPP_INCLUDED

#include <fat/transform/affine_layer.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <vector>

namespace fat::inline FAT_ABI {

/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, each a tensor with one value a channel.
template <class N>
concept Normalization = requires(const N& norm) {
  { norm.gamma() } -> Tensor;
  { norm.beta() } -> Tensor;
  { norm.mean() } -> Tensor;
  { norm.variance() } -> Tensor;
  { norm.epsilon() } -> std::convertible_to<double>;
};

/// y = scale[c] * x + shift[c]: what a normalization comes down to, in double.
struct ChannelAffine {
  std::vector<double> scale;
  std::vector<double> shift;
};

/// scale = gamma / sqrt(variance + epsilon), shift = beta - mean * scale. Errors: lengths that differ, variance + epsilon
/// that is not positive.
template <Normalization Norm>
ChannelAffine channel_affine(const Norm& norm) {
  const auto values = [](const auto& tensor) {
    using Traits = traits_of<decltype(tensor)>;
    std::vector<double> copy;
    for (auto at = Traits::begin(tensor); at != Traits::end(tensor); ++at) copy.push_back(static_cast<double>(*at));
    return copy;
  };
  ChannelAffine affine{values(norm.gamma()), values(norm.beta())};
  const std::vector<double> mean = values(norm.mean());
  const std::vector<double> variance = values(norm.variance());
  expects(affine.scale.size() == affine.shift.size() && mean.size() == affine.shift.size() &&
              variance.size() == affine.shift.size(),
          "batch normalization: gamma, beta, mean and variance have ", affine.scale.size(), ", ", affine.shift.size(), ", ",
          mean.size(), " and ", variance.size(), " values; they must be equally many");
  for (std::size_t channel = 0; channel != mean.size(); ++channel) {
    const double spread = variance[channel] + static_cast<double>(norm.epsilon());
    expects(spread > 0, "batch normalization: variance + epsilon of channel ", channel, " is ", spread,
            "; it must be positive");
    affine.scale[channel] /= std::sqrt(spread);
    affine.shift[channel] -= mean[channel] * affine.scale[channel];
  }
  return affine;
}

/// Changes `layer` so that it computes norm(layer(x)): w *= k, b = beta + k (b - mean), k = gamma / sqrt(variance + epsilon)
/// per output channel, in double. Convolutions of any grouping and dense layers alike.
/// Errors: another number of channels, and those of channel_affine.
template <AffineLayer Layer, Normalization Norm>
void fold_batch_norm(Layer& layer, const Norm& norm) {
  const ChannelAffine affine = channel_affine(norm);
  const std::size_t outputs = connections(layer).outputs();
  expects(affine.scale.size() == outputs, "fold_batch_norm: the normalization has ", affine.scale.size(),
          " channels, the layer ", outputs);
  for_each_weight(layer, [&](auto& weight, std::size_t output, std::size_t) {
    using Real = std::remove_cvref_t<decltype(weight)>;
    weight = static_cast<Real>(static_cast<double>(weight) * affine.scale[output]);
  });
  auto&& bias = layer.bias();
  auto at = traits_of<decltype(bias)>::begin(bias);
  for (std::size_t output = 0; output != outputs; ++output, ++at)
    *at = static_cast<std::remove_cvref_t<decltype(*at)>>(static_cast<double>(*at) * affine.scale[output] + affine.shift[output]);
}

}  // namespace fat::inline FAT_ABI

#endif
