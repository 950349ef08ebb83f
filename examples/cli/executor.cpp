// Executor: any loaded model, ready to run on NHWC float images.
#include "executor.hpp"

#include <fat/kernel/arch/blas.hpp>
#include <fat/model/calibrate.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/simulate.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace cli {

struct Executor::Engine {
  std::optional<fat::FloatRunner> floating;
  std::optional<fat::Simulation> simulation;
  std::optional<fat::IntegerModel> integers;
};

namespace {

/// All values of one image as reals: the codes of the integer engine times their steps.
std::vector<std::vector<float>> real_values(fat::IntegerModel& engine, const fat::QuantizedModel& model,
                                            std::span<const float> image) {
  std::vector<std::vector<float>> found(model.graph.values.size());
  std::vector<float> output(model.graph.output_extent().size());
  engine.run(image, 1, std::span{output}, [&](fat::ValueId value, std::size_t, std::size_t, const std::uint8_t* bytes) {
    std::vector<float>& reals = found[value];
    reals.resize(model.graph.extent(value).size());
    const auto& encoding = model.activations[value];
    if (!encoding) {
      std::memcpy(reals.data(), bytes, reals.size() * sizeof(float));
      return;
    }
    const std::int32_t zero = encoding->zero_point + (encoding->is_signed() ? 128 : 0);
    for (std::size_t i = 0; i != reals.size(); ++i) reals[i] = static_cast<float>(bytes[i] - zero) * encoding->step;
  });
  return found;
}

}  // namespace

const fat::kernel::Kernels& best_kernels() {
  const fat::kernel::Kernels& native = fat::kernel::native_kernels();
  const bool only_generic = fat::kernel::available().size() == 1;
  return only_generic ? fat::kernel::blas_kernels : native;
}

Executor::Executor(const LoadedModel& loaded, bool simulate, std::size_t threads)
    : loaded_(&loaded), engine_(std::make_unique<Engine>()) {
  naming(path(), [&] {
    if (loaded.floating)
      engine_->floating.emplace(*loaded.floating, fat::FloatRunnerOptions{.threads = threads});
    else if (simulate)
      engine_->simulation.emplace(*loaded.quantized, threads);
    else
      engine_->integers.emplace(*loaded.quantized, fat::IntegerOptions{.threads = threads, .set = &best_kernels()});
  });
}

Executor::~Executor() = default;

void Executor::run(std::span<const float> images, std::size_t batch, std::span<float> outputs) {
  if (engine_->integers)
    engine_->integers->run(images, batch, outputs);
  else if (engine_->floating)
    engine_->floating->run(images, batch, outputs);
  else
    engine_->simulation->run(images, batch, outputs);
}

std::vector<std::vector<float>> Executor::values(std::span<const float> image) {
  if (engine_->integers) return real_values(*engine_->integers, *loaded_->quantized, image);
  return engine_->floating ? fat::run_values(*engine_->floating, image) : fat::run_values(*engine_->simulation, image);
}

Measurement measure(Executor& model, Executor* reference, const fat::ImageSet& images,
                    std::span<const std::size_t> chosen, std::size_t class_offset,
                    const std::function<void(std::size_t)>& tick) {
  constexpr std::size_t batch_size = 16;
  const std::size_t outputs = model.graph().output_extent().size();
  std::vector<float> found(batch_size * outputs);
  std::vector<float> wanted(reference != nullptr ? batch_size * outputs : 0);
  fat::Score score{class_offset};
  fat::Score reference_score{class_offset};
  const std::vector<fat::Port>& ports = model.graph().outputs;
  std::vector<fat::Distance> distances(reference != nullptr && ports.size() > 1 ? ports.size() : 0);
  double seconds = 0.0;
  fat::for_each_batch(
      images, chosen, images.image_size(), batch_size,
      [&](std::span<const float> batch, std::size_t first, std::size_t count) {
        const auto start = std::chrono::steady_clock::now();
        model.run(batch, count, std::span{found}.first(count * outputs));
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (reference != nullptr) reference->run(batch, count, std::span{wanted}.first(count * outputs));
        for (std::size_t i = 0; i != count; ++i) {
          const std::size_t image = chosen[first + i];
          const auto mine = std::span<const float>{found}.subspan(i * outputs, outputs);
          std::span<const float> theirs;
          if (reference != nullptr) {
            theirs = std::span<const float>{wanted}.subspan(i * outputs, outputs);
            naming(reference->path(), images.name(image), [&] { reference_score.add(theirs, images.label(image)); });
          }
          naming(model.path(), images.name(image), [&] { score.add(mine, images.label(image), theirs); });
          for (std::size_t o = 0; o != distances.size(); ++o)
            distances[o].add(theirs.subspan(ports[o].offset, ports[o].size()),
                             mine.subspan(ports[o].offset, ports[o].size()));
        }
        tick(first + count);
      });
  Measurement result{score.metrics(), {}, seconds};
  if (reference != nullptr) result.reference = reference_score.metrics();
  if (ports.size() > 1)
    for (fat::Metrics* const metrics : {&result.metrics, result.reference ? &*result.reference : nullptr})
      if (metrics != nullptr) metrics->top1 = metrics->top5 = metrics->agreement = std::nullopt;
  for (std::size_t o = 0; o != distances.size(); ++o) result.outputs.push_back({ports[o].name, distances[o].sqnr_db()});
  std::stable_sort(result.outputs.begin(), result.outputs.end(),
                   [](const OutputMeasure& a, const OutputMeasure& b) { return a.sqnr_db < b.sqnr_db; });
  return result;
}

}  // namespace cli
