// Simulation: a QuantizedModel run as fake-quantized floats.
#ifndef FAT_MODEL_SIMULATE_HPP_INCLUDED
#define FAT_MODEL_SIMULATE_HPP_INCLUDED

#include <fat/model/encodings.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/metrics.hpp>
#include <fat/model/requantization.hpp>
#include <fat/model/simulation_model.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// Float arithmetic on the real values of the codes; every quantized value is moved onto its grid as soon as it is
/// made. Results of integer layers go to the nearest code with halves as the model's requantization has them, the
/// input and results of layers kept in float with halves to even. With halves up or to even it differs from the
/// integers by the rounding of the float sums and of means of codes only.
class Simulation {
 public:
  explicit Simulation(const QuantizedModel& quantized, std::size_t threads = 1)
      : model_(simulation_model(quantized)), runner_(model_, {.threads = threads}) {
    for (const auto& encoding : quantized.activations) {
      grids_.emplace_back();
      if (encoding) grids_.back() = OnGrid{grid_of(*encoding), fake_quantize_run<HalfToEven>};
    }
    for (const Node& node : model_.nodes)
      if (grids_[node.output] &&
          std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return grids_[v].has_value(); }))
        with_simulated_rounding(quantized.requantize, node.op, [&](auto rounding) {
          grids_[node.output]->move = fake_quantize_run<decltype(rounding)>;
        });
  }

  const Model& model() const noexcept { return model_; }

  /// As FloatRunner::run; the hook sees values that are on their grids.
  template <class Hook>
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs, Hook&& hook) {
    runner_.run(images, batch, outputs,
                [&](ValueId value, std::size_t image, std::size_t worker, std::span<float> data) {
                  if (grids_[value]) grids_[value]->move(data.data(), data.data(), data.size(), grids_[value]->grid);
                  hook(value, image, worker, data);
                });
  }
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, std::span<float>) {});
  }

 private:
  struct OnGrid {
    Grid<float> grid;
    void (*move)(const float*, float*, std::size_t, const Grid<float>&) = nullptr;
  };

  Model model_;
  FloatRunner runner_;
  std::vector<std::optional<OnGrid>> grids_;
};

/// Values of one image, in the order of Model::values, from anything that runs like FloatRunner.
template <class Runner>
std::vector<std::vector<float>> run_values(Runner& runner, std::span<const float> image) {
  std::vector<std::vector<float>> all(runner.model().values.size());
  std::vector<float> output(runner.model().output_extent().size());
  runner.run(image, 1, output, [&](ValueId value, std::size_t, std::size_t, std::span<float> data) {
    all[value].assign(data.begin(), data.end());
  });
  return all;
}

}  // namespace fat::inline FAT_ABI

#endif
