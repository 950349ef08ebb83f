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
  /// Replaces ReLU6 by ReLU between the layers first, as other tools do. It changes the function; see output_rmse.
  bool replace_relu6 = false;
};

/// Cross-layer equalization of all pairs of weighted layers (convolution -> depthwise -> convolution ...), iterated
/// until the factors settle; ReLU6 is kept exact on the images by locking and limiting channels.
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
      result.pairs[p].locked =
          static_cast<std::size_t>(std::count_if(initial[p].begin(), initial[p].end(), [&](double x) {
            return x >= static_cast<double>(options.limits.lock);
          }));
  detail::finish_report(model, pairs, result.pairs);
  result.output_rmse = detail::output_distance(before, detail::outputs_of(model, images, threads));
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
