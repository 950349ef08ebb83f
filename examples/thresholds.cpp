// Trains one threshold by hand: forward, backward, a step of gradient descent, projection into the bounds.
#include <fat/core.hpp>

#include <cstdio>
#include <vector>

int main() {
  using Weights = fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Bits<3>>;
  std::vector<float> values(200);
  for (std::size_t i = 0; i != values.size(); ++i) values[i] = 0.001F * static_cast<float>(i % 100);
  values.back() = 0.5F;
  const auto x = fat::span_tensor(values.data(), {values.size()});
  fat::AdjustableThreshold<Weights, float> threshold{fat::observe<fat::MinMax>(Weights{}, x)};
  std::vector<float> errors(values.size());
  for (int step = 0; step != 50; ++step) {
    const auto y = threshold.forward(x);
    for (std::size_t i = 0; i != values.size(); ++i) errors[i] = 2.0F * (y.data()[i] - values[i]);
    const auto gradients = threshold.backward(x, fat::span_tensor(errors.data(), {errors.size()}));
    for (std::size_t i = 0; i != gradients.parameters.size(); ++i)
      threshold.parameters()[i] -= 0.05F * gradients.parameters[i];
    threshold.project();
  }
  std::printf("alpha %g of the largest value\n", static_cast<double>(threshold.parameters()[0]));
}
