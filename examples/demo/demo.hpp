// The demo: float, scalar int8 and per-channel int8 of the embedded network side by side, on pictures drawn on the spot.
#ifndef FAT_EXAMPLES_DEMO_DEMO_HPP_INCLUDED
#define FAT_EXAMPLES_DEMO_DEMO_HPP_INCLUDED

#include "network.hpp"

#include <fat/model/metrics.hpp>
#include <fat/model/quantize_model.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace demo {

/// A fat::ImageSource: the first `count` pictures of a stream, drawn when they are asked for.
class PictureSource {
 public:
  PictureSource(std::uint64_t stream, std::size_t count) : stream_(stream), count_(count) {}
  std::size_t size() const noexcept { return count_; }
  std::size_t label(std::size_t index) const noexcept { return picture_label(index); }
  void load(std::size_t index, std::span<float> nhwc) const {
    fat::expects(nhwc.size() == picture_bytes, "demo: a picture has ", picture_bytes, " values, not ", nhwc.size());
    Picture picture{};
    draw_picture(stream_, index, picture);
    to_input(picture, nhwc.data());
  }

 private:
  std::uint64_t stream_;
  std::size_t count_;
};

struct DemoOptions {
  std::size_t calibration = 100;  ///< pictures that ranges are observed on, of the calibration stream
  std::size_t pictures = 2000;    ///< measured on, of the evaluation stream
  std::size_t threads = 1;
  std::uint64_t seed = 0;  ///< of the quantization's random choices
};

/// One line of the table.
struct DemoRow {
  std::string name;
  fat::Metrics metrics;
  double quantize_seconds = 0.0;
  double evaluate_seconds = 0.0;
};

/// The evaluation pictures, drawn once, and the float network's outputs on them once it has been measured.
class Evaluation {
 public:
  Evaluation(std::size_t pictures) : source_(evaluation_stream, pictures), inputs_(pictures * picture_bytes) {
    for (std::size_t i = 0; i != pictures; ++i)
      source_.load(i, std::span{inputs_}.subspan(i * picture_bytes, picture_bytes));
  }

  /// Runs anything with FloatRunner's run() over the pictures. The first one measured is the reference of the others.
  template <class Runner>
  fat::Metrics measure(Runner& runner) {
    std::vector<float> outputs(source_.size() * class_count);
    constexpr std::size_t batch = 50;
    for (std::size_t first = 0; first < source_.size(); first += batch) {
      const std::size_t count = std::min(batch, source_.size() - first);
      runner.run(std::span<const float>{inputs_}.subspan(first * picture_bytes, count * picture_bytes), count,
                 std::span{outputs}.subspan(first * class_count, count * class_count));
    }
    if (reference_.empty()) reference_ = outputs;
    fat::Score score;
    const auto row = [](const std::vector<float>& all, std::size_t i) {
      return std::span<const float>{all}.subspan(i * class_count, class_count);
    };
    for (std::size_t i = 0; i != source_.size(); ++i) score.add(row(outputs, i), source_.label(i), row(reference_, i));
    return score.metrics();
  }

 private:
  PictureSource source_;
  std::vector<float> inputs_;
  std::vector<float> reference_;
};

/// Quantizes the demo's network in every way of the table and measures each. Errors: no pictures, no threads.
inline std::vector<DemoRow> demo_rows(const DemoOptions& options, const fat::Progress& progress = {}) {
  fat::expects(options.pictures != 0, "demo: no pictures to measure on; give at least one");
  const auto timed = [](double& seconds, auto&& work) {
    const auto begin = std::chrono::steady_clock::now();
    auto result = work();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  };
  const fat::Model model = demo_model();
  const PictureSource calibration{calibration_stream, options.calibration};
  Evaluation evaluation{options.pictures};
  std::vector<DemoRow> rows;

  DemoRow& exact = rows.emplace_back(DemoRow{"float", {}});
  const fat::Model prepared = fat::prepare_model(model);
  fat::FloatRunner runner{prepared, {.threads = options.threads}};
  exact.metrics = timed(exact.evaluate_seconds, [&] { return evaluation.measure(runner); });

  const auto trained = [](fat::QuantizeOptions way) {
    way.bias_correction = fat::BiasCorrection::on;
    way.rounding = fat::WeightRounding::learned;
    way.finetune = fat::Finetuning::thresholds;
    return way;
  };
  const fat::QuantizeOptions layer{.granularity = fat::Granularity::scalar}, channel{};
  const fat::QuantizeOptions layer4{.granularity = fat::Granularity::scalar, .bits = 4}, channel4{.bits = 4};
  fat::QuantizeOptions rescaled4 = layer4;
  rescaled4.rescale = fat::Rescaling::automatic;
  const std::pair<const char*, fat::QuantizeOptions> ways[] = {
      {"int8, one weight step a layer", layer},       {"int8, one weight step a channel", channel},
      {"int4 weights, one step a layer", layer4},     {"int4, one step a layer, trained", trained(rescaled4)},
      {"int4 weights, one step a channel", channel4}, {"int4, one step a channel, trained", trained(channel4)}};
  for (const auto& [name, way] : ways) {
    fat::QuantizeOptions chosen = way;
    chosen.calibration = options.calibration;
    chosen.threads = options.threads;
    chosen.seed = options.seed;
    DemoRow& row = rows.emplace_back(DemoRow{name, {}});
    const fat::QuantizedModel quantized =
        timed(row.quantize_seconds, [&] { return fat::quantize_model(model, calibration, chosen, progress); });
    fat::Simulation simulation{quantized, options.threads};
    row.metrics = timed(row.evaluate_seconds, [&] { return evaluation.measure(simulation); });
  }
  return rows;
}

/// Prints the table to stdout.
inline void print(const std::vector<DemoRow>& rows) {
  std::printf("%-33s %7s %10s %11s %10s %10s\n", "network", "top-1", "agreement", "logit RMSE", "quantize", "evaluate");
  for (const DemoRow& row : rows)
    std::printf("%-33s %7.4f %10.4f %11.4f %8.2f s %8.2f s\n", row.name.c_str(), row.metrics.top1.value_or(0.0),
                row.metrics.agreement.value_or(0.0), row.metrics.logit_rmse.value_or(0.0), row.quantize_seconds,
                row.evaluate_seconds);
}

/// The command `fat demo`: makes and prints the table. Returns its rows.
inline std::vector<DemoRow> run_demo(const DemoOptions& options = {}, const fat::Progress& progress = {}) {
  std::printf("A small MobileNet on %zu drawn pictures of %zu kinds; ranges observed on %zu others.\n\n",
              options.pictures, class_count, options.calibration);
  const std::vector<DemoRow> rows = demo_rows(options, progress);
  print(rows);
  std::printf(
      "\ntrained: channels rescaled (where a layer has one step), weights rounded by choice, biases corrected, "
      "thresholds\n"
      "and biases trained; on the same %zu pictures, without their kinds\n",
      options.calibration);
  return rows;
}

}  // namespace demo

#endif
