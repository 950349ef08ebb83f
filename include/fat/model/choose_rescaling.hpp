// choose_rescaling: changes a float network by the wanted way of rescaling, or by the one that quantizes best on some images.
#ifndef FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED
#define FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED

#include <fat/model/balance_model.hpp>
#include <fat/model/equalize_model.hpp>
#include <fat/model/post_training.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// One way of rescaling that was tried: root mean square distances of the quantized outputs from the float network's.
struct RescalingTrial {
  Rescaling way = Rescaling::none;
  double output_rmse = 0.0;              ///< made with the first half of the images, measured on the other half
  std::optional<double> applied_rmse{};  ///< made with all images and measured on them; none once a better way is found
};

/// What choose_rescaling did.
struct RescalingChoice {
  Rescaling way = Rescaling::none;
  ModelRescaling done;                 ///< of the way taken
  std::vector<RescalingTrial> trials;  ///< where the choice was automatic, the best first
};

/// The words of the command line.
constexpr std::string_view name_of(Rescaling way) {
  constexpr std::array<std::string_view, 5> names{"none", "depthwise", "equalize", "balance", "auto"};
  return names[static_cast<std::size_t>(way)];
}

/// Rescales a prepared model in place. Automatic: each way is tried on a copy, rescaled and quantized by the options
/// (without training and without analytic correction) on the first half of the images, and measured on the other half:
/// what fits only the images that were looked at does not count. Then the ways are applied to all images, the best
/// first, until none that is left was better on its half than the best is now, which is taken: other images may lock
/// other channels. Of equals the first of none, depthwise, equalize, balance. `wanted` are the float network's
/// float_outputs. Errors: no images; those of rescale_depthwise.
inline RescalingChoice choose_rescaling(Model& model, const ImageBlock& images, std::span<const float> wanted,
                                        const QuantizeOptions& options) {
  expects(images.count != 0, "choose_rescaling: no images; give at least one calibration image");
  const auto rescale = [&](Model& changed, Rescaling way, std::span<const float> pixels) {
    Threads threads{options.threads};
    RescaleOptions limits;
    BalanceOptions balance;
    limits.lock = options.rescale_lock.value_or(limits.lock);
    balance.lock = options.rescale_lock.value_or(balance.lock);
    if (way == Rescaling::depthwise) return rescale_depthwise(changed, pixels, threads, limits);
    if (way == Rescaling::equalize) return equalize_model(changed, pixels, threads, {.limits = limits});
    if (way == Rescaling::balance) return balance_model(changed, pixels, threads, balance);
    return ModelRescaling{};
  };
  RescalingChoice choice;
  choice.way = options.rescale;
  if (options.rescale != Rescaling::automatic) {
    choice.done = rescale(model, choice.way, images.pixels);
    return choice;
  }
  const std::size_t half = std::max<std::size_t>(images.count / 2, 1), image = model.input_extent().size();
  const std::size_t outputs = model.output_extent().size();
  const auto part = [&](std::size_t first, std::size_t count) {
    const auto from = images.pixels.begin() + static_cast<std::ptrdiff_t>(first * image);
    return ImageBlock{{from, from + static_cast<std::ptrdiff_t>(count * image)}, count};
  };
  const auto quantized = [&](const Model& changed, const ImageBlock& seen) {
    std::vector<std::size_t> all(seen.count);
    std::iota(all.begin(), all.end(), std::size_t{0});
    const ModelGrids grids = model_grids(changed, observe_ranges(changed, seen, all, options), options);
    return post_training(changed, changed, grids, seen, wanted.first(seen.count * outputs), options).quantized;
  };
  const std::size_t rest = std::max<std::size_t>(images.count - half, 1);
  const ImageBlock seen = part(0, half), unseen = part(images.count - rest, rest);
  for (const Rescaling way : {Rescaling::none, Rescaling::depthwise, Rescaling::equalize, Rescaling::balance}) {
    Model changed = model;
    if (rescale(changed, way, seen.pixels).pairs.empty() && way != Rescaling::none) continue;
    choice.trials.push_back(
        {way, simulated_rmse(quantized(changed, seen), unseen, wanted.last(rest * outputs), options.threads)});
  }
  std::stable_sort(choice.trials.begin(), choice.trials.end(),
                   [](const RescalingTrial& a, const RescalingTrial& b) { return a.output_rmse < b.output_rmse; });
  double best = std::numeric_limits<double>::infinity();
  Model taken;
  for (RescalingTrial& trial : choice.trials) {
    if (best <= trial.output_rmse) break;
    Model changed = model;
    ModelRescaling done = rescale(changed, trial.way, images.pixels);
    const double applied = simulated_rmse(quantized(changed, images), images, wanted, options.threads);
    trial.applied_rmse = applied;
    if (!(applied < best)) continue;
    best = applied;
    taken = std::move(changed);
    choice.way = trial.way;
    choice.done = std::move(done);
  }
  expects(best < std::numeric_limits<double>::infinity(),
          "choose_rescaling: the outputs of the quantized network are not finite");
  model = std::move(taken);
  return choice;
}

}  // namespace fat::inline FAT_ABI

#endif
