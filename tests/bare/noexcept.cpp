// Quantizes without exceptions and RTTI.
#include <fat/core.hpp>

#include <array>
#include <cstdint>

int main() {
  std::array<float, 4> weights{-1.0F, 0.25F, 0.5F, 1.0F};
  std::array<std::int8_t, 4> codes{};
  const auto tensor = fat::span_tensor(weights.data(), {4});
  auto out = fat::span_tensor(codes.data(), {4});
  const fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Signed> quantizer;
  const auto params = quantizer.params(fat::observe<fat::MinMax>(quantizer, tensor));
  fat::quantize(quantizer, tensor, params, out);
  return codes == std::array<std::int8_t, 4>{-127, 32, 64, 127} ? 0 : 1;
}
