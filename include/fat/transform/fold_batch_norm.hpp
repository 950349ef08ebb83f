// fold_batch_norm: absorbs a batch normalization into the weighted layer before it.
#ifndef FAT_TRANSFORM_FOLD_BATCH_NORM_HPP_INCLUDED
#define FAT_TRANSFORM_FOLD_BATCH_NORM_HPP_INCLUDED

#include <fat/core/scalar.hpp>
#include <fat/transform/affine_layer.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <string_view>
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

/// scale = gamma / sqrt(variance + epsilon), shift = beta - mean * scale. `name` appears in errors: lengths that
/// differ, a value that is NaN or infinite, variance + epsilon that is not positive.
template <Normalization Norm>
ChannelAffine channel_affine(const Norm& norm, std::string_view name = "batch normalization") {
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
          name, ": gamma, beta, mean and variance have ", affine.scale.size(), ", ", affine.shift.size(), ", ",
          mean.size(), " and ", variance.size(), " values; they must be equally many");
  const auto epsilon = static_cast<double>(norm.epsilon());
  expects(is_finite(epsilon), name, ": epsilon is ", epsilon, "; it must be a finite number");
  const auto expects_finite = [name](double value, std::string_view parameter, std::size_t channel) {
    expects(is_finite(value), name, ": ", parameter, " of channel ", channel, " is ", value,
            "; it must be a finite number: repair the model");
  };
  for (std::size_t channel = 0; channel != mean.size(); ++channel) {
    expects_finite(affine.scale[channel], "gamma", channel);
    expects_finite(affine.shift[channel], "beta", channel);
    expects_finite(mean[channel], "mean", channel);
    expects_finite(variance[channel], "variance", channel);
    const double spread = variance[channel] + epsilon;
    expects(spread > 0, name, ": variance + epsilon of channel ", channel, " is ", spread, "; it must be positive");
    affine.scale[channel] /= std::sqrt(spread);
    affine.shift[channel] -= mean[channel] * affine.scale[channel];
  }
  return affine;
}

/// Changes `layer` so that it computes norm(layer(x)): w *= k, b = beta + k (b - mean), k = gamma / sqrt(variance +
/// epsilon) per output channel, in double. Convolutions of any grouping and dense layers alike.
/// Errors, which begin with `name`: another number of channels, and those of channel_affine; the layer is then
/// unchanged.
template <AffineLayer Layer, Normalization Norm>
void fold_batch_norm(Layer& layer, const Norm& norm, std::string_view name = "batch normalization") {
  const ChannelAffine affine = channel_affine(norm, name);
  const std::size_t outputs = connections(layer).outputs();
  expects(affine.scale.size() == outputs, name, ": the normalization has ", affine.scale.size(),
          " channels, the layer ", outputs);
  for_each_weight(layer, [&](auto& weight, std::size_t output, std::size_t) {
    using Real = std::remove_cvref_t<decltype(weight)>;
    weight = static_cast<Real>(static_cast<double>(weight) * affine.scale[output]);
  });
  auto&& bias = layer.bias();
  auto at = traits_of<decltype(bias)>::begin(bias);
  for (std::size_t output = 0; output != outputs; ++output, ++at)
    *at = static_cast<std::remove_cvref_t<decltype(*at)>>(static_cast<double>(*at) * affine.scale[output] +
                                                          affine.shift[output]);
}

}  // namespace fat::inline FAT_ABI

#endif
