// Observes activations batch by batch on two threads' worth of observers, merges them, and makes an asymmetric grid.
#include <fat/core.hpp>

#include <cstdio>
#include <vector>

int main() {
  using Activations = fat::Quantizer<fat::Asymmetric, fat::Scalar, fat::Unsigned>;
  fat::Calibration<Activations, fat::Percentile> one{fat::Percentile{99.9}};
  fat::Calibration<Activations, fat::Percentile> other{fat::Percentile{99.9}};
  for (int batch = 0; batch != 4; ++batch) {
    std::vector<float> x(1000);
    for (std::size_t i = 0; i != x.size(); ++i)
      x[i] = 0.001F * static_cast<float>(i) - 0.25F * static_cast<float>(batch % 2);
    (batch < 2 ? one : other).observe(fat::span_tensor(x.data(), {10, 100}), "relu1");
  }
  one.merge(other);
  const auto params = Activations::params(one.ranges<float>());
  const fat::Grid<float> grid = params.grid(0);
  std::printf("step %g, zero point %d\n", static_cast<double>(grid.step), grid.zero_point);
}
