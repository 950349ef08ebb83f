// int8 MobileNetV2 at 224 x 224, batch 1: integers beside our own float forward, and the memory that they take.
//   integer_model                                 Google Benchmark: integer_model/<kernels>/threads:T and
// float/threads:T
//   integer_model --ratios                        both in turn: medians of the ratios; memory beside its lower bounds
//   integer_model --serve FOLDER BATCH THREADS    writes weights, images and output, then runs when
// peers/integer_model.py asks
#include "support/alternate.hpp"
#include "support/mobilenet_v2.hpp"
#include "support/serve.hpp"

#include <fat/model/forward.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

namespace {

constexpr std::size_t calibration = 8;

const benchmarks::NoiseImages& images() {
  static const benchmarks::NoiseImages all{calibration};
  return all;
}
const fat::QuantizedModel& quantized() {
  static const fat::QuantizedModel model =
      fat::quantize_model(benchmarks::mobilenet_v2(), images(), {.calibration = calibration});
  return model;
}

template <class Runner>
struct Job {
  template <class Model, class Options>
  Job(const Model& model, const Options& options) : runner(model, options) {}
  void operator()() { runner.run(images().pixels().first(images().pixels().size() / calibration), 1, outputs); }
  Runner runner;
  std::vector<float> outputs = std::vector<float>(1000);
};
using Integers = Job<fat::IntegerModel>;
using Floats = Job<fat::FloatRunner>;

/// The least that any plan needs: what is alive at the same time, at the busiest step.
std::size_t arena_lower_bound(const fat::QuantizedModel& model) {
  std::vector<fat::Lifetime> lifetimes = fat::value_lifetimes(model.graph);
  for (std::size_t v = 0; v != lifetimes.size(); ++v) lifetimes[v].size *= model.activations[v] ? 1 : sizeof(float);
  return fat::busiest_step(lifetimes);
}

void say(const char* what, double found, double most) {
  std::printf("  %-60s %5.3f, at most %.2f: %s\n", what, found, most, found <= most ? "reached" : "NOT REACHED");
}

int ratios() {
  std::puts("int8 MobileNetV2 224x224, batch 1 (time, median of ratios)");
  benchmarks::Alternate one;
  for (const fat::kernel::Kernels* kernels : fat::kernel::available())
    one.add(kernels->name,
            [job = std::make_shared<Integers>(quantized(), fat::IntegerOptions{1, kernels->name})] { (*job)(); });
  one.add("float",
          [job = std::make_shared<Floats>(benchmarks::mobilenet_v2(), fat::FloatRunnerOptions{1})] { (*job)(); });
  double operations = 0.0;
  for (const auto& node : benchmarks::mobilenet_v2().nodes) {
    const auto& out = benchmarks::mobilenet_v2().extent(node.output);
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          if constexpr (fat::WeightedLayer<Layer>)
            operations += 2.0 * static_cast<double>(layer.kernel.size() * out.height * out.width);
        },
        node.op);
  }
  one.run(15);
  one.print(operations, {"float"});
  benchmarks::Alternate two{CLOCK_MONOTONIC};
  two.add("1 thread", [job = std::make_shared<Integers>(quantized(), fat::IntegerOptions{1, nullptr})] { (*job)(); });
  two.add("2 threads", [job = std::make_shared<Integers>(quantized(), fat::IntegerOptions{2, nullptr})] { (*job)(); });
  two.run(15);
  std::puts("threads, by the clock on the wall (means something on an idle machine of two cores only)");
  two.print(operations, {"1 thread"});

  const std::string best = fat::kernel::native_kernels().name;
  const char* const what = "of our own float forward";
  one.require(best, "float", best == "avx2" ? 0.65 : 0.4, what);
  two.require("2 threads", "1 thread", 1.0 / 1.6, "1.6 x as fast");
  std::size_t bytes = 0;
  for (const auto& weights : quantized().weights) bytes += weights ? weights->codes.size() : 0;
  const fat::IntegerModel model{quantized()};
  say("packed model / int8 weights", static_cast<double>(model.packed_bytes()) / static_cast<double>(bytes), 1.15);
  say("activation memory / what is alive at the busiest step",
      static_cast<double>(model.arena_bytes()) / static_cast<double>(arena_lower_bound(quantized())), 1.1);
  return 0;
}

template <class Work>
void add(const std::string& name, std::shared_ptr<Work> work) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [work](benchmark::State& state) {
                                 for (auto _ : state) (*work)();
                               })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace

int main(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  if (count == 2 && mode == "--ratios") return ratios();
  if (count == 5 && mode == "--serve") {
    const std::string folder = words[2];
    Integers job{quantized(), fat::IntegerOptions{std::strtoul(words[4], nullptr, 10), nullptr}};
    job();
    benchmarks::write_weights(folder + "/weights.f32", benchmarks::mobilenet_v2());
    benchmarks::write_floats(folder + "/input.f32", images().pixels());
    benchmarks::write_floats(folder + "/output.f32", job.outputs);
    benchmarks::serve(job);
    return 0;
  }
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  for (const std::size_t threads : {1U, 2U}) {
    const std::string tail = "/threads:" + std::to_string(threads);
    for (const fat::kernel::Kernels* kernels : fat::kernel::available())
      add("integer_model/" + std::string{kernels->name} + tail,
          std::make_shared<Integers>(quantized(), fat::IntegerOptions{threads, kernels->name}));
    add("integer_model/float" + tail,
        std::make_shared<Floats>(benchmarks::mobilenet_v2(), fat::FloatRunnerOptions{threads}));
  }
  benchmark::RunSpecifiedBenchmarks();
}
