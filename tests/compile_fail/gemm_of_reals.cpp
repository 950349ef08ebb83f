// expect: IntegerProduct
#include <fat/core.hpp>

void multiply(fat::span_tensor<const float> a, fat::span_tensor<const float> b, fat::span_tensor<float> c) {
  fat::gemm(fat::kernel::reference{}, a, b, c);
}
