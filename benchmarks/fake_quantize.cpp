// Fake quantization beside memcpy, over one grid and over one grid for each channel of every axis: forward, and backward
// with the sums of the threshold gradients (x and dy in, dx out). GB/s count what is read and written.
#include <fat/gradient/threshold_run.hpp>
#include <fat/quantizer/run.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

using fat::Partition;

fat::aligned_vector<float> noise(std::size_t size) {
  fat::aligned_vector<float> values(size);
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8U) / 8388608.0F - 1.0F;
  }
  return values;
}

fat::GridTable<float> grids(std::size_t channels) {
  fat::GridTable<float> table(channels);
  for (std::size_t c = 0; c != channels; ++c)
    table.set(c, fat::asymmetric_grid(-0.5F, 1.5F + 0.001F * static_cast<float>(c), fat::asymmetric_codes(8, true)));
  return table;
}

void count_bytes(benchmark::State& state, std::size_t bytes_per_pass) {
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(bytes_per_pass) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void copy(benchmark::State& state, std::size_t size) {
  const auto x = noise(size);
  fat::aligned_vector<float> y(size);
  for (auto _ : state) {
    std::memcpy(y.data(), x.data(), size * sizeof(float));
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * size * sizeof(float));
}

void forward(benchmark::State& state, const Partition& parts) {
  const auto x = noise(parts.size());
  fat::aligned_vector<float> y(parts.size());
  const auto table = grids(parts.channels);
  for (auto _ : state) {
    fat::fake_quantize_channels(x.data(), y.data(), parts, table);
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * parts.size() * sizeof(float));
}

void backward(benchmark::State& state, const Partition& parts) {
  const auto x = noise(parts.size()), dy = noise(parts.size());
  fat::aligned_vector<float> dx(parts.size());
  const auto table = grids(parts.channels);
  std::vector<double> residue(parts.channels), outside(parts.channels);
  for (auto _ : state) {
    fat::threshold_backward_channels(x.data(), dy.data(), dx.data(), parts, table, residue.data(), outside.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, 3 * parts.size() * sizeof(float));
}

}  // namespace

int main(int argc, char** argv) {
  struct Size {
    const char* name;
    Partition axes[5];
  };
  // cache: 64 KiB a tensor; dram: 64 MiB a tensor. The partitions of axis 0 to 3 of a 4-D tensor, and of the whole.
  const Size sizes[] = {
      {"cache", {{1, 1, 16384}, {1, 8, 2048}, {8, 32, 64}, {256, 8, 8}, {2048, 8, 1}}},
      {"dram", {{1, 1, 16777216}, {1, 64, 262144}, {64, 256, 1024}, {16384, 32, 32}, {524288, 32, 1}}},
      {"weights", {{1, 1, 589824}, {1, 256, 2304}, {256, 256, 9}, {65536, 3, 3}, {2304, 256, 1}}},
  };
  struct Pass {
    const char* name;
    void (*run)(benchmark::State&, const Partition&);
  };
  const char* const axes[] = {"tensor", "axis0", "axis1", "axis2", "axis3"};
  for (const Size& size : sizes) {
    const std::size_t elements = size.axes[0].size();
    benchmark::RegisterBenchmark((std::string("memcpy/") + size.name).c_str(), copy, elements);
    for (const Pass& pass : {Pass{"forward/", forward}, Pass{"backward/", backward}})
      for (std::size_t axis = 0; axis != 5; ++axis)
        benchmark::RegisterBenchmark((std::string("fake_quantize/") + pass.name + size.name + "/" + axes[axis]).c_str(),
                                     pass.run, size.axes[axis]);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
