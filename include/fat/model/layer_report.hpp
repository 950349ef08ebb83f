// LayerReport: how well every layer of a model survives its quantization.
#ifndef FAT_MODEL_LAYER_REPORT_HPP_INCLUDED
#define FAT_MODEL_LAYER_REPORT_HPP_INCLUDED

#include <fat/model/calibrate.hpp>
#include <fat/model/simulate.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// One line of the report: a node, the tensor it makes, and how well both survive.
struct LayerReport {
  std::string name;
  std::string kind;
  Interval<float> range;         ///< observed, of the output
  std::optional<float> step;     ///< of the output; empty where it stays float
  double weight_step_low = 0.0;  ///< smallest and largest weight step of the layer; 0 without integer weights
  double weight_step_high = 0.0;
  std::optional<double> weight_sqnr_db;
  std::optional<double> output_sqnr_db;  ///< on calibration images, with everything before it quantized too
  EncodingNotes notes;
};

namespace detail {

/// SQNR of every value of `quantized` against the same value of the float model it was made from, on some images.
template <ImageSource Images>
std::vector<Distance> value_distances(const Model& model, const QuantizedModel& quantized, const Images& images,
                                      std::span<const std::size_t> chosen, std::size_t threads) {
  FloatRunner exact{model, {.threads = threads}};
  Simulation rounded{quantized, threads};
  std::vector<Distance> distances(model.values.size());
  for_each_batch(images, chosen, model.input_extent().size(), 1,
                 [&](std::span<const float> image, std::size_t, std::size_t) {
                   const auto a = run_values(exact, image);
                   const auto b = run_values(rounded, image);
                   for (ValueId value = 0; value != a.size(); ++value) distances[value].add(a[value], b[value]);
                 });
  return distances;
}

inline std::vector<LayerReport> layer_reports(const Model& model, const QuantizedModel& quantized,
                                              std::span<const Interval<float>> ranges,
                                              std::span<const EncodingNotes> notes,
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
      with_weighted(node.op, [&]<class Layer>(const Layer& layer) {
        Distance distance;
        distance.add(layer.kernel, std::get<Layer>(simulated.nodes[n].op).kernel);
        report.weight_sqnr_db = distance.sqnr_db();
      });
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
