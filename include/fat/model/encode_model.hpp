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
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// The float model in the form that is quantized: batch normalization folded, clamps fused, depthwise layers and means of
/// whole images named so, idle nodes removed.
inline Model prepare_model(Model model) {
  name_depthwise(model);
  name_global_means(model);
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

namespace detail {

/// The step that a model file gives a grid.
inline float written_step(const Grid<float>& grid) { return grid.dead() ? 1.0F : grid.step; }

/// The largest multiplier of a layer's sums under these grids; 0 for layers without one.
inline double largest_multiplier(const Model& model, std::size_t n, const ModelGrids& grids) {
  const Node& node = model.nodes[n];
  const auto& output = grids.activations[node.output];
  if (grids.weights[n].empty() || !output) return 0.0;
  const float in = written_step(*grids.activations[node.inputs[0]]), out = written_step(*output);
  std::vector<Grid<float>> settled = grids.weights[n];
  with_weighted(node.op, [&](const auto& layer) { settle_grids(settled, layer.bias(), in, out); });
  float largest = 0.0F;
  for (const Grid<float>& grid : settled) largest = std::max(largest, grid.step);
  return static_cast<double>(in) * static_cast<double>(largest) / static_cast<double>(out);
}

/// Widens the outputs of layers whose sums would be multiplied by 64 and more: one step of such a sum is that many codes,
/// so that the narrower grid could not be used, and no runtime takes 256. A fourth of that leaves training its room.
/// Errors: a layer that reads the grid it makes, so that widening does not help.
inline void limit_multipliers(const Model& model, const TensorPlan& plan, ModelGrids& grids) {
  constexpr double most = least_refused_multiplier / 4.0;
  const auto widen = [&](ValueId value, double times) {
    for (ValueId other = 0; other != model.values.size(); ++other) {
      auto& grid = grids.activations[other];
      if (!grid || plan.group[other] != plan.group[value]) continue;
      set_step(*grid, static_cast<float>(times * static_cast<double>(written_step(*grid))));
    }
  };
  // An output that is widened raises the multipliers of its readers, which may have come before where grids are shared.
  bool changed = true;
  for (std::size_t round = 0; changed && round <= model.nodes.size(); ++round) {
    changed = false;
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      const double found = largest_multiplier(model, n, grids);
      if (found < 1.001 * most) continue;
      widen(model.nodes[n].output, found / most);
      changed = true;
    }
  }
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const double found = largest_multiplier(model, n, grids);
    expects(found < least_refused_multiplier, "quantize_model: the sums of layer '",
            std::string_view{model.nodes[n].name}, "' would be multiplied by ", found, ", which runtimes refuse from ",
            least_refused_multiplier, " on; keep '", std::string_view{model.values[model.nodes[n].output].name},
            "' float");
  }
}

/// Errors: a layer in integers with more products in a sum than the kernels take.
inline void check_depths(const Model& model, const QuantizeOptions& options) {
  const TensorPlan plan = plan_tensors(model, options.keep_float);
  for (const Node& node : model.nodes) {
    if (node.inputs.empty() || !plan.quantized[node.inputs[0]]) continue;
    with_weighted(node.op, [&](const auto& layer) {
      const std::size_t depth = layer.weights().size() / std::max<std::size_t>(layer.bias().size(), 1);
      expects(depth <= deepest_sum, "quantize_model: layer '", std::string_view{node.name}, "' sums ", depth,
              " products, the integer kernels take at most ", deepest_sum, "; keep its input '",
              std::string_view{model.values[node.inputs[0]].name}, "' float");
    });
  }
}

/// Integer softmax has an unsigned output: with signed codes everywhere, it stays float.
inline void keep_softmax_in_float(const Model& model, QuantizeOptions& options) {
  if (!options.signed_activations) return;
  for (const Node& node : model.nodes)
    if (std::holds_alternative<Softmax>(node.op)) options.keep_float.push_back(model.values[node.output].name);
}

}  // namespace detail

/// Grids by the options from the observed ranges of a prepared model. Values that share a grid get the hull of their
/// ranges; a layer that reads a float value keeps float weights and gets no grid. Outputs are widened where the steps of
/// the sums are so coarse that runtimes would refuse their multiplier. Errors: a layer where that does not help, by name.
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
        plan.unit[value] ? unit_grid(scheme, all_signed) : activation_grid(hull, scheme, bits, all_signed);
  }
  const std::vector<LayerOptions> choices = layer_options(model, options);
  for (const Node& node : model.nodes) {
    const LayerOptions& mine = choices[node.output];
    std::vector<Grid<float>>& of_layer = grids.weights.emplace_back();
    if (!node.inputs.empty() && grids.activations[node.inputs[0]])
      with_weighted(node.op, [&](const auto& layer) {
        for (const Interval<float>& range : weight_ranges(layer, *mine.granularity))
          of_layer.push_back(weight_grid(range, *mine.weight_scheme, *mine.bits));
      });
  }
  detail::limit_multipliers(model, plan, grids);
  return grids;
}

/// Codes for every tensor and layer of a prepared model. `notes`, where given, gets one entry a node.
inline QuantizedModel encode_model(const Model& model, const ModelGrids& grids, const QuantizeOptions& options,
                                   std::vector<EncodingNotes>* notes = nullptr) {
  QuantizedModel quantized{model, {}, {}};
  quantized.requantize = options.requantize;
  for (const auto& grid : grids.activations) {
    quantized.activations.emplace_back();
    if (grid) quantized.activations.back() = encoding_of(*grid, options.scheme);
  }
  quantized.weights.resize(model.nodes.size());
  if (notes != nullptr) notes->assign(model.nodes.size(), {});
  const std::vector<LayerOptions> choices = layer_options(model, options);
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    with_weighted(quantized.graph.nodes[n].op, [&](auto& layer) {
      const auto& input = quantized.activations[model.nodes[n].inputs[0]];
      if (!input) return;
      const auto& output = quantized.activations[model.nodes[n].output];
      quantized.weights[n] =
          encode_layer(layer, grids.weights[n], *input, output ? output->step : 0.0F,
                       *choices[model.nodes[n].output].bits, notes == nullptr ? nullptr : &(*notes)[n]);
      layer.kernel = {};
      layer.offset = {};
    });
  return quantized;
}

}  // namespace fat::inline FAT_ABI

#endif
