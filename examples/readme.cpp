// Quantizes six weights, one step for each of two channels, and gets them back.
#include <fat/core.hpp>

#include <cstdio>
#include <vector>

int main() {
  std::vector<float> weights{-1.0F, 0.25F, 0.5F, 0.01F, -0.02F, 0.03F};
  const fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed> quantizer;
  const auto tensor = fat::span_tensor(weights.data(), {2, 3});
  const auto params = quantizer.params(fat::observe<fat::MinMax>(quantizer, tensor));
  const auto codes = fat::quantize(quantizer, tensor, params);
  const auto back = fat::dequantize(quantizer, codes, params);
  for (const float value : back) std::printf("%g\n", static_cast<double>(value));
}
