// encode_model: from observed ranges to grids, and from a float Model and grids to the codes of a QuantizedModel.
#ifndef FAT_MODEL_ENCODE_MODEL_HPP_INCLUDED
#define FAT_MODEL_ENCODE_MODEL_HPP_INCLUDED

#include <fat/model/encodings.hpp>
#include <fat/model/model_grids.hpp>
#include <fat/model/simplify.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// The float model in the form that is quantized: batch normalization folded, clamps fused, depthwise layers named so,
/// idle nodes removed.
inline Model prepare_model(Model model) {
  name_depthwise(model);
  fold_batch_norm(model);
  fuse_clamps(model);
  drop_idle_nodes(model);
  drop_unused_values(model);
  return model;
}

/// The options of the value of every id and of the layer that makes it, nothing left empty.
/// Errors: options for a layer that the model does not have.
inline std::vector<LayerOptions> layer_options(const Model& model, const QuantizeOptions& options) {
  const LayerOptions common{{},
                            options.bits,
                            options.weight_scheme,
                            options.granularity,
                            options.train_activations,
                            options.train_weights,
                            options.train_biases};
  std::vector<LayerOptions> all(model.values.size(), common);
  for (const LayerOptions& each : options.layers) {
    LayerOptions& mine = all[detail::value_named(model, each.layer, "layers")];
    const auto set = [&](auto LayerOptions::*choice) {
      if (each.*choice) mine.*choice = each.*choice;
    };
    set(&LayerOptions::bits);
    set(&LayerOptions::weight_scheme);
    set(&LayerOptions::granularity);
    set(&LayerOptions::train_activations);
    set(&LayerOptions::train_weights);
    set(&LayerOptions::train_biases);
  }
  return all;
}

namespace detail {

/// Errors: options that name a tensor or layer which a prepared model does not have, or that are for weights where the
/// layer has none.
inline void check_names(const Model& model, const QuantizeOptions& options) {
  for (const std::string& name : options.keep_float) value_named(model, name, "keep_float");
  for (const LayerOptions& each : options.layers) {
    const ValueId value = value_named(model, each.layer, "layers");
    bool weighted = false;
    for (const Node& node : model.nodes)
      if (node.output == value) with_weighted(node.op, [&](const auto&) { weighted = true; });
    expects(weighted || !(each.bits || each.weight_scheme || each.granularity || each.train_weights || each.train_biases),
            "quantize_model: layer '", std::string_view{each.layer},
            "' has no weights; leave out bits, weight-scheme, granularity, train-weights and train-biases");
  }
}

}  // namespace detail

/// Grids by the options from the observed ranges of a prepared model. Values that share a grid get the hull of their
/// ranges; a layer that reads a float value keeps float weights and gets no grid.
inline ModelGrids model_grids(const Model& model, std::span<const Interval<float>> ranges,
                              const QuantizeOptions& options) {
  const TensorPlan plan = plan_tensors(model, options.keep_float);
  ModelGrids grids{std::vector<std::optional<Grid<float>>>(model.values.size()), {}};
  for (ValueId value = 0; value != model.values.size(); ++value) {
    if (!plan.quantized[value]) continue;
    Interval<float> hull = ranges[value];
    for (ValueId other = 0; other != model.values.size(); ++other)
      if (plan.group[other] == plan.group[value])
        hull = {std::min(hull.low, ranges[other].low), std::max(hull.high, ranges[other].high)};
    const auto [scheme, bits, all_signed] =
        std::tuple{options.scheme, options.activation_bits, options.signed_activations};
    grids.activations[value] =
        plan.unit[value] ? unit_grid(scheme, bits, all_signed) : activation_grid(hull, scheme, bits, all_signed);
  }
  const std::vector<LayerOptions> choices = layer_options(model, options);
  for (const Node& node : model.nodes) {
    const LayerOptions& mine = choices[node.output];
    std::vector<Grid<float>>& of_layer = grids.weights.emplace_back();
    if (grids.activations[node.inputs[0]])
      with_weighted(node.op, [&](const auto& layer) {
        for (const Interval<float>& range : weight_ranges(layer, *mine.granularity))
          of_layer.push_back(weight_grid(range, *mine.weight_scheme, *mine.bits));
      });
  }
  return grids;
}

/// Codes for every tensor and layer of a prepared model. `notes`, where given, gets one entry a node.
inline QuantizedModel encode_model(const Model& model, const ModelGrids& grids, const QuantizeOptions& options,
                                   std::vector<EncodingNotes>* notes = nullptr) {
  QuantizedModel quantized{model, {}, {}};
  quantized.requantize = options.requantize;
  for (const auto& grid : grids.activations) {
    quantized.activations.emplace_back();
    if (grid) quantized.activations.back() = encoding_of(*grid, options.scheme, options.activation_bits);
  }
  quantized.weights.resize(model.nodes.size());
  if (notes != nullptr) notes->assign(model.nodes.size(), {});
  const std::vector<LayerOptions> choices = layer_options(model, options);
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    with_weighted(quantized.graph.nodes[n].op, [&](auto& layer) {
      const auto& input = quantized.activations[model.nodes[n].inputs[0]];
      if (!input) return;
      quantized.weights[n] = encode_layer(layer, grids.weights[n], input->step, *choices[model.nodes[n].output].bits,
                                          notes == nullptr ? nullptr : &(*notes)[n]);
      layer.kernel = {};
      layer.offset = {};
    });
  return quantized;
}

}  // namespace fat::inline FAT_ABI

#endif
