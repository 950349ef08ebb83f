// simulation_model: a QuantizedModel back as a float Model, its weights and biases on their grids; validate.
#ifndef FAT_MODEL_SIMULATION_MODEL_HPP_INCLUDED
#define FAT_MODEL_SIMULATION_MODEL_HPP_INCLUDED

#include <fat/core/partition.hpp>
#include <fat/model/extents.hpp>
#include <fat/model/quantized_model.hpp>

#include <cmath>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace fat::inline FAT_ABI {

namespace detail {

template <WeightedLayer Layer>
void dequantize_layer(Layer& layer, const WeightEncoding& encoding, float input_step) {
  const Partition parts = partition(encoding.codes.shape(), Layer::channel_axis);
  layer.kernel = array<float>{encoding.codes.shape()};
  for (std::size_t i = 0; i != layer.kernel.size(); ++i) {
    const std::size_t c = parts.channel(i);
    layer.kernel[i] = static_cast<float>(encoding.codes[i] - encoding.channel_zero_point(c)) * encoding.channel_step(c);
  }
  layer.offset = array<float>{encoding.bias.shape()};
  for (std::size_t c = 0; c != layer.offset.size(); ++c)
    layer.offset[c] = static_cast<float>(static_cast<double>(encoding.bias[c]) * static_cast<double>(input_step) *
                                         static_cast<double>(encoding.channel_step(c)));
}

inline void check_encoding(const ActivationEncoding& encoding, std::string_view name) {
  const std::int64_t low = encoding.code_min;
  const std::int64_t high = encoding.code_max;
  const bool fits = encoding.bits >= 2 && encoding.bits <= 8 && low < high &&
                    high - low < (std::int64_t{1} << encoding.bits) && low >= -128 && high <= 255 &&
                    encoding.zero_point >= low && encoding.zero_point <= high;
  expects(fits, "quantized model: the codes ", low, " to ", high, " with zero point ", encoding.zero_point,
          " of tensor '", name, "' are no ", encoding.bits, "-bit grid");
  expects(std::isfinite(encoding.step) && encoding.step > 0.0F, "quantized model: the step of tensor '", name, "' is ",
          encoding.step, "; it must be positive");
}

inline void check_encoding(const WeightEncoding& encoding, std::size_t channels, std::string_view name) {
  expects(encoding.bits >= 2 && encoding.bits <= 8, "quantized model: layer '", name, "' has ", encoding.bits,
          "-bit weights");
  expects((encoding.step.size() == 1 || encoding.step.size() == channels) &&
              encoding.zero_point.size() == encoding.step.size() && encoding.bias.size() == channels,
          "quantized model: layer '", name, "' has ", encoding.step.size(), " steps, ", encoding.zero_point.size(),
          " zero points and ", encoding.bias.size(), " biases for ", channels, " output channels");
  for (const float step : encoding.step)
    expects(std::isfinite(step) && step > 0.0F, "quantized model: a weight step of layer '", name, "' is ", step,
            "; it must be positive");
  for (const std::int32_t zero_point : encoding.zero_point)
    expects(zero_point >= -128 && zero_point <= 127, "quantized model: a weight zero point of layer '", name, "' is ",
            zero_point, ", not an 8-bit code");
}

}  // namespace detail

/// The float network whose weights and biases are the real values of the codes. Precondition: the model is valid but
/// for its graph, which this is the way to check.
inline Model simulation_model(const QuantizedModel& quantized) {
  Model model = quantized.graph;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    Node& node = model.nodes[n];
    if (auto* const resize = std::get_if<Resize>(&node.op); resize != nullptr && node.inputs.size() == 1 &&
                                                            node.inputs[0] < model.values.size() &&
                                                            node.output < model.values.size())
      resize->in_steps = quantized.activations[node.inputs[0]] && quantized.activations[node.output];
    if (!quantized.weights[n]) continue;
    const float input_step = quantized.activations[model.nodes[n].inputs[0]]->step;
    with_weighted(model.nodes[n].op,
                  [&](auto& layer) { detail::dequantize_layer(layer, *quantized.weights[n], input_step); });
  }
  return model;
}

/// Checks the graph and every encoding. Errors: the first violation, by name.
inline void validate(const QuantizedModel& quantized) {
  const Model& graph = quantized.graph;
  expects(quantized.activations.size() == graph.values.size() && quantized.weights.size() == graph.nodes.size(),
          "quantized model: ", quantized.activations.size(), " activation and ", quantized.weights.size(),
          " weight encodings for ", graph.values.size(), " tensors and ", graph.nodes.size(), " layers");
  for (std::size_t v = 0; v != graph.values.size(); ++v)
    if (quantized.activations[v]) detail::check_encoding(*quantized.activations[v], graph.values[v].name);
  for (std::size_t n = 0; n != graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const std::string_view name = node.name;
    expects(!std::holds_alternative<BatchNormalization>(node.op), "quantized model: '", name,
            "' is a batch normalization; it has to be folded");
    if (!quantized.weights[n]) continue;
    expects(node.inputs.size() == 1 && node.inputs[0] < graph.values.size() &&
                quantized.activations[node.inputs[0]].has_value(),
            "quantized model: layer '", name, "' has integer weights, but its input is no quantized tensor");
    const bool has_weights = with_weighted(node.op, [&]<class Layer>(const Layer& layer) {
      const WeightEncoding& encoding = *quantized.weights[n];
      expects(encoding.codes.dimension() > Layer::channel_axis, "quantized model: the weights of layer '", name,
              "' have shape ", encoding.codes.shape());
      expects(layer.kernel.empty() && layer.offset.empty(), "quantized model: layer '", name,
              "' has both integer and float weights");
      detail::check_encoding(encoding, encoding.codes.shape(Layer::channel_axis), name);
    });
    if (!has_weights) fail("quantized model: '", name, "' is a ", kind_name(node.op), ", which has no weights");
  }
  validate(simulation_model(quantized));
}

}  // namespace fat::inline FAT_ABI

#endif
