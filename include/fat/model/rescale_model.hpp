// Rescaling and equalization on a Model: finds the pairs of layers, measures what they carry, scales them in place.
#ifndef FAT_MODEL_RESCALE_MODEL_HPP_INCLUDED
#define FAT_MODEL_RESCALE_MODEL_HPP_INCLUDED

#include <fat/model/forward.hpp>
#include <fat/model/layerwise.hpp>
#include <fat/model/metrics.hpp>
#include <fat/quantizer/run.hpp>
#include <fat/transform/equalize.hpp>
#include <fat/transform/rescale_depthwise.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Two weighted layers with nothing between them but an activation that can be passed, and padding with zeros; nothing else
/// reads what the first makes.
struct ScalablePair {
  std::size_t first = 0;
  std::size_t second = 0;
  bool operator==(const ScalablePair&) const = default;
};

/// Calls f(Identity{}), f(ReLU{}) or f(ReLU6{}) for a clamp that is one of them; returns whether it is.
template <class Function>
bool with_activation(const Clamp& clamp, Function&& f) {
  if (clamp == Clamp{})
    f(Identity{});
  else if (clamp == relu)
    f(ReLU{});
  else if (clamp == relu6)
    f(ReLU6{});
  else
    return false;
  return true;
}

namespace detail {

inline bool weighted(const Operator& op) {
  return std::holds_alternative<Convolution>(op) || std::holds_alternative<DepthwiseConvolution>(op) ||
         std::holds_alternative<Dense>(op);
}

/// The only node that reads a value, unless the value is the model's output.
inline std::optional<std::size_t> sole_reader(const Model& model, ValueId value) {
  if (consumers(model, value) != 1 || value == model.output) return std::nullopt;
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    if (std::count(model.nodes[n].inputs.begin(), model.nodes[n].inputs.end(), value) == 1) return n;
  return std::nullopt;
}

/// The weighted layer that alone reads the output of node n, through pads with 0.
inline std::optional<std::size_t> weighted_reader(const Model& model, std::size_t n) {
  std::optional<std::size_t> reader = sole_reader(model, model.nodes[n].output);
  while (reader) {
    const Pad* const pad = std::get_if<Pad>(&model.nodes[*reader].op);
    if (pad == nullptr || pad->value != 0.0F) break;
    reader = sole_reader(model, model.nodes[*reader].output);
  }
  if (!reader || !weighted(model.nodes[*reader].op)) return std::nullopt;
  // A dense layer on an image reads every channel at every place; only a vector's channels are its inputs.
  const Extent& extent = model.extent(model.nodes[n].output);
  if (std::holds_alternative<Dense>(model.nodes[*reader].op) && extent.size() != extent.channels) return std::nullopt;
  return reader;
}

/// The model with the clamps of some nodes as layers of their own. made[i] is the value of nodes[i] before its clamp.
inline Model with_open_clamps(Model model, std::span<const std::size_t> nodes, std::vector<ValueId>& made) {
  std::vector<Node> rebuilt;
  made.assign(nodes.size(), 0);
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    Node node = model.nodes[n];
    const auto at = std::find(nodes.begin(), nodes.end(), n);
    if (at == nodes.end()) {
      rebuilt.push_back(std::move(node));
      continue;
    }
    const ValueId after = node.output;
    const ValueId before = model.add_value(node.name + "/before_clamp", model.extent(after));
    made[static_cast<std::size_t>(at - nodes.begin())] = before;
    const Clamp clamp = clamp_of(node.op);
    const std::string name = node.name + "/clamp";
    rebuilt.push_back({node.name, with_clamp(std::move(node.op), {}), node.inputs, before});
    rebuilt.push_back({name, ClampLayer{clamp}, {before}, after});
  }
  model.nodes = std::move(rebuilt);
  return model;
}

/// Signal to noise of a tensor whose values share one symmetric 8-bit grid.
inline double single_grid_sqnr(const array<float>& weights) {
  float threshold = 0.0F;
  for (const float w : weights) threshold = std::max(threshold, std::abs(w));
  array<float> rounded = weights;
  fake_quantize_run(weights.data(), rounded.data(), weights.size(), symmetric_grid(threshold, symmetric_codes(8, true)));
  Distance distance;
  distance.add({weights.data(), weights.size()}, {rounded.data(), rounded.size()});
  return distance.sqnr_db();
}

inline double weights_sqnr(const Operator& op) {
  return std::visit(
      []<class Layer>(const Layer& layer) {
        if constexpr (WeightedLayer<Layer>)
          return single_grid_sqnr(layer.weights());
        else
          return 0.0;
      },
      op);
}

/// Calls f(first layer, second layer) with the types of a pair of weighted nodes.
template <class Function>
void with_pair(Model& model, const ScalablePair& pair, Function&& f) {
  std::visit(
      [&]<class First, class Second>(First& first, Second& second) {
        if constexpr (WeightedLayer<First> && WeightedLayer<Second>) f(first, second);
      },
      model.nodes[pair.first].op, model.nodes[pair.second].op);
}

}  // namespace detail

