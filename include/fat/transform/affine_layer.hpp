// AffineLayer: what the transforms ask of a layer, its weights and bias, and which input and output each weight joins.
#ifndef FAT_TRANSFORM_AFFINE_LAYER_HPP_INCLUDED
#define FAT_TRANSFORM_AFFINE_LAYER_HPP_INCLUDED

#include <fat/core/partition.hpp>
#include <fat/core/tensor.hpp>

#include <concepts>
#include <cstddef>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// A layer y = W x + b that transforms may change: weights() is a tensor of rank 2 or more, bias() a tensor with one
/// value an output channel; both give access to the layer's own memory. Optional members say where things stand:
///   static constexpr std::size_t channel_axis   axis of the weights that counts outputs (default 0)
///   static constexpr std::size_t input_axis     axis that counts the inputs of one group (default 1)
///   groups       number of groups (default 1), or
///   multiplier   outputs per input of a depthwise layer
template <class L>
concept AffineLayer = requires(L& layer) {
  { layer.weights() } -> MutableTensor;
  { layer.bias() } -> MutableTensor;
};

namespace detail {

template <class L>
constexpr std::size_t output_axis() {
  if constexpr (requires { L::channel_axis; })
    return L::channel_axis;
  else
    return 0;
}

template <class L>
constexpr std::size_t input_axis() {
  if constexpr (requires { L::input_axis; })
    return L::input_axis;
  else
    return 1;
}

template <class L>
std::size_t group_count(const L& layer, std::size_t outputs) {
  if constexpr (requires { layer.groups; })
    return static_cast<std::size_t>(layer.groups);
  else if constexpr (requires { layer.multiplier; }) {
    const auto multiplier = static_cast<std::size_t>(layer.multiplier);
    expects(multiplier != 0 && outputs % multiplier == 0, "affine layer: ", outputs, " outputs of a multiplier of ",
            multiplier);
    return outputs / multiplier;
  } else
    return 1;
}

/// Which output and input channel every weight joins, in row-major order.
struct Connections {
  Partition by_output;
  Partition by_input;  ///< of one group
  std::size_t groups = 1;

  std::size_t outputs() const noexcept { return by_output.channels; }
  std::size_t inputs() const noexcept { return by_input.channels * groups; }
  std::size_t output(std::size_t flat) const noexcept { return by_output.channel(flat); }
  std::size_t input(std::size_t flat) const noexcept {
    const std::size_t group = output(flat) / (outputs() / groups);
    return group * by_input.channels + by_input.channel(flat);
  }
};

}  // namespace detail

/// Which channels the weights of a layer join. Errors: weights without the axes, groups that do not divide the outputs,
/// a bias of another length.
template <class L>
  requires AffineLayer<L> detail::Connections connections(L& layer) {
    const Shape shape = shape_of(layer.weights());
    expects(shape.rank() >= 2, "affine layer: weights of shape ", shape,
            "; at least an output and an input axis are needed");
    detail::Connections found{partition(shape, detail::output_axis<L>()), partition(shape, detail::input_axis<L>()), 1};
    found.groups = detail::group_count(layer, found.outputs());
    expects(found.groups != 0 && found.outputs() % found.groups == 0, "affine layer: ", found.outputs(), " outputs in ",
            found.groups, " groups");
    expects(size_of(layer.bias()) == found.outputs(), "affine layer: ", size_of(layer.bias()), " biases for ",
            found.outputs(), " output channels");
    return found;
  }

/// Calls f(weight, output channel, input channel) for every weight, in row-major order.
template <class L, class Function>
  requires AffineLayer<L>
void for_each_weight(L& layer, Function&& f) {
  const detail::Connections joins = connections(layer);
  auto&& weights = layer.weights();
  using Weights = std::remove_cvref_t<decltype(weights)>;
  auto at = traits_of<Weights>::begin(weights);
  for (std::size_t flat = 0; flat != size_of(weights); ++flat, ++at) f(*at, joins.output(flat), joins.input(flat));
}

/// max |w| over the weights of each output channel.
template <class L>
  requires AffineLayer<L> std::vector<double> output_thresholds(L& layer) {
    std::vector<double> thresholds(connections(layer).outputs());
    for_each_weight(layer, [&](const auto& weight, std::size_t output, std::size_t) {
      const double magnitude = weight < 0 ? -static_cast<double>(weight) : static_cast<double>(weight);
      expects(magnitude <= 1e300, "affine layer: a weight of output channel ", output,
              " is not finite; repair the model");
      thresholds[output] = magnitude > thresholds[output] ? magnitude : thresholds[output];
    });
    return thresholds;
  }

/// max |w| over the weights that read each input channel.
template <class L>
  requires AffineLayer<L> std::vector<double> input_thresholds(L& layer) {
    std::vector<double> thresholds(connections(layer).inputs());
    for_each_weight(layer, [&](const auto& weight, std::size_t, std::size_t input) {
      const double magnitude = weight < 0 ? -static_cast<double>(weight) : static_cast<double>(weight);
      expects(magnitude <= 1e300, "affine layer: a weight of input channel ", input,
              " is not finite; repair the model");
      thresholds[input] = magnitude > thresholds[input] ? magnitude : thresholds[input];
    });
    return thresholds;
  }

}  // namespace fat::inline FAT_ABI

#endif
