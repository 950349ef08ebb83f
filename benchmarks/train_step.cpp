// A step of threshold training: student forward, backward and update, beside the float network's forward and backward.
// The model is $FAT_DATA_DIR/models/mobilenet_v2_1.0_224.onnx (default ../shared/data from the folder it is run in).
#include <fat/io/onnx.hpp>
#include <fat/model/finetune.hpp>
#include <fat/model/quantize_model.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>

namespace {

struct Noise {
  std::vector<float> values;
  explicit Noise(std::size_t count) : values(count) {
    std::mt19937 random{1};
    std::uniform_real_distribution<float> uniform{-1.0F, 1.0F};
    for (float& v : values) v = uniform(random);
  }
};

const fat::Model& model() {
  static const fat::Model loaded = [] {
    const char* const data = std::getenv("FAT_DATA_DIR");
    return fat::prepare_model(
        fat::onnx::load(std::string{data == nullptr ? "../shared/data" : data} + "/models/mobilenet_v2_1.0_224.onnx"));
  }();
  return loaded;
}

/// One image, shifted a little for every sample.
void load(std::size_t sample, std::span<float> nhwc) {
  static const Noise noise{model().input_extent().size() + 64};
  std::copy_n(noise.values.begin() + static_cast<std::ptrdiff_t>(sample % 64), nhwc.size(), nhwc.begin());
}

const std::vector<fat::Interval<float>>& ranges() {
  struct Images {
    std::size_t size() const { return 4; }
    void load(std::size_t n, std::span<float> to) const { ::load(n, to); }
  };
  static const auto observed = fat::calibrate(model(), Images{}, fat::draw_indices(4, 4, 0), fat::MinMax{}, 2);
  return observed;
}

enum class Work { float_forward, float_step, forward, step };

void train_step(benchmark::State& state, Work work, const std::string& scheme, std::size_t batch, std::size_t threads) {
  fat::StudentOptions how;
  how.batch = batch;
  how.threads = threads;
  fat::QuantizeOptions options;
  options.scheme = scheme == "symmetric" ? fat::Scheme::symmetric : fat::Scheme::asymmetric;
  fat::ModelGrids grids = fat::model_grids(model(), ranges(), options);
  const bool quantized = work == Work::forward || work == Work::step;
  if (!quantized) {  // gradients of all inputs, weights and biases in float
    grids.activations.assign(model().values.size(), std::nullopt);
    for (auto& of_layer : grids.weights) of_layer.clear();
    how.parts = {false, false, true, true, {}};
  }
  fat::StudentNetwork student{model(), grids, load, how, ranges()};
  std::vector<std::size_t> samples(batch);
  std::iota(samples.begin(), samples.end(), std::size_t{0});
  std::vector<float> slopes(batch * model().output_extent().size(), 1e-3F);
  const fat::Adam adam;
  auto moments = adam.start(student.parameters());
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    if (quantized) student.parameters()[0] -= 1e-7F;  // weights have to move onto their grids again
    benchmark::DoNotOptimize(student.forward(samples).data());
    if (work == Work::float_forward || work == Work::forward) continue;
    student.backward(slopes);
    if (work == Work::float_step) continue;
    adam.step(moments, student.parameters(), student.gradients(), 1e-6);
    student.project();
  }
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
  state.counters["ms_per_image"] = spent.count() / static_cast<double>(state.iterations() * batch);
}

}  // namespace

int main(int count, char** words) {
  for (const std::size_t threads : {1U, 2U}) {
    const std::string tail = "/mobilenet_v2/batch:16/threads:" + std::to_string(threads);
    const auto add = [&](const std::string& name, Work work, const std::string& scheme) {
      benchmark::RegisterBenchmark((name + tail).c_str(),
                                   [=](benchmark::State& state) { train_step(state, work, scheme, 16, threads); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    };
    add("train_forward", Work::forward, "symmetric");
    add("train_step", Work::step, "symmetric");
    add("train_step/asymmetric", Work::step, "asymmetric");
    add("train_float_forward", Work::float_forward, "symmetric");
    add("train_float_forward_backward", Work::float_step, "symmetric");
  }
  benchmark::Initialize(&count, words);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
