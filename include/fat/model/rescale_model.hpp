// rescale_depthwise on a Model: every depthwise layer and the convolution that reads it, with a report.
#ifndef FAT_MODEL_RESCALE_MODEL_HPP_INCLUDED
#define FAT_MODEL_RESCALE_MODEL_HPP_INCLUDED

#include <fat/model/metrics.hpp>
#include <fat/model/scalable_pairs.hpp>
#include <fat/quantizer/run.hpp>
#include <fat/transform/rescale_depthwise.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// What was done to one pair, and what it does to the two layers' weights where each has one 8-bit scale.
struct PairRescaling {
  std::string first;
  std::string second;
  std::size_t node = 0;  ///< of the first layer; names need not be unique
  std::vector<double> factors;
  std::vector<double> absorbed{};  ///< what was taken from each channel after scaling; empty: nothing
  std::size_t locked = 0;          ///< channels kept because ReLU6 cuts them
  double control = 0.0;            ///< T0; 0 where the pair was equalized
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

/// Signal to noise of a tensor whose values share one symmetric 8-bit grid.
inline double single_grid_sqnr(const array<float>& weights) {
  float threshold = 0.0F;
  for (const float w : weights) threshold = std::max(threshold, std::abs(w));
  array<float> rounded = weights;
  fake_quantize_run(weights.data(), rounded.data(), weights.size(),
                    symmetric_grid(threshold, symmetric_codes(8, true)));
  Distance distance;
  distance.add({weights.data(), weights.size()}, {rounded.data(), rounded.size()});
  return distance.sqnr_db();
}

inline double weights_sqnr(const Operator& op) {
  double sqnr = 0.0;
  with_weighted(op, [&](const auto& layer) { sqnr = single_grid_sqnr(layer.weights()); });
  return sqnr;
}

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
    for (const ChannelReader& reader : pair.readers)
      if (reader.node != pair.second) each.second += ", " + model.nodes[reader.node].name;
    each.node = pair.first;
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

/// Rescales every depthwise -> [activation] -> convolution pair of a model in place (NUMERICS 6), ReLU6 kept exact on
/// the calibration images [count, input extent]. Calibrate again afterwards. A model without such pairs is left alone.
/// Errors: images of another size, or none; those of rescale_depthwise. The model is unchanged then.
inline ModelRescaling rescale_depthwise(Model& original, std::span<const float> images, Threads& threads,
                                        const RescaleOptions& options = {}) {
  Model model = original;
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
  original = std::move(model);
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
