// equalize_model: cross-layer equalization of all chains of a Model, iterated until the factors settle.
#ifndef FAT_MODEL_EQUALIZE_MODEL_HPP_INCLUDED
#define FAT_MODEL_EQUALIZE_MODEL_HPP_INCLUDED

#include <fat/model/rescale_model.hpp>
#include <fat/transform/equalize.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// How equalize_model works.
struct EqualizeOptions {
  RescaleOptions limits = {};
  /// Rounds over all pairs at most, and the largest |log s| at which they end.
  std::size_t iterations = 40;
  double tolerance = 1e-3;
  /// Replaces ReLU6 (any bounded ReLU) by ReLU between the layers first, as other tools do. It changes the function; see output_rmse.
  bool replace_relu6 = false;
  /// Moves what every image adds to a channel into the layer behind it afterwards (absorb_bias), where that layer does
  /// not pad.
  bool absorb_biases = true;
};

namespace detail {

/// Whether a layer reads nothing but its input: padding would stand for what was absorbed.
inline bool unpadded(const Operator& op) {
  bool none = false;
  with_weighted(op, [&]<class Layer>(const Layer& layer) {
    if constexpr (std::is_same_v<Layer, Dense>)
      none = true;
    else
      none = layer.window.padding == Padding{};
  });
  return none;
}

/// From which pre-activation on a channel of each pair stays as it is; infinite where nothing cuts it.
inline std::vector<double> locked_from(const Model& model, std::span<const ScalablePair> pairs,
                                       const RescaleOptions& limits) {
  std::vector<double> from(pairs.size(), std::numeric_limits<double>::infinity());
  for (std::size_t p = 0; p != pairs.size(); ++p)
    with_activation(clamp_of(model.nodes[pairs[p].first].op), [&]<class A>(const A& activation) {
      if constexpr (A::bounded) from[p] = static_cast<double>(limits.scaled_to(activation).lock);
    });
  return from;
}

/// absorb_bias on every pair that may. Channels that ReLU6 cuts (`locked`), or that are 0 on some image, stay. With ReLU
/// and ReLU6 the function stays the same on the images.
inline void absorb_biases(Model& model, std::span<const ScalablePair> pairs, std::span<const float> images,
                          Threads& threads, std::span<const double> locked, std::vector<PairRescaling>& report) {
  const auto ranges = channel_ranges(model, first_nodes(pairs), images, threads);
  for (std::size_t p = 0; p != pairs.size(); ++p) {
    const Node& first = model.nodes[pairs[p].first];
    if (!pairs[p].readers.empty() || sole_reader(model, first.output) != pairs[p].second || !unpadded(model.nodes[pairs[p].second].op)) continue;
    std::vector<double> minima;
    for (const Interval<float>& range : ranges[p])
      minima.push_back(static_cast<double>(range.high) >= locked[p] ? 0.0 : static_cast<double>(range.low));
    if (std::none_of(minima.begin(), minima.end(), [](double low) { return low > 0.0; })) continue;
    with_pair(model, pairs[p], [&](auto& a, auto& b) { report[p].absorbed = absorb_bias(a, b, minima); });
  }
}

}  // namespace detail

/// Cross-layer equalization of all pairs of weighted layers (convolution -> depthwise -> convolution ...), iterated
/// until the factors settle, then high-bias absorption; ReLU6 is kept exact on the images by locking and limiting
/// channels.
/// Errors: those of rescale_depthwise; the model is unchanged then.
inline ModelRescaling equalize_model(Model& original, std::span<const float> images, Threads& threads,
                                     const EqualizeOptions& options = {}) {
  Model model = original;
  const auto pairs = scalable_pairs(model, true);
  ModelRescaling result{detail::begin_report(model, pairs), 0.0, 0};
  if (pairs.empty()) return result;
  const std::vector<float> before = detail::outputs_of(model, images, threads);
  if (options.replace_relu6)
    for (const ScalablePair& pair : pairs)
      if (relu_bound(clamp_of(model.nodes[pair.first].op)))
        model.nodes[pair.first].op = with_clamp(std::move(model.nodes[pair.first].op), relu);
  const std::vector<double> locked = detail::locked_from(model, pairs, options.limits);
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
          const std::vector<double> thresholds = output_thresholds(first);
          std::vector<double> factors =
              equalizing_factors(thresholds, activation, input_thresholds(second), maxima[p], limits);
          limit_by_biases(first, thresholds, factors);
          if constexpr (decltype(activation)::bounded)
            for (std::size_t k = 0; k != factors.size(); ++k)
              if (initial[p][k] >= locked[p]) factors[k] = 1.0;
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
    result.pairs[p].locked = static_cast<std::size_t>(
        std::count_if(initial[p].begin(), initial[p].end(), [&](double x) { return x >= locked[p]; }));
  if (options.absorb_biases) detail::absorb_biases(model, pairs, images, threads, locked, result.pairs);
  detail::finish_report(model, pairs, result.pairs);
  result.output_rmse = detail::output_distance(before, detail::outputs_of(model, images, threads));
  original = std::move(model);
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
