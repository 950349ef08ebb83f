// Uses what a host has: multiplies two int8 matrices.
#include <fat/fat.hpp>

#include <array>
#include <cstdint>

int main() {
  std::array<std::int8_t, 6> left{1, 2, 3, 4, 5, 6};
  std::array<std::int8_t, 6> right{1, 2, 3, 4, 5, -128};
  std::array<std::int32_t, 4> product{};
  const auto a = fat::span_tensor(left.data(), {2, 3});
  const auto b = fat::span_tensor(right.data(), {3, 2});
  auto c = fat::span_tensor(product.data(), {2, 2});
  fat::gemm(a, b, c);
  return product == std::array<std::int32_t, 4>{22, -374, 49, -740} ? 0 : 1;
}
