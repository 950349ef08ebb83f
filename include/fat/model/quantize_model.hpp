// quantize_model: the whole job, from a float Model and images to a QuantizedModel and a report by layer.
#ifndef FAT_MODEL_QUANTIZE_MODEL_HPP_INCLUDED
#define FAT_MODEL_QUANTIZE_MODEL_HPP_INCLUDED

#include <fat/model/accept_training.hpp>
#include <fat/model/analytic_correction.hpp>
#include <fat/model/choose_rescaling.hpp>
#include <fat/model/finetune.hpp>
#include <fat/model/layer_report.hpp>
#include <fat/model/post_training.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// What quantize_model did, beside the model itself.
struct QuantizeReport {
  std::vector<LayerReport> layers;
  std::vector<std::string> messages;
  std::map<std::string, double> seconds;
  RescalingChoice rescaling;
  std::vector<LayerCorrection> corrections;
  /// Loss of every training step.
  std::vector<double> losses;
};

namespace detail {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What the user has to know of the rescaling.
inline std::vector<std::string> rescaling_messages(const RescalingChoice& choice, const QuantizeOptions& options) {
  std::vector<std::string> messages;
  if (options.rescale == Rescaling::none) return messages;
  if (!choice.trials.empty()) {
    std::string tried{
        Message{"rescale: took ", name_of(choice.way), "; output RMSE on images that were left out:"}.view()};
    const char* before = " ";
    for (const RescalingTrial& trial : choice.trials) {
      tried += Message{before, name_of(trial.way), " ", trial.output_rmse}.view();
      before = ", ";
    }
    tried += "; with all images, on them:";
    before = " ";
    for (const RescalingTrial& trial : choice.trials)
      if (trial.applied_rmse) {
        tried += Message{before, name_of(trial.way), " ", *trial.applied_rmse}.view();
        before = ", ";
      }
    messages.push_back(std::move(tried));
  }
  if (choice.done.pairs.empty()) {
    if (choice.trials.size() <= 1)
      messages.emplace_back(
          "rescale: the network has no layers that can be rescaled (a depthwise layer, then a convolution); "
          "nothing was done");
    return messages;
  }
  std::size_t locked = 0;
  for (const PairRescaling& pair : choice.done.pairs) locked += pair.locked;
  messages.emplace_back(
      Message{"rescale: ", name_of(choice.way), " changed ", choice.done.pairs.size(), " pairs of layers, kept ",
              locked, " channels that ReLU6 cuts; the float outputs moved by ", choice.done.output_rmse, " RMSE"}
          .view());
  if (choice.trials.empty() && options.granularity == Granularity::per_channel)
    messages.emplace_back(
        "rescale: weights have one step a channel, which rescaling seldom helps and may harm; rescale auto measures "
        "it");
  return messages;
}

/// The images that a training may be judged by: those calibrated on and those drawn for training, held out or not.
inline std::vector<std::size_t> known_images(std::size_t total, const QuantizeOptions& options) {
  const std::vector<std::size_t> calibrated = draw_indices(total, options.calibration, options.seed),
                                 trained = draw_indices(total, options.train.value_or(total), options.seed);
  std::vector<std::size_t> all;
  std::set_union(calibrated.begin(), calibrated.end(), trained.begin(), trained.end(), std::back_inserter(all));
  return all;
}

/// Trains network and grids towards the outputs of the original; the report gets the losses, the time and how it ended.
/// What accept_training does not find better stays as it was.
template <ImageSource Images>
void finetune_in_place(Model& network, ModelGrids& grids, std::span<const Interval<float>> ranges,
                       const Model& original, const Images& images, const QuantizeOptions& options,
                       const Progress& progress, QuantizeReport& told) {
  const Stopwatch training;
  const std::vector<std::size_t> chosen =
      draw_indices(images.size(), options.train.value_or(images.size()), options.seed);
  Finetuned trained = finetune(network, grids, ranges, original, images, chosen, options, progress);
  const TrainingVerdict verdict = accept_training(original, encode_model(network, grids, options),
                                                  encode_model(trained.model, trained.grids, options), images,
                                                  known_images(images.size(), options), options.threads, progress);
  told.messages.push_back(describe(trained.report));
  told.messages.push_back(describe(verdict));
  told.losses = std::move(trained.report.losses);
  if (verdict.kept) {
    network = std::move(trained.model);
    grids = std::move(trained.grids);
  }
  told.seconds["train"] = training.seconds();
}

}  // namespace detail

