// quantize_model: the whole job, from a float Model and images to a QuantizedModel and a report by layer.
#ifndef FAT_MODEL_QUANTIZE_MODEL_HPP_INCLUDED
#define FAT_MODEL_QUANTIZE_MODEL_HPP_INCLUDED

#include <fat/model/calibrate.hpp>
#include <fat/model/encodings.hpp>
#include <fat/model/finetune.hpp>
#include <fat/model/model_grids.hpp>
#include <fat/model/simplify.hpp>
#include <fat/model/simulate.hpp>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// One line of the report: a node, the tensor it makes, and how well both survive.
struct LayerReport {
  std::string name;
  std::string kind;
  Interval<float> range;             ///< observed, of the output
  std::optional<float> step;         ///< of the output; empty where it stays float
  double weight_step_low = 0.0;      ///< smallest and largest weight step of the layer; 0 without integer weights
  double weight_step_high = 0.0;
  std::optional<double> weight_sqnr_db;
  std::optional<double> output_sqnr_db;  ///< on calibration images, with everything before it quantized too
  EncodingNotes notes;
};

/// What quantize_model did, beside the model itself.
struct QuantizeReport {
  std::vector<LayerReport> layers;
  std::vector<std::string> messages;
  std::map<std::string, double> seconds;
  /// Loss of every training step.
  std::vector<double> losses;
};

/// The float model in the form that is quantized: batch normalization folded, clamps fused, idle nodes removed.
inline Model prepare_model(Model model) {
  fold_batch_norm(model);
  fuse_clamps(model);
  drop_idle_nodes(model);
  drop_unused_values(model);
  return model;
}

/// Grids by the options from the observed ranges of a prepared model. Values that share a grid get the hull of their ranges.
inline ModelGrids model_grids(const Model& model, std::span<const Interval<float>> ranges, const QuantizeOptions& options) {
  const TensorPlan plan = plan_tensors(model, options.keep_float);
  ModelGrids grids{std::vector<std::optional<Grid<float>>>(model.values.size()), {}};
  for (ValueId value = 0; value != model.values.size(); ++value) {
    if (!plan.quantized[value]) continue;
    Interval<float> hull = ranges[value];
    for (ValueId other = 0; other != model.values.size(); ++other)
      if (plan.group[other] == plan.group[value])
        hull = {std::min(hull.low, ranges[other].low), std::max(hull.high, ranges[other].high)};
    grids.activations[value] = plan.unit[value] ? unit_grid(options.scheme, options.activation_bits)
                                                : activation_grid(hull, options.scheme, options.activation_bits);
  }
  for (const Node& node : model.nodes)
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          std::vector<Grid<float>>& of_layer = grids.weights.emplace_back();
          if constexpr (WeightedLayer<Layer>)
            for (const Interval<float>& range : weight_ranges(layer, options.granularity))
              of_layer.push_back(weight_grid(range, options.weight_scheme, options.bits));
        },
        node.op);
  return grids;
}

/// Codes for every tensor and layer of a prepared model. `notes`, where given, gets one entry a node.
inline QuantizedModel encode_model(const Model& model, const ModelGrids& grids, const QuantizeOptions& options,
                                   std::vector<EncodingNotes>* notes = nullptr) {
  QuantizedModel quantized{model, {}, {}};
  for (const auto& grid : grids.activations) {
    quantized.activations.emplace_back();
    if (grid) quantized.activations.back() = encoding_of(*grid, options.scheme, options.activation_bits);
  }
  quantized.weights.resize(model.nodes.size());
  if (notes != nullptr) notes->assign(model.nodes.size(), {});
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    std::visit(
        [&]<class Layer>(Layer& layer) {
          if constexpr (WeightedLayer<Layer>) {
            const auto& input = quantized.activations[model.nodes[n].inputs[0]];
            if (!input) return;
            quantized.weights[n] =
                encode_layer(layer, grids.weights[n], input->step, options.bits, notes == nullptr ? nullptr : &(*notes)[n]);
            layer.kernel = {};
            layer.offset = {};
          }
        },
        quantized.graph.nodes[n].op);
  return quantized;
}

