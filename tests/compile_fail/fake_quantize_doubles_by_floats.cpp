// expect: TensorNeedsParamsOfItsOwnReal
#include <fat/core.hpp>

void wrong(std::vector<double>& x, const fat::Params<float>& params) {
  fat::fake_quantize(fat::Quantizer<>{}, x, params, x);
}
