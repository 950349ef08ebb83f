// Uses the part of fat that has no dependency: quantizes four weights and gets them back.
#include <fat/core.hpp>

#include <array>
#include <cmath>

int main() {
  std::array<float, 4> weights{-1.0F, 0.25F, 0.5F, 1.0F};
  const auto tensor = fat::span_tensor(weights.data(), {4});
  const fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Signed> quantizer;
  const auto params = quantizer.params(fat::observe<fat::MinMax>(quantizer, tensor));
  const auto codes = fat::quantize(quantizer, tensor, params);
  const auto back = fat::dequantize(quantizer, codes, params);
  std::size_t at = 0;
  for (const float value : back)
    if (std::fabs(value - weights[at++]) > params.scale(0)) return 1;
  return at == weights.size() ? 0 : 1;
}
