// expect: MutableTensor
#include <fat/core.hpp>

void write(const std::vector<float>& x, const fat::Params<float>& params, const std::vector<std::int8_t>& out) {
  fat::quantize(fat::Quantizer<>{}, x, params, out);
}
