// choose_rescaling: changes a float network by the wanted way of rescaling, or by the one that quantizes best on some images.
#ifndef FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED
#define FAT_MODEL_CHOOSE_RESCALING_HPP_INCLUDED

#include <fat/model/balance_model.hpp>
#include <fat/model/equalize_model.hpp>
#include <fat/model/post_training.hpp>

#include <algorithm>
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
  double output_rmse = 0.0;  ///< of the quantized network on images it was not made with, against the float network
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
/// (without training) on the first half of the images, and the one whose outputs on the other half are nearest to
/// `wanted`, [count, outputs], is taken: what fits only the images that were looked at does not count. Of equals the
/// first of none, depthwise, equalize, balance. The model is then rescaled on all images. Errors: those of
/// rescale_depthwise.
inline RescalingChoice choose_rescaling(Model& model, const ImageBlock& images, std::span<const float> wanted,
                                        const QuantizeOptions& options) {
  const auto rescale = [&](Model& changed, Rescaling way, std::span<const float> pixels) {
    Threads threads{options.threads};
    if (way == Rescaling::depthwise) return rescale_depthwise(changed, pixels, threads);
    if (way == Rescaling::equalize) return equalize_model(changed, pixels, threads);
    if (way == Rescaling::balance) return balance_model(changed, pixels, threads);
    return ModelRescaling{};
  };
  RescalingChoice choice;
  choice.way = options.rescale;
  if (options.rescale == Rescaling::automatic) {
    const std::size_t half = std::max<std::size_t>(images.count / 2, 1), image = model.input_extent().size();
    const std::size_t rest = std::max<std::size_t>(images.count - half, 1), outputs = model.output_extent().size();
    const auto part = [&](std::size_t first, std::size_t count) {
      const auto from = images.pixels.begin() + static_cast<std::ptrdiff_t>(first * image);
      return ImageBlock{{from, from + static_cast<std::ptrdiff_t>(count * image)}, count};
    };
    const ImageBlock seen = part(0, half), unseen = part(images.count - rest, rest);
    std::vector<std::size_t> all(half);
    std::iota(all.begin(), all.end(), std::size_t{0});
    for (const Rescaling way : {Rescaling::none, Rescaling::depthwise, Rescaling::equalize, Rescaling::balance}) {
      Model changed = model;
      if (rescale(changed, way, seen.pixels).pairs.empty() && way != Rescaling::none) continue;
      const ModelGrids grids = model_grids(changed, observe_ranges(changed, seen, all, options), options);
      const PostTraining tried = post_training(changed, changed, grids, seen, wanted.first(half * outputs), options);
      choice.trials.push_back(
          {way, simulated_rmse(tried.quantized, unseen, wanted.last(rest * outputs), options.threads)});
    }
    std::stable_sort(choice.trials.begin(), choice.trials.end(),
                     [](const RescalingTrial& a, const RescalingTrial& b) { return a.output_rmse < b.output_rmse; });
    choice.way = choice.trials.front().way;
  }
  choice.done = rescale(model, choice.way, images.pixels);
  return choice;
}

}  // namespace fat::inline FAT_ABI

#endif
