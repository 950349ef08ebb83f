// expect: TensorNeedsParamsOfItsOwnReal
#include <fat/core.hpp>

auto wrong(const std::vector<int>& x, const fat::Params<float>& params) {
  return fat::quantize(fat::Quantizer<>{}, x, params);
}
