// Fake quantization over one grid and over one grid for each channel of every axis: forward beside a copy (memcpy), and
// backward with the sums of the threshold gradients (x and dy in, dx out) beside a sum of two tensors (add3). GB/s count
// what is read and written.
//   fake_quantize                                       Google Benchmark
//   fake_quantize --shapes                              the names and partitions of its tensors
//   fake_quantize --serve FOLDER PASS OUTER CHANNELS INNER    writes inputs, grids and the result of a pass (forward,
//                                                       backward, memcpy or add3) there, then runs it when
//                                                       peers/fake_quantize.py asks
#include "support/serve.hpp"

#include <fat/gradient/threshold_run.hpp>
#include <fat/quantizer/run.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
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

fat::Grid<float> grid_of(std::size_t channel) {
  return fat::asymmetric_grid(-0.5F, 1.5F + 0.001F * static_cast<float>(channel), fat::asymmetric_codes(8, false));
}
fat::GridTable<float> grids(std::size_t channels) {
  fat::GridTable<float> table(channels);
  for (std::size_t c = 0; c != channels; ++c) table.set(c, grid_of(c));
  return table;
}

/// The tensors that a pass goes over.
struct Tensors {
  explicit Tensors(const Partition& shape)
      : parts(shape),
        x(noise(parts.size())),
        dy(noise(parts.size())),
        out(parts.size()),
        table(grids(parts.channels)),
        residue(parts.channels),
        outside(parts.channels) {}

  Partition parts;
  fat::aligned_vector<float> x, dy, out;
  fat::GridTable<float> table;
  std::vector<double> residue, outside;
};

void copy(Tensors& t) { std::memcpy(t.out.data(), t.x.data(), t.x.size() * sizeof(float)); }
void add(Tensors& t) {
  const float *const x = t.x.data(), *const dy = t.dy.data();
  float* const out = t.out.data();
  const std::size_t size = t.out.size();
  fat::detail::vectorized([=]() __attribute__((always_inline)) {
    fat::detail::each(
        size, [=](std::size_t i) __attribute__((always_inline)) { out[i] = x[i] + dy[i]; });
  });
}
void forward(Tensors& t) { fat::fake_quantize_channels(t.x.data(), t.out.data(), t.parts, t.table); }
void backward(Tensors& t) {
  fat::threshold_backward_channels(t.x.data(), t.dy.data(), t.out.data(), t.parts, t.table, t.residue.data(),
                                   t.outside.data());
}

struct Pass {
  const char* name;
  void (*run)(Tensors&);
  std::size_t streams;  ///< tensors read and written
};
constexpr Pass passes[] = {{"memcpy", copy, 2}, {"add3", add, 3}, {"forward", forward, 2}, {"backward", backward, 3}};

const Pass& pass_of(const std::string& name) {
  for (const Pass& pass : passes)
    if (name == pass.name) return pass;
  throw std::invalid_argument("unknown pass '" + name + "'; give memcpy, add3, forward or backward");
}

struct Size {
  const char* name;
  Partition axes[5];
};
// cache: 64 KiB a tensor; dram: 64 MiB a tensor. The partitions of the whole, and of axis 0 to 3 of a 4-D tensor.
constexpr Size sizes[] = {
    {"cache", {{1, 1, 16384}, {1, 8, 2048}, {8, 32, 64}, {256, 8, 8}, {2048, 8, 1}}},
    {"dram", {{1, 1, 16777216}, {1, 64, 262144}, {64, 256, 1024}, {16384, 32, 32}, {524288, 32, 1}}},
    {"weights", {{1, 1, 589824}, {1, 256, 2304}, {256, 256, 9}, {65536, 3, 3}, {2304, 256, 1}}},
};
constexpr const char* axes[] = {"tensor", "axis0", "axis1", "axis2", "axis3"};

void measure(benchmark::State& state, const Pass& pass, const Partition& parts) {
  Tensors tensors{parts};
  for (auto _ : state) {
    pass.run(tensors);
    benchmark::ClobberMemory();
  }
  const auto bytes = static_cast<double>(pass.streams * parts.size() * sizeof(float));
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

int serve(const std::string& folder, const Pass& pass, const Partition& parts) {
  Tensors tensors{parts};
  pass.run(tensors);
  std::vector<float> grid;  // step, zero point, and their gradients, of every channel
  for (std::size_t c = 0; c != parts.channels; ++c) {
    const fat::Grid<float> g = grid_of(c);
    grid.insert(grid.end(), {g.step, static_cast<float>(g.zero_point), static_cast<float>(tensors.residue[c]),
                             static_cast<float>(-tensors.outside[c]) * g.step});
  }
  benchmarks::write_floats(folder + "/x.f32", tensors.x);
  benchmarks::write_floats(folder + "/dy.f32", tensors.dy);
  benchmarks::write_floats(folder + "/out.f32", tensors.out);
  benchmarks::write_floats(folder + "/grids.f32", grid);
  benchmarks::serve([&] { pass.run(tensors); });
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string command = count > 1 ? words[1] : "";
  if (command == "--shapes") {
    for (const Size& size : sizes)
      for (std::size_t axis = 0; axis != 5; ++axis) {
        const Partition& p = size.axes[axis];
        std::printf("%s %s %zu %zu %zu\n", size.name, axes[axis], p.outer, p.channels, p.inner);
      }
    return 0;
  }
  if (command == "--serve" && count == 7) {
    const auto number = [&](int word) { return std::strtoul(words[word], nullptr, 10); };
    return serve(words[2], pass_of(words[3]), {number(4), number(5), number(6)});
  }
  for (const Size& size : sizes) {
    for (const char* name : {"memcpy", "add3"})
      benchmark::RegisterBenchmark((std::string(name) + "/" + size.name).c_str(), measure, pass_of(name), size.axes[0]);
    for (const char* name : {"forward", "backward"})
      for (std::size_t axis = 0; axis != 5; ++axis)
        benchmark::RegisterBenchmark(
            (std::string("fake_quantize/") + name + "/" + size.name + "/" + axes[axis]).c_str(), measure, pass_of(name),
            size.axes[axis]);
  }
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
