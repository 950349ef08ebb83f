// Folds a layer, quantizes it and multiplies its codes without exceptions and RTTI, with nothing but the core.
#include <fat/core.hpp>

#include <array>
#include <cstdint>
#include <span>

namespace {

/// Two outputs, two inputs.
struct Layer {
  std::array<float, 4> w{-2.0F, 0.5F, 1.0F, 2.0F};
  std::array<float, 2> b{0.0F, 1.0F};
  auto weights() { return fat::span_tensor(w.data(), {2, 2}); }
  auto bias() { return std::span{b}; }
};

struct Norm {
  std::array<float, 2> g{1.0F, 1.0F}, m{0.0F, 0.0F}, v{3.0F, 3.0F};
  auto gamma() const { return std::span{g}; }
  auto beta() const { return std::span{m}; }
  auto mean() const { return std::span{m}; }
  auto variance() const { return std::span{v}; }
  double epsilon() const { return 1.0; }
};

}  // namespace

int main() {
  Layer layer;
  fat::fold_batch_norm(layer, Norm{});
  std::array<std::int8_t, 4> codes{};
  auto out = fat::span_tensor(codes.data(), {2, 2});
  const fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Signed> quantizer;
  const auto params = quantizer.params(fat::observe<fat::MinMax>(quantizer, layer.weights()));
  fat::quantize(quantizer, layer.weights(), params, out);
  if (codes != std::array<std::int8_t, 4>{-127, 32, 64, 127}) return 1;

  const std::array<std::int8_t, 2> x{1, 2};
  std::array<std::int32_t, 2> sums{};
  fat::gemm(fat::kernel::reference{}, out, fat::span_tensor(x.data(), {2, 1}), fat::span_tensor(sums.data(), {2, 1}));
  return sums == std::array<std::int32_t, 2>{-63, 318} ? 0 : 2;
}