/// Every pair whose first layer is depthwise (or, with `all`, any weighted layer) and whose activation is none, ReLU or
/// ReLU6. Batch normalization is folded and clamps are fused before.
inline std::vector<ScalablePair> scalable_pairs(const Model& model, bool all = false) {
  std::vector<ScalablePair> pairs;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Operator& op = model.nodes[n].op;
    if (!(all ? detail::weighted(op) : std::holds_alternative<DepthwiseConvolution>(op))) continue;
    if (!with_activation(clamp_of(op), [](auto) {})) continue;
    const auto reader = detail::weighted_reader(model, n);
    if (!reader || (!all && !std::holds_alternative<Convolution>(model.nodes[*reader].op))) continue;
    pairs.push_back({n, *reader});
  }
  return pairs;
}

/// Largest value of every channel of the outputs of some nodes before their clamps, over images [count, input extent].
/// Errors: images of another size, or none.
inline std::vector<std::vector<double>> channel_maxima(const Model& model, std::span<const std::size_t> nodes,
                                                       std::span<const float> images, Threads& threads) {
  std::vector<ValueId> made;
  const Model open = detail::with_open_clamps(model, nodes, made);
  const std::size_t in = model.input_extent().size();
  expects(!images.empty() && images.size() % in == 0, "channel_maxima: ", images.size(), " input values for images of ", in,
          "; give at least one whole calibration image");
  const std::size_t batch = images.size() / in;
  std::vector<std::vector<std::vector<float>>> found(threads.size());
  for (auto& of_worker : found)
    for (const ValueId value : made)
      of_worker.emplace_back(open.extent(value).channels, -std::numeric_limits<float>::infinity());
  FloatRunner runner{open, {threads.size()}};
  std::vector<float> outputs(batch * open.output_extent().size());
  runner.run(images, batch, outputs, [&](ValueId value, std::size_t, std::size_t worker, std::span<float> data) {
    const auto at = std::find(made.begin(), made.end(), value);
    if (at == made.end()) return;
    std::vector<float>& top = found[worker][static_cast<std::size_t>(at - made.begin())];
    for (std::size_t i = 0; i != data.size(); i += top.size())
      for (std::size_t c = 0; c != top.size(); ++c) top[c] = std::max(top[c], data[i + c]);
  });
  std::vector<std::vector<double>> maxima;
  for (std::size_t i = 0; i != made.size(); ++i) {
    std::vector<double> top(found[0][i].begin(), found[0][i].end());
    for (const auto& of_worker : found)
      for (std::size_t c = 0; c != top.size(); ++c) top[c] = std::max(top[c], static_cast<double>(of_worker[i][c]));
    maxima.push_back(std::move(top));
  }
  return maxima;
}

/// What was done to one pair, and what it does to the two layers' weights where each has one 8-bit scale.
struct PairRescaling {
  std::string first;
  std::string second;
  std::vector<double> factors;
  std::size_t locked = 0;  ///< channels kept because ReLU6 cuts them
  double control = 0.0;    ///< T0; 0 where the pair was equalized
  double first_sqnr_before = 0.0;
  double first_sqnr_after = 0.0;
  double second_sqnr_before = 0.0;
  double second_sqnr_after = 0.0;
};

/// What was done to a model.
struct ModelRescaling {
  std::vector<PairRescaling> pairs;  ///< empty: there is nothing to rescale, the model is unchanged
  /// How far the rescaled float network's outputs on the images are from the original's, root mean square: 0 but for
  /// rounding unless ReLU6 cuts a raised channel of an image that was not looked at.
  double output_rmse = 0.0;
  std::size_t iterations = 1;
};

namespace detail {

inline std::vector<float> outputs_of(const Model& model, std::span<const float> images, Threads& threads) {
  const std::size_t batch = images.size() / model.input_extent().size();
  std::vector<float> outputs(batch * model.output_extent().size());
  FloatRunner{model, {threads.size()}}.run(images, batch, outputs);
  return outputs;
}

inline std::vector<PairRescaling> begin_report(const Model& model, std::span<const ScalablePair> pairs) {
  std::vector<PairRescaling> report;
  for (const ScalablePair& pair : pairs) {
    PairRescaling each;
    each.first = model.nodes[pair.first].name;
    each.second = model.nodes[pair.second].name;
    each.first_sqnr_before = weights_sqnr(model.nodes[pair.first].op);
    each.second_sqnr_before = weights_sqnr(model.nodes[pair.second].op);
    report.push_back(std::move(each));
  }
  return report;
}

inline void finish_report(const Model& model, std::span<const ScalablePair> pairs, std::vector<PairRescaling>& report) {
  for (std::size_t p = 0; p != pairs.size(); ++p) {
    report[p].first_sqnr_after = weights_sqnr(model.nodes[pairs[p].first].op);
    report[p].second_sqnr_after = weights_sqnr(model.nodes[pairs[p].second].op);
  }
}

inline std::vector<std::size_t> first_nodes(std::span<const ScalablePair> pairs) {
  std::vector<std::size_t> nodes;
  for (const ScalablePair& pair : pairs) nodes.push_back(pair.first);
  return nodes;
}

inline double output_distance(const std::vector<float>& a, const std::vector<float>& b) {
  Distance distance;
  distance.add(a, b);
  return distance.rmse();
}

}  // namespace detail

