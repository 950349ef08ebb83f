// Executor: any loaded model, ready to run on NHWC float images.
#include "executor.hpp"

#include <fat/model/calibrate.hpp>
#include <fat/model/simulate.hpp>

#include <chrono>
#include <utility>

namespace cli {

struct Executor::Engine {
  std::optional<fat::FloatRunner> floating;
  std::optional<fat::Simulation> simulation;

  template <class Function>
  auto visit(Function f) {
    return floating ? f(*floating) : f(*simulation);
  }
};

Executor::Executor(const LoadedModel& loaded, bool simulate, std::size_t threads)
    : loaded_(&loaded), engine_(std::make_unique<Engine>()) {
  (void)simulate;
  if (loaded.floating) engine_->floating.emplace(*loaded.floating, fat::FloatRunnerOptions{.threads = threads});
  else engine_->simulation.emplace(*loaded.quantized, threads);
}

Executor::~Executor() = default;

void Executor::run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
  engine_->visit([&](auto& runner) { runner.run(images, batch, outputs); });
}

std::vector<std::vector<float>> Executor::values(std::span<const float> image) {
  return engine_->visit([&](auto& runner) { return fat::run_values(runner, image); });
}

Measurement measure(Executor& model, Executor* reference, const fat::ImageSet& images, std::span<const std::size_t> chosen,
                    std::size_t class_offset, const std::function<void(std::size_t)>& tick) {
  constexpr std::size_t batch_size = 16;
  const std::size_t outputs = model.graph().output_extent().size();
  std::vector<float> found(batch_size * outputs);
  std::vector<float> wanted(reference != nullptr ? batch_size * outputs : 0);
  fat::Score score{class_offset};
  fat::Score reference_score{class_offset};
  double seconds = 0.0;
  fat::for_each_batch(
      images, chosen, images.image_size(), batch_size, [&](std::span<const float> batch, std::size_t first, std::size_t count) {
        const auto start = std::chrono::steady_clock::now();
        model.run(batch, count, std::span{found}.first(count * outputs));
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (reference != nullptr) reference->run(batch, count, std::span{wanted}.first(count * outputs));
        for (std::size_t i = 0; i != count; ++i) {
          const auto label = images.label(chosen[first + i]);
          const auto mine = std::span<const float>{found}.subspan(i * outputs, outputs);
          if (reference == nullptr) {
            score.add(mine, label);
            continue;
          }
          const auto theirs = std::span<const float>{wanted}.subspan(i * outputs, outputs);
          score.add(mine, label, theirs);
          reference_score.add(theirs, label);
        }
        tick(first + count);
      });
  Measurement result{score.metrics(), {}, seconds};
  if (reference != nullptr) result.reference = reference_score.metrics();
  return result;
}

}  // namespace cli
