// Float forward of MobileNetV2 at 224 x 224.
//   forward                                  Google Benchmark: forward/mobilenet_v2/batch:B/threads:T
//   forward --serve FOLDER BATCH THREADS     writes weights, input and output there, then runs when peers/forward.py
// asks
#include "support/mobilenet_v2.hpp"
#include "support/serve.hpp"

#include <fat/model/forward.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Job {
  Job(std::size_t batch_size, std::size_t threads)
      : batch(batch_size),
        images(batch),
        runner(benchmarks::mobilenet_v2(), {.threads = threads}),
        outputs(batch * 1000) {}
  void operator()() { runner.run(images.pixels(), batch, outputs); }

  std::size_t batch;
  benchmarks::NoiseImages images;
  fat::FloatRunner runner;
  std::vector<float> outputs;
};

void forward(benchmark::State& state) {
  Job job{static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  job();
  for (auto _ : state) job();
  state.counters["ms_per_image"] =
      benchmark::Counter(static_cast<double>(job.batch) * 1e-3,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace

int main(int count, char** words) {
  if (count == 5 && std::string{words[1]} == "--serve") {
    const std::string folder = words[2];
    Job job{std::strtoul(words[3], nullptr, 10), std::strtoul(words[4], nullptr, 10)};
    job();
    benchmarks::write_weights(folder + "/weights.f32", benchmarks::mobilenet_v2());
    benchmarks::write_floats(folder + "/input.f32", job.images.pixels());
    benchmarks::write_floats(folder + "/output.f32", job.outputs);
    benchmarks::serve(job);
    return 0;
  }
  benchmark::RegisterBenchmark("forward/mobilenet_v2", forward)
      ->ArgNames({"batch", "threads"})
      ->ArgsProduct({{1, 16}, {1, 2}})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
