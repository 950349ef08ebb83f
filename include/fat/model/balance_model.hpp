// balance_model: scales the channels between the layers of a Model so that one step for a layer costs least.
#ifndef FAT_MODEL_BALANCE_MODEL_HPP_INCLUDED
#define FAT_MODEL_BALANCE_MODEL_HPP_INCLUDED

#include <fat/model/rescale_model.hpp>
#include <fat/transform/balance.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// How balance_model works.
struct BalanceOptions {
  /// Through ReLU6 no channel is raised above this, well below 6: images that were not looked at are cut less.
  float limit = 4.0F;
  /// ReLU6: channels whose largest pre-activation reaches this stay as they are; other images may have more. For another
  /// bound than 6, this and the limit count in proportion to it.
  float lock = 5.0F;
  /// Rounds over all pairs; each changes what its neighbours carry.
  std::size_t rounds = 3;
};

namespace detail {

/// Variance of every channel of some values over images and places.
inline std::vector<std::vector<double>> channel_variances(const Model& model, std::span<const ValueId> values,
                                                          std::span<const float> images, Threads& threads) {
  const std::size_t batch = images.size() / model.input_extent().size();
  struct Sums {
    std::vector<double> first, second;
  };
  // A row of sums an image: the result does not depend on which thread took the image.
  std::vector<std::vector<Sums>> found(batch);
  for (auto& of_image : found)
    for (const ValueId value : values) {
      const std::size_t channels = model.extent(value).channels;
      of_image.push_back({std::vector<double>(channels), std::vector<double>(channels)});
    }
  FloatRunner runner{model, {threads.size()}};
  std::vector<float> outputs(batch * model.output_extent().size());
  runner.run(images, batch, outputs, [&](ValueId value, std::size_t image, std::size_t, std::span<float> data) {
    const auto at = std::find(values.begin(), values.end(), value);
    if (at == values.end()) return;
    Sums& sums = found[image][static_cast<std::size_t>(at - values.begin())];
    const std::size_t channels = sums.first.size();
    for (std::size_t i = 0; i != data.size(); i += channels)
      for (std::size_t c = 0; c != channels; ++c) {
        const auto x = static_cast<double>(data[i + c]);
        sums.first[c] += x;
        sums.second[c] += x * x;
      }
  });
  std::vector<std::vector<double>> variances;
  for (std::size_t v = 0; v != values.size(); ++v) {
    const Extent& extent = model.extent(values[v]);
    const std::size_t pixels = extent.size() / extent.channels;
    const auto count = static_cast<double>(batch * pixels);
    std::vector<double> variance(extent.channels);
    for (std::size_t c = 0; c != extent.channels; ++c) {
      double first = 0.0, second = 0.0;
      for (const auto& of_image : found) first += of_image[v].first[c], second += of_image[v].second[c];
      variance[c] = std::max(0.0, second / count - first / count * (first / count));
    }
    variances.push_back(std::move(variance));
  }
  return variances;
}

/// Sum of squares, and number, of the weights that read each input channel, those of an output channel counted as often
/// as `importance` says (once where that is empty).
struct InputEnergies {
  std::vector<double> squares, counts;
};
template <WeightedLayer Layer>
InputEnergies input_energies(Layer& layer, std::span<const double> importance = {}) {
  const std::size_t inputs = connections(layer).inputs();
  InputEnergies of{std::vector<double>(inputs), std::vector<double>(inputs)};
  for_each_weight(layer, [&](auto& weight, std::size_t output, std::size_t input) {
    const double share = importance.empty() ? 1.0 : importance[output];
    of.squares[input] += share * static_cast<double>(weight) * static_cast<double>(weight);
    of.counts[input] += share;
  });
  return of;
}

/// What balancing_factors has to know of one pair. maxima: those of channel_maxima.
template <WeightedLayer First, WeightedLayer Second>
ChannelNoise channel_noise(Model& model, const ScalablePair& pair, First& first, Second& second,
                           std::span<const double> input_variance, std::span<const double> variance,
                           std::span<const double> maxima, const BalanceOptions& options) {
  constexpr bool by_channel = std::is_same_v<First, DepthwiseConvolution>;
  const std::size_t channels = variance.size();
  ChannelNoise noise{output_thresholds(first),
                     input_thresholds(second),
                     std::vector<double>(channels),
                     {},
                     {},
                     std::vector<double>(channels, std::numeric_limits<double>::infinity()),
                     std::vector<bool>(channels, false),
                     0.0};
  // Outputs of a depthwise layer matter as much as the layer behind reads them.
  std::vector<double> importance;
  if constexpr (std::is_same_v<Second, DepthwiseConvolution>)
    if (const auto reader = weighted_reader(model, pair.second))
      with_weighted(model.nodes[*reader].op, [&](auto& layer) { importance = input_energies(layer).squares; });
  InputEnergies energies = input_energies(second, importance);
  noise.gain = std::move(energies.squares);
  noise.read = std::move(energies.counts);
  const std::size_t filter = first.weights().size() / first.bias().size();
  const auto taps = static_cast<double>(filter);
  double mean_variance = 0.0;
  for (const double v : input_variance) mean_variance += v / static_cast<double>(input_variance.size());
  for (std::size_t k = 0; k != channels; ++k) {
    noise.made[k] = taps * (by_channel ? input_variance[k * input_variance.size() / channels] : mean_variance);
    noise.read[k] *= variance[k];
  }
  if (const auto bound = relu_bound(clamp_of(model.nodes[pair.first].op))) {
    const RescaleOptions limits =
        RescaleOptions{.lock = options.lock, .limit = options.limit}.scaled_to(BoundedReLU{*bound});
    for (std::size_t k = 0; k != channels; ++k) {
      noise.locked[k] = maxima[k] >= static_cast<double>(limits.lock);
      if (maxima[k] > 0.0) noise.highest[k] = std::max(1.0, static_cast<double>(limits.limit) / maxima[k]);
    }
    noise.value_step_squared = (*bound / 255.0) * (*bound / 255.0);
  } else {  // No channel outgrows the largest, whose range all of them share between the layers.
    const double largest = *std::max_element(maxima.begin(), maxima.end());
    for (std::size_t k = 0; k != channels; ++k)
      if (maxima[k] > 0.0) noise.highest[k] = std::max(1.0, largest / maxima[k]);
  }
  return noise;
}

}  // namespace detail