/// Quantizes a float model: rescales it, observes ranges on `options.calibration` images, trains thresholds, rounds
/// weights and corrects biases as asked, and encodes. Each step is usable alone: prepare_model, choose_rescaling,
/// observe_ranges, model_grids, finetune, post_training. With training, weights are rounded by choice and biases
/// corrected before it (the steps of weights rounded so stay as they are), and biases again after it where that brings
/// the outputs nearer to the float network's. A training that does not pass accept_training is undone. `report`, where given, gets a line for each layer. With signed activations
/// softmax outputs stay float.
/// Errors: options out of range or for layers that are none, no image, NaN or infinity in the weights or in a tensor (by name); those of finetune.
///   fat::QuantizedModel int8 = fat::quantize_model(model, images, {.granularity = fat::Granularity::scalar});
template <ImageSource Images>
QuantizedModel quantize_model(const Model& model, const Images& images, const QuantizeOptions& given = {},
                              const Progress& progress = {}, QuantizeReport* report = nullptr) {
  detail::check(given);
  validate(model);
  QuantizeReport unread;
  QuantizeReport& told = report == nullptr ? unread : *report;
  const Model original = prepare_model(model);
  QuantizeOptions options = given;
  detail::keep_softmax_in_float(original, options);
  detail::check_names(original, options);
  detail::check_depths(original, options);
  expects(images.size() != 0, "quantize_model: no images; give at least one calibration image");
  Model network = original;
  const std::vector<std::size_t> chosen = draw_indices(images.size(), options.calibration, options.seed);

  // Images and float outputs for the steps that compare networks; no such step, no block.
  constexpr std::size_t most_compared = 64;
  const bool corrects =
      options.bias_correction == BiasCorrection::on || options.bias_correction == BiasCorrection::automatic;
  ImageBlock block;
  std::vector<float> wanted;
  if (corrects || options.rescale != Rescaling::none || options.rounding != WeightRounding::nearest) {
    block = load_block(images, chosen, original.input_extent().size(), most_compared);
    wanted = float_outputs(original, block, options.threads);
  }
  if (corrects || options.rounding != WeightRounding::nearest)
    if (const std::size_t seen = correction_images(original, block.count); seen < block.count)
      told.messages.emplace_back(Message{"correction: looks at ", seen, " of ", block.count,
                                         " images; the activations of more do not fit its memory"}
                                     .view());
  if (options.rescale != Rescaling::none) {
    const detail::Stopwatch rescaling;
    told.rescaling = choose_rescaling(network, block, wanted, options);
    for (std::string& message : detail::rescaling_messages(told.rescaling, options))
      told.messages.push_back(std::move(message));
    std::vector<std::string> refused;
    scalable_pairs(network, true, &refused);
    std::string places;
    constexpr std::size_t most_named = 3;
    for (std::size_t i = 0; i != std::min(refused.size(), most_named); ++i) places += (i == 0 ? "" : "; ") + refused[i];
    if (!refused.empty())
      told.messages.push_back("rescale: " + std::to_string(refused.size()) + " layers cannot be rescaled: " + places +
                              (refused.size() > most_named ? "; ..." : ""));
    told.seconds["rescale"] = rescaling.seconds();
  }
  const detail::Stopwatch calibrating;
  const std::vector<Interval<float>> ranges = observe_ranges(network, images, chosen, options, progress);
  ModelGrids grids = model_grids(network, ranges, options);
  told.seconds["calibrate"] = calibrating.seconds();

  const Model rescaled = network;
  QuantizeOptions last = options;
  const detail::Stopwatch correcting;
  if (options.bias_correction == BiasCorrection::analytic) {
    ChannelMeansByName means = promised_means(model);
    rescale_means(means, network, told.rescaling.done.pairs);
    const std::size_t layers = correct_biases_analytically(network, grids, means);
    told.messages.emplace_back(Message{"bias correction: ", layers, " layers read what a batch normalization made; ",
                                       layers == 0 ? "nothing was corrected" : "their biases were corrected"}
                                   .view());
  }
  if (options.finetune != Finetuning::none) {
    QuantizeOptions trained = options;
    if (options.rounding != WeightRounding::nearest) {
      Threads threads{options.threads};
      told.corrections = correct_model(network, rescaled, grids, block.pixels, threads, {options.rounding, corrects});
      if (trained.train_weights && options.finetune != Finetuning::pointwise)
        told.messages.emplace_back("training: weights were rounded by choice, so their thresholds stay as they are");
      trained.train_weights = false;
      last.rounding = WeightRounding::nearest;
    } else if (corrects) {
      correct_biases(network, grids, block, wanted, options);
    }
    if (corrects) last.bias_correction = BiasCorrection::automatic;
    if (corrects || options.rounding != WeightRounding::nearest) told.seconds["correct"] = correcting.seconds();
    detail::finetune_in_place(network, grids, ranges, original, images, trained, progress, told);
  }
  const detail::Stopwatch encoding;
  PostTraining done = post_training(network, rescaled, grids, block, wanted, last);
  told.seconds["encode"] = encoding.seconds();
  if (last.bias_correction == BiasCorrection::automatic) {
    const bool again = options.finetune != Finetuning::none;
    const char* const on = again ? "once more after the training" : "on";
    const char* const off = again ? "not once more after the training" : "off";
    told.messages.emplace_back(Message{"bias correction: ", std::string_view{done.corrected ? on : off}, ", it ",
                                       std::string_view{done.corrected ? "brings" : "would not bring"},
                                       " the outputs nearer to the float network's"}
                                   .view());
  }
  if (!done.corrections.empty()) told.corrections = std::move(done.corrections);
  if (report == nullptr) return std::move(done.quantized);
  constexpr std::size_t images_for_report = 8;
  const auto few = std::span<const std::size_t>{chosen}.first(std::min(images_for_report, chosen.size()));
  report->layers =
      detail::layer_reports(rescaled, done.quantized, ranges, done.notes,
                            detail::value_distances(rescaled, done.quantized, images, few, options.threads));
  return std::move(done.quantized);
}

}  // namespace fat::inline FAT_ABI

#endif
