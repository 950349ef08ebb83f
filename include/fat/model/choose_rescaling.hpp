// choose_rescaling: changes a float network by the wanted way of rescaling, or by the one that quantizes best on some images.
#ifndef FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED
#define FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED

#include <fat/model/balance_model.hpp>
#include <fat/model/equalize_model.hpp>
#include <fat/model/post_training.hpp>

#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// One way of rescaling that was tried.
struct RescalingTrial {
  Rescaling way = Rescaling::none;
  double output_rmse = 0.0;  ///< of the quantized network on the images, against the float network
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

/// Rescales a prepared model in place. Automatic: each way is tried on a copy, quantized by the options without training
/// (on these images only), and the one whose outputs are nearest to `wanted`, [count, outputs], is taken; of equals the
/// first of none, depthwise, equalize, balance.
/// Errors: those of rescale_depthwise.
inline RescalingChoice choose_rescaling(Model& model, const ImageBlock& images, std::span<const float> wanted,
                                        const QuantizeOptions& options) {
  const auto rescaled = [&](Rescaling way, ModelRescaling& done) {
    Model changed = model;
    Threads threads{options.threads};
    if (way == Rescaling::depthwise) done = rescale_depthwise(changed, images.pixels, threads);
    if (way == Rescaling::equalize) done = equalize_model(changed, images.pixels, threads);
    if (way == Rescaling::balance) done = balance_model(changed, images.pixels, threads);
    return changed;
  };
  RescalingChoice choice;
  if (options.rescale != Rescaling::automatic) {
    choice.way = options.rescale;
    model = rescaled(choice.way, choice.done);
    return choice;
  }
  std::vector<std::size_t> all(images.count);
  std::iota(all.begin(), all.end(), std::size_t{0});
  Model best = model;
  for (const Rescaling way : {Rescaling::none, Rescaling::depthwise, Rescaling::equalize, Rescaling::balance}) {
    ModelRescaling done;
    Model changed = rescaled(way, done);
    if (way != Rescaling::none && done.pairs.empty()) continue;
    const ModelGrids grids = model_grids(changed, observe_ranges(changed, images, all, options), options);
    const PostTraining tried = post_training(changed, changed, grids, images, wanted, options);
    const double rmse = simulated_rmse(tried.quantized, images, wanted, options.threads);
    const bool better = choice.trials.empty() || rmse < choice.trials[0].output_rmse;
    choice.trials.push_back({way, rmse});
    // The best stands first.
    if (!better) continue;
    std::swap(choice.trials.front(), choice.trials.back());
    choice.way = way;
    choice.done = std::move(done);
    best = std::move(changed);
  }
  model = std::move(best);
  return choice;
}

}  // namespace fat::inline FAT_ABI

#endif
