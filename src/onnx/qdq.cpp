// QuantizeLinear and DequantizeLinear.
#include "importer.hpp"

namespace fat::inline FAT_ABI::onnx {

void Importer::quantize_linear() { require(quantized_, "the model is quantized; load it as a quantized model"); }

void Importer::dequantize_linear() { require(quantized_, "the model is quantized; load it as a quantized model"); }

void Importer::keep_codes(const Constant&, int, const Shape&, std::size_t) {}

}  // namespace fat::inline FAT_ABI::onnx