/// Rescales the depthwise layers (rescale_depthwise), then balances all pairs of weighted layers (balancing_factors),
/// round after round. For none and ReLU the network computes the same as before; for ReLU6 on the images [count, input
/// extent]. Calibrate again afterwards. A model without pairs is left alone. Errors: those of
/// rescale_depthwise; the model is unchanged then.
inline ModelRescaling balance_model(Model& original, std::span<const float> images, Threads& threads,
                                    const BalanceOptions& options = {}) {
  Model model = original;
  const auto pairs = scalable_pairs(model, true);
  ModelRescaling result{detail::begin_report(model, pairs), 0.0, 0};
  if (pairs.empty()) return result;
  const std::vector<float> before = detail::outputs_of(model, images, threads);
  for (std::size_t p = 0; p != pairs.size(); ++p)
    result.pairs[p].factors.assign(model.extent(model.nodes[pairs[p].first].output).channels, 1.0);
  const auto note = [&](std::size_t p, std::span<const double> factors) {
    for (std::size_t k = 0; k != factors.size(); ++k) result.pairs[p].factors[k] *= factors[k];
  };
  const ModelRescaling depthwise =
      rescale_depthwise(model, images, threads, {.lock = options.lock, .limit = options.limit, .keep_range = true});
  for (const PairRescaling& done : depthwise.pairs)
    for (std::size_t p = 0; p != pairs.size(); ++p)
      if (result.pairs[p].node == done.node) {
        note(p, done.factors);
        result.pairs[p].control = done.control;
      }
  std::vector<ValueId> values;
  for (const ScalablePair& pair : pairs) {
    values.push_back(model.nodes[pair.first].inputs[0]);
    values.push_back(model.nodes[pair.first].output);
  }
  for (; result.iterations != options.rounds; ++result.iterations) {
    const auto variances = detail::channel_variances(model, values, images, threads);
    const auto maxima = channel_maxima(model, detail::first_nodes(pairs), images, threads);
    for (std::size_t p = 0; p != pairs.size(); ++p)
      detail::with_pair(model, pairs[p], [&](auto& first, auto& second) {
        const ChannelNoise noise = detail::channel_noise(model, pairs[p], first, second, variances[2 * p],
                                                         variances[2 * p + 1], maxima[p], options);
        const std::vector<double> factors = balancing_factors(noise);
        rescale_channels(first, second, factors);
        note(p, factors);
        result.pairs[p].locked = static_cast<std::size_t>(std::count(noise.locked.begin(), noise.locked.end(), true));
      });
  }
  detail::finish_report(model, pairs, result.pairs);
  result.output_rmse = detail::output_distance(before, detail::outputs_of(model, images, threads));
  original = std::move(model);
  return result;
}

}  // namespace fat::inline FAT_ABI

#endif