/// Rescales every depthwise -> [activation] -> convolution pair of a model in place (NUMERICS 6), ReLU6 kept exact on the
/// calibration images [count, input extent]. Calibrate again afterwards. A model without such pairs is left alone.
/// Errors: images of another size, or none; those of rescale_depthwise.
inline ModelRescaling rescale_depthwise(Model& model, std::span<const float> images, Threads& threads,
                                        const RescaleOptions& options = {}) {
  const auto pairs = scalable_pairs(model);
  ModelRescaling result{detail::begin_report(model, pairs), 0.0, 1};
  if (pairs.empty()) return result;
  const std::vector<float> before = detail::outputs_of(model, images, threads);
  const auto maxima = channel_maxima(model, detail::first_nodes(pairs), images, threads);
  for (std::size_t p = 0; p != pairs.size(); ++p)
    with_activation(clamp_of(model.nodes[pairs[p].first].op), [&](auto activation) {
      detail::with_pair(model, pairs[p], [&](auto& first, auto& second) {
        const DepthwiseRescaling done = rescale_depthwise(first, activation, second, maxima[p], options);
        result.pairs[p].factors = done.factors;
        result.pairs[p].locked = static_cast<std::size_t>(std::count(done.locked.begin(), done.locked.end(), true));
        result.pairs[p].control = done.control;
      });
    });
  detail::finish_report(model, pairs, result.pairs);
  result.output_rmse = detail::output_distance(before, detail::outputs_of(model, images, threads));
  return result;
}

/// How equalize_model works.
struct EqualizeOptions {
  RescaleOptions limits = {};
  /// Rounds over all pairs at most, and the largest |log s| at which they end.
  std::size_t iterations = 40;
  double tolerance = 1e-3;
  /// Replaces ReLU6 by ReLU between the layers first, as other tools do. It changes the function; see output_rmse.
  bool replace_relu6 = false;
};

/// Cross-layer equalization of all pairs of weighted layers (convolution -> depthwise -> convolution ...), iterated until the
/// factors settle; ReLU6 is kept exact on the images by locking and limiting channels.
/// Errors: those of rescale_depthwise.
inline ModelRescaling equalize_model(Model& model, std::span<const float> images, Threads& threads,
                                     const EqualizeOptions& options = {}) {
  const auto pairs = scalable_pairs(model, true);
  ModelRescaling result{detail::begin_report(model, pairs), 0.0, 0};
  if (pairs.empty()) return result;
  const std::vector<float> before = detail::outputs_of(model, images, threads);
  if (options.replace_relu6)
    for (const ScalablePair& pair : pairs)
      if (clamp_of(model.nodes[pair.first].op) == relu6)
        model.nodes[pair.first].op = with_clamp(std::move(model.nodes[pair.first].op), relu);
  auto maxima = channel_maxima(model, detail::first_nodes(pairs), images, threads);
  for (std::size_t p = 0; p != pairs.size(); ++p) result.pairs[p].factors.assign(maxima[p].size(), 1.0);
  const std::vector<std::vector<double>> initial = maxima;
  double worst = std::numeric_limits<double>::infinity();
  while (result.iterations != options.iterations && worst > options.tolerance) {
    worst = 0.0;
    for (std::size_t p = 0; p != pairs.size(); ++p)
      with_activation(clamp_of(model.nodes[pairs[p].first].op), [&](auto activation) {
        detail::with_pair(model, pairs[p], [&](auto& first, auto& second) {
          // A channel raised to the limit is not locked by it: locks are those of the original maxima.
          RescaleOptions limits = options.limits;
          limits.lock = std::numeric_limits<float>::infinity();
          std::vector<double> factors =
              equalizing_factors(output_thresholds(first), activation, input_thresholds(second), maxima[p], limits);
          if constexpr (decltype(activation)::bounded)
            for (std::size_t k = 0; k != factors.size(); ++k)
              if (initial[p][k] >= static_cast<double>(options.limits.lock)) factors[k] = 1.0;
          rescale_channels(first, second, factors);
          for (std::size_t k = 0; k != factors.size(); ++k) {
            maxima[p][k] *= factors[k];
            result.pairs[p].factors[k] *= factors[k];
          }
          worst = std::max(worst, imbalance(factors));
        });
      });
    ++result.iterations;
  }
  for (std::size_t p = 0; p != pairs.size(); ++p)
    if (clamp_of(model.nodes[pairs[p].first].op) == relu6)
      result.pairs[p].locked = static_cast<std::size_t>(std::count_if(
          initial[p].begin(), initial[p].end(), [&](double x) { return x >= static_cast<double>(options.limits.lock); }));
  detail::finish_report(model, pairs, result.pairs);
  result.output_rmse = detail::output_distance(before, detail::outputs_of(model, images, threads));
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
