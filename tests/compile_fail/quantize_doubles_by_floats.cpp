// expect: TensorNeedsParamsOfItsOwnReal
#include <fat/core.hpp>

auto wrong(const std::vector<double>& x, const fat::Params<float>& params) {
  return fat::quantize(fat::Quantizer<>{}, x, params);
}
