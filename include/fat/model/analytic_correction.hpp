// analytic_correction: biases corrected for rounded weights by the means that batch normalizations promise, without images.
#ifndef FAT_MODEL_ANALYTIC_CORRECTION_HPP_INCLUDED
#define FAT_MODEL_ANALYTIC_CORRECTION_HPP_INCLUDED

#include <fat/model/model_grids.hpp>
#include <fat/model/rescale_model.hpp>
#include <fat/transform/bias_correction.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// Mean of every channel of the values whose means are known, by the names of the values.
using ChannelMeansByName = std::map<std::string, std::vector<double>, std::less<>>;

/// What a model with its batch normalizations still in place promises of its values: behind one, a channel is normal
/// with mean beta and deviation gamma; behind the clamp that follows, a clipped normal; pads with 0, average pools
/// and reshapes that keep the channels keep the means, and a sum adds them.
inline ChannelMeansByName promised_means(const Model& model) {
  ChannelMeansByName means;
  std::map<ValueId, const BatchNormalization*> normalized;
  for (const Node& node : model.nodes) {
    const auto keep = [&](std::vector<double> values) { means[model.values[node.output].name] = std::move(values); };
    const auto known = [&](ValueId value) {
      const auto at = means.find(model.values[value].name);
      return at == means.end() ? nullptr : &at->second;
    };
    const auto behind = [&](const BatchNormalization& norm, const Clamp& clamp) {
      std::vector<double> values(norm.shift.size());
      for (std::size_t c = 0; c != values.size(); ++c)
        values[c] =
            clipped_normal_mean(static_cast<double>(norm.shift[c]), std::abs(static_cast<double>(norm.scale[c])),
                                static_cast<double>(clamp.low), static_cast<double>(clamp.high));
      return values;
    };
    const std::vector<double>* const first = node.inputs.empty() ? nullptr : known(node.inputs[0]);
    if (const auto* normalization = std::get_if<BatchNormalization>(&node.op)) {
      normalized[node.output] = normalization;
      keep(behind(*normalization, Clamp{}));
    } else if (const auto* clamp = std::get_if<ClampLayer>(&node.op)) {
      const auto norm = normalized.find(node.inputs[0]);
      if (norm != normalized.end()) keep(behind(*norm->second, clamp->clamp));
    } else if (const auto* add = std::get_if<Add>(&node.op)) {
      const std::vector<double>* const second = known(node.inputs[1]);
      if (first == nullptr || second == nullptr || first->size() != second->size() || add->clamp.active()) continue;
      std::vector<double> sum = *first;
      for (std::size_t c = 0; c != sum.size(); ++c) sum[c] += (*second)[c];
      keep(std::move(sum));
    } else if (first != nullptr && first->size() == model.extent(node.output).channels) {
      const auto* pool = std::get_if<Pool>(&node.op);
      const auto* pad = std::get_if<Pad>(&node.op);
      if ((pad != nullptr && pad->value == 0.0F) || std::holds_alternative<GlobalAveragePool>(node.op) ||
          std::holds_alternative<Reshape>(node.op) || (pool != nullptr && pool->kind == Pool::Kind::average))
        keep(*first);
    }
  }
  return means;
}

/// The means of the values that rescaling changed: what the first layer of a pair makes, and that behind pads.
inline void rescale_means(ChannelMeansByName& means, const Model& model, std::span<const PairRescaling> pairs) {
  for (const PairRescaling& pair : pairs) {
    std::vector<ValueId> changed;
    for (const Node& node : model.nodes)
      if (&node == &model.nodes[pair.node] ||
          (std::holds_alternative<Pad>(node.op) &&
           std::find(changed.begin(), changed.end(), node.inputs[0]) != changed.end()))
        changed.push_back(node.output);
    for (const ValueId value : changed) {
      const auto at = means.find(model.values[value].name);
      if (at == means.end()) continue;
      for (std::size_t c = 0; c != at->second.size(); ++c)
        at->second[c] = at->second[c] * pair.factors[c] - (pair.absorbed.empty() ? 0.0 : pair.absorbed[c]);
    }
  }
}

/// b -= sum over the weights of (rounded - weight) * E[input] for every layer of a prepared model that has grids and
/// reads a value of known means; weights rounded to the nearest code. Returns how many layers were corrected.
/// Errors: grids that do not fit the model.
inline std::size_t correct_biases_analytically(Model& model, const ModelGrids& grids, const ChannelMeansByName& means) {
  expects(grids.weights.size() == model.nodes.size(), "correct_biases_analytically: grids of ", grids.weights.size(),
          " layers for a model of ", model.nodes.size());
  std::size_t corrected = 0;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const auto at = means.find(model.values[model.nodes[n].inputs[0]].name);
    if (at == means.end() || grids.weights[n].empty()) continue;
    with_weighted(model.nodes[n].op, [&](auto& layer) {
      if (connections(layer).inputs() != at->second.size()) return;
      auto rounded = layer;
      fake_quantize_weights(rounded, grids.weights[n]);
      correct_bias_by_weights(layer, rounded.weights(), at->second);
      ++corrected;
    });
  }
  return corrected;
}

}  // namespace fat::inline FAT_ABI

#endif
