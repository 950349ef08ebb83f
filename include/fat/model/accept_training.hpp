// accept_training: whether a trained network is to be kept, by a paired test on images with and without training.
#ifndef FAT_MODEL_ACCEPT_TRAINING_HPP_INCLUDED
#define FAT_MODEL_ACCEPT_TRAINING_HPP_INCLUDED

#include <fat/model/before_softmax.hpp>
#include <fat/model/calibrate.hpp>
#include <fat/model/simulate.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

/// What accept_training found.
struct TrainingVerdict {
  bool kept = false;
  std::size_t images = 0;
  std::size_t better = 0;  ///< images whose outputs training brought nearer to the float network's
  double before = 0.0;     ///< root mean square distances of all outputs from the float network's
  double after = 0.0;
  /// Mean over the images of the logarithm of after / before, in standard errors of that mean; below 0 training helps.
  double deviations = 0.0;
};

/// Of squared errors of the same images without and with training. Training is kept where it lowers their sum and where
/// the mean logarithm of their ratios lies more than two standard errors below 0: neither a single image nor chance
/// decides. One image alone: where it lowers its error. `outputs`: values in one image's error.
inline TrainingVerdict judge_training(std::span<const double> before, std::span<const double> after,
                                      std::size_t outputs) {
  expects(before.size() == after.size() && !before.empty(), "judge_training: ", before.size(), " and ", after.size(),
          " errors; give as many of each, at least one");
  constexpr double significant = -2.0;
  TrainingVerdict found;
  found.images = before.size();
  const auto count = static_cast<double>(found.images);
  double sum_before = 0.0, sum_after = 0.0;
  for (std::size_t i = 0; i != before.size(); ++i) {
    sum_before += before[i];
    sum_after += after[i];
    found.better += after[i] < before[i] ? 1U : 0U;
  }
  found.before = std::sqrt(sum_before / (count * static_cast<double>(outputs)));
  found.after = std::sqrt(sum_after / (count * static_cast<double>(outputs)));
  // errors of 0 count as far below the mean, not as infinitely far
  const double least = 1e-9 * (sum_before + sum_after) / count + std::numeric_limits<double>::min();
  double sum = 0.0, squares = 0.0;
  const auto ratio = [&](std::size_t i) { return std::log((after[i] + least) / (before[i] + least)); };
  for (std::size_t i = 0; i != before.size(); ++i) sum += ratio(i);
  for (std::size_t i = 0; i != before.size(); ++i) squares += (ratio(i) - sum / count) * (ratio(i) - sum / count);
  const double error = found.images == 1 ? 0.0 : std::sqrt(squares / (count - 1.0) / count);
  const double infinite = std::numeric_limits<double>::infinity();
  found.deviations = error > 0.0 ? sum / count / error : sum < 0.0 ? -infinite : sum > 0.0 ? infinite : 0.0;
  found.kept = std::isfinite(sum_after) && sum_after < sum_before && found.deviations <= significant;
  return found;
}

/// Compares both networks with the outputs of `exact`, a float model, on the chosen images; outputs are those before
/// softmax. Errors: no images; those of loading.
template <ImageSource Images>
TrainingVerdict accept_training(const Model& exact, const QuantizedModel& untrained, const QuantizedModel& trained,
                                const Images& images, std::span<const std::size_t> chosen, std::size_t threads,
                                const Progress& progress = {}) {
  const Model scored = before_softmax(exact);
  FloatRunner wanted{scored, {.threads = threads}};
  Simulation first{before_softmax(untrained), threads}, second{before_softmax(trained), threads};
  const std::size_t outputs = scored.output_extent().size(), some = 4 * threads;
  std::vector<float> right(some * outputs), found(some * outputs);
  std::vector<double> before, after;
  for_each_batch(images, chosen, scored.input_extent().size(), some,
                 [&](std::span<const float> batch, std::size_t done, std::size_t count) {
                   const std::size_t size = count * outputs;
                   wanted.run(batch, count, std::span{right}.first(size));
                   const auto add = [&](Simulation& network, std::vector<double>& errors) {
                     network.run(batch, count, std::span{found}.first(size));
                     for (std::size_t image = 0; image != count; ++image) {
                       double sum = 0.0;
                       for (std::size_t k = image * outputs; k != (image + 1) * outputs; ++k)
                         sum += std::pow(static_cast<double>(found[k]) - static_cast<double>(right[k]), 2);
                       errors.push_back(sum);
                     }
                   };
                   add(first, before);
                   add(second, after);
                   detail::notify(progress, {.stage = "compare", .done = done + count, .total = chosen.size()});
                 });
  return judge_training(before, after, outputs);
}

namespace detail {

/// One sentence on what was found.
inline std::string describe(const TrainingVerdict& verdict) {
  return std::string{Message{"training: ", verdict.kept ? "kept" : "undone", ", since on all ", verdict.images,
                             " images (calibrated on, trained on or held out) the output RMSE is ", verdict.before,
                             " before and ", verdict.after, " after it, lower on ", verdict.better, " of them (",
                             verdict.deviations,
                             " standard errors; kept where the whole is lower and these are -2 or less)"}
                         .view()};
}

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
