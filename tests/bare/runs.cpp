// Quantizes, goes back and simulates runs of numbers on one grid, without exceptions, RTTI and heap.
#include <fat/core.hpp>

#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t size = 6;
const float reals[size] = {-1.0F, -0.26F, 0.0F, 0.25F, 0.5F, 3.0F};
std::int8_t codes[size];
float back[size], simulated[size];

template <class Code, std::size_t N>
bool equal(const Code (&a)[N], const Code (&b)[N]) {
  for (std::size_t i = 0; i != N; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

}  // namespace

int main() {
  using Weights = fat::Quantizer<fat::Symmetric, fat::Scalar, fat::Signed>;
  using Activations = fat::Quantizer<fat::Asymmetric, fat::Scalar, fat::Signed>;
  const fat::Grid<float> symmetric = Weights::grid(fat::Interval<float>{-1.0F, 1.0F});
  fat::quantize_run(reals, codes, size, symmetric);
  const std::int8_t expected[size] = {-127, -33, 0, 32, 64, 127};
  if (!equal(codes, expected)) return 1;

  const fat::Grid<float> asymmetric = Activations::grid(fat::Interval<float>{-1.0F, 3.0F});
  fat::quantize_run(reals, codes, size, asymmetric);
  const std::int8_t shifted[size] = {-128, -81, -64, -48, -32, 127};
  if (!equal(codes, shifted)) return 2;
  fat::dequantize_run(codes, back, size, asymmetric);
  fat::fake_quantize_run(reals, simulated, size, asymmetric);
  return equal(back, simulated) ? 0 : 3;
}
