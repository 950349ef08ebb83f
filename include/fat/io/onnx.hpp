// ONNX files: float and QDQ models in, QDQ models out.
#ifndef FAT_IO_ONNX_HPP_INCLUDED
#define FAT_IO_ONNX_HPP_INCLUDED

#include <fat/io/read_options.hpp>
#include <fat/model/model.hpp>
#include <fat/model/quantized_model.hpp>

#include <string>
#include <string_view>

namespace fat::inline FAT_ABI::onnx {

/// True where the file has QuantizeLinear operators on activations: load_quantized reads it, load does not.
/// Errors: those of load.
bool is_quantized(const std::string& path);

/// Reads a float model of operator sets 7 to 28. Images become NHWC, weights OHWI; the batch is left open. Batch
/// normalization, clamps and sums with constants stay layers of their own; constants are computed. What cannot be read
/// ends the network there (Model::notes says so) unless options.strict.
/// Data in other files is read from the model's folder and those below it, never through links.
/// Errors: an unreadable, truncated or malformed file, data outside its folder, missing or short, dimensions left open (options.shapes gives them), an operator or
/// attribute that is not supported where nothing is left before it, sizes beyond 2^31 elements.
Model load(const std::string& path, const ReadOptions& options = {});

/// The same from memory, without data in other files; `name` is for messages.
Model read(std::string_view file, std::string_view name, const ReadOptions& options = {});

/// Reads a model whose layers stand between DequantizeLinear and QuantizeLinear operators (QDQ) as it is: codes, steps,
/// zero points and int32 biases are taken over. Clamps before a QuantizeLinear belong to the layer before them.
/// Biases with a step of their own are encoded again with that of input times weights.
/// Errors: those of load, weights without steps, a bias that 32 bits do not hold.
QuantizedModel load_quantized(const std::string& path);
QuantizedModel read_quantized(std::string_view file, std::string_view name);

/// Which runtime a file is written for.
enum class Profile {
  /// ONNX Runtime and everything that follows the standard: uint8 activations with any zero point (signed codes are
  /// stored 128 higher, and read back as they were), int32 biases.
  standard,
  /// TensorRT: int8, zero points 0, float biases. Errors: asymmetric activations and codes beyond 127; quantize with
  /// `.scheme = symmetric, .signed_activations = true` and softmax outputs in float.
  tensorrt
};

/// Writes a QDQ model of operator set 13; codes, steps and zero points are stored as they are.
/// Errors: codes of more than 8 bits, what the profile cannot express (named with its tensor), an unwritable path.
void save(const QuantizedModel& model, const std::string& path, Profile profile = Profile::standard);

/// The bytes that save writes.
std::string write(const QuantizedModel& model, Profile profile = Profile::standard);

}  // namespace fat::inline FAT_ABI::onnx

#endif
