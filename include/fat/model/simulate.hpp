// Simulation: a QuantizedModel run as fake-quantized floats.
#ifndef FAT_MODEL_SIMULATE_HPP_INCLUDED
#define FAT_MODEL_SIMULATE_HPP_INCLUDED

#include <fat/model/encodings.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/metrics.hpp>
#include <fat/model/simulated_rounding.hpp>
#include <fat/model/simulation_model.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// Float arithmetic on the real values of the codes; every quantized value is moved onto its grid as soon as it is
/// made, rounded as SimulatedRounding says. It differs from the integers by the rounding of the float sums and of the
/// integers' multipliers only.
class Simulation {
 public:
  explicit Simulation(const QuantizedModel& quantized, std::size_t threads = 1)
      : model_(simulation_model(quantized)), runner_(model_, {.threads = threads}) {
    for (const auto& encoding : quantized.activations) {
      roundings_.emplace_back();
      if (encoding) roundings_.back().emplace(*encoding);
    }
    for (std::size_t n = 0; n != model_.nodes.size(); ++n)
      if (auto& made = roundings_[model_.nodes[n].output]) made.emplace(quantized, model_, n);
  }

  const Model& model() const noexcept { return model_; }

  /// As FloatRunner::run; the hook sees values that are on their grids.
  template <class Hook>
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs, Hook&& hook) {
    runner_.run(images, batch, outputs,
                [&](ValueId value, std::size_t image, std::size_t worker, std::span<float> data) {
                  if (roundings_[value]) roundings_[value]->apply(data.data(), data.size());
                  hook(value, image, worker, data);
                });
  }
  void run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
    run(images, batch, outputs, [](ValueId, std::size_t, std::size_t, std::span<float>) {});
  }

 private:
  Model model_;
  FloatRunner runner_;
  std::vector<std::optional<SimulatedRounding>> roundings_;
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
