// TensorFlow Lite files: float and int8 models in, int8 models out.
#ifndef FAT_IO_TFLITE_HPP_INCLUDED
#define FAT_IO_TFLITE_HPP_INCLUDED

#include <fat/io/read_options.hpp>
#include <fat/model/model.hpp>
#include <fat/model/quantized_model.hpp>

#include <span>
#include <string>
#include <string_view>

namespace fat::inline FAT_ABI::tflite {

/// True where the activations of the file are integers: load_quantized reads it, load does not.
/// Errors: those of load.
bool is_quantized(const std::string& path);

/// Reads a float model. Weights stored as float16, or as int8 with steps, become floats. The batch is left open.
/// What cannot be read ends the network there (Model::notes says so) unless options.strict.
/// Errors: an unreadable, truncated or malformed file, dimensions left open, an operator that is not supported where
/// nothing is left before it, integer activations.
Model load(const std::string& path, const ReadOptions& options = {});

/// Reads a model with int8 or uint8 activations as it is: codes, steps, zero points and int32 biases are taken over.
/// A QUANTIZE after a float input and a DEQUANTIZE before a float output belong to the model's border and are dropped.
/// Errors: those of load, a bias whose step is not that of input times weights, missing steps.
QuantizedModel load_quantized(const std::string& path);

/// The same from memory; `name` is for messages.
Model read(std::span<const char> file, std::string_view name, const ReadOptions& options = {});
QuantizedModel read_quantized(std::span<const char> file, std::string_view name);

/// Writes an int8 model. uint8 activations are stored as int8 with zero points lower by 128. What TensorFlow Lite
/// states by other means is converted without changing a code: uneven padding becomes a PAD before the layer, unequal
/// steps around a same-step operator a QUANTIZE. Layers kept in float are written as float operators between DEQUANTIZE
/// and QUANTIZE. Errors: activations that are not 8 bits wide, asymmetric weights, an operator or clamp the format does
/// not have, each named with its layer; an unwritable path.
void save(const QuantizedModel& model, const std::string& path);

/// The bytes that save writes.
std::string write(const QuantizedModel& model);

}  // namespace fat::inline FAT_ABI::tflite

#endif