namespace detail {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

template <ImageSource Images>
std::vector<Interval<float>> observe_ranges(const Model& model, const Images& images, std::span<const std::size_t> chosen,
                                            const QuantizeOptions& options, const Progress& progress) {
  if (options.observer == RangeRule::percentile)
    return calibrate(model, images, chosen, Percentile{options.percentile}, options.threads, progress);
  return calibrate(model, images, chosen, MinMax{}, options.threads, progress);
}

/// SQNR of every value of `quantized` against the same value of the float model it was made from, on some images.
template <ImageSource Images>
std::vector<Distance> value_distances(const Model& model, const QuantizedModel& quantized, const Images& images,
                                      std::span<const std::size_t> chosen, std::size_t threads) {
  FloatRunner exact{model, {.threads = threads}};
  Simulation rounded{quantized, threads};
  std::vector<Distance> distances(model.values.size());
  for_each_batch(images, chosen, model.input_extent().size(), 1, [&](std::span<const float> image, std::size_t, std::size_t) {
    const auto a = run_values(exact, image);
    const auto b = run_values(rounded, image);
    for (ValueId value = 0; value != a.size(); ++value) distances[value].add(a[value], b[value]);
  });
  return distances;
}

inline std::vector<LayerReport> layer_reports(const Model& model, const QuantizedModel& quantized,
                                              std::span<const Interval<float>> ranges, std::span<const EncodingNotes> notes,
                                              std::span<const Distance> distances) {
  const Model simulated = simulation_model(quantized);
  std::vector<LayerReport> reports;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Node& node = model.nodes[n];
    LayerReport report{node.name, std::string{kind_name(node.op)}, ranges[node.output], {}, 0.0, 0.0, {}, {}, notes[n]};
    if (quantized.activations[node.output]) report.step = quantized.activations[node.output]->step;
    report.output_sqnr_db = distances[node.output].sqnr_db();
    if (const auto& weights = quantized.weights[n]) {
      const auto [low, high] = std::minmax_element(weights->step.begin(), weights->step.end());
      report.weight_step_low = static_cast<double>(*low);
      report.weight_step_high = static_cast<double>(*high);
      std::visit(
          [&]<class Layer>(const Layer& layer) {
            if constexpr (WeightedLayer<Layer>) {
              Distance distance;
              distance.add(layer.kernel, std::get<Layer>(simulated.nodes[n].op).kernel);
              report.weight_sqnr_db = distance.sqnr_db();
            }
          },
          node.op);
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

/// Trains model and grids; the report gets the losses, the time and how it ended.
template <ImageSource Images>
void finetune_in_place(Model& model, ModelGrids& grids, std::span<const Interval<float>> ranges, const Images& images,
                       const QuantizeOptions& options, const Progress& progress, QuantizeReport* report) {
  const Stopwatch training;
  const std::vector<std::size_t> chosen = draw_indices(images.size(), options.train.value_or(images.size()), options.seed);
  Finetuned trained = finetune(model, grids, ranges, images, chosen, options, progress);
  model = std::move(trained.model);
  grids = std::move(trained.grids);
  if (report == nullptr) return;
  report->seconds["train"] = training.seconds();
  report->losses = std::move(trained.report.losses);
  report->messages.push_back(describe(trained.report));
}

/// Errors: an option that asks for what this version does not do, by its name.
inline void check_available(const QuantizeOptions& options) {
  const auto need = [](bool ok, std::string_view what) {
    expects(ok, "quantize_model: ", what, " is not available in this version; leave it at its default");
  };
  need(options.observer == RangeRule::minmax || options.observer == RangeRule::percentile, "observer mse or entropy");
  need(options.rescale == Rescaling::none, "rescale");
  need(options.bias_correction == Switch::off, "bias_correction");
  need(options.rounding == WeightRounding::nearest, "rounding sum or learned");
}

}  // namespace detail

/// Quantizes a float model by the ranges of `options.calibration` images. `report`, where given, gets a line for each layer.
/// Errors: options out of range, no image, NaN or infinity in the weights or in a tensor (by name).
///   fat::QuantizedModel int8 = fat::quantize_model(model, images, {.granularity = fat::Granularity::scalar});
template <ImageSource Images>
QuantizedModel quantize_model(const Model& model, const Images& images, const QuantizeOptions& options = {},
                              const Progress& progress = {}, QuantizeReport* report = nullptr) {
  detail::check(options);
  detail::check_available(options);
  validate(model);
  Model prepared = prepare_model(model);
  detail::Stopwatch calibrating;
  const std::vector<std::size_t> chosen = draw_indices(images.size(), options.calibration, options.seed);
  const std::vector<Interval<float>> ranges = detail::observe_ranges(prepared, images, chosen, options, progress);
  if (report != nullptr) report->seconds["calibrate"] = calibrating.seconds();
  ModelGrids grids = model_grids(prepared, ranges, options);
  if (options.finetune != Finetuning::none)
    detail::finetune_in_place(prepared, grids, ranges, images, options, progress, report);
  std::vector<EncodingNotes> notes;
  QuantizedModel quantized = encode_model(prepared, grids, options, &notes);
  if (report == nullptr) return quantized;
  constexpr std::size_t images_for_report = 8;
  const auto few = std::span<const std::size_t>{chosen}.first(std::min(images_for_report, chosen.size()));
  report->layers = detail::layer_reports(prepared, quantized, ranges, notes,
                                         detail::value_distances(prepared, quantized, images, few, options.threads));
  return quantized;
}

}  // namespace fat::inline FAT_ABI

#endif
