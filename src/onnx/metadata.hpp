// What a file of this library says beyond ONNX: code ranges narrower than their type, and how pictures become inputs.
#ifndef FAT_SRC_ONNX_METADATA_HPP_INCLUDED
#define FAT_SRC_ONNX_METADATA_HPP_INCLUDED

#include "proto.hpp"

#include <fat/model/quantized_model.hpp>

#include <string>
#include <unordered_map>

namespace fat::inline FAT_ABI::onnx {

// Keys of ModelProto.metadata_props; every value is a list of numbers with spaces between them.
//   fat.codes:<codes>        code_min code_max bits symmetric, where they are not what the type and zero point say;
//                            <codes> is the output of a QuantizeLinear; where its type is uint8 and code_min
//                            negative, the file's codes and zero point are 128 higher than those of the model
//   fat.weight_bits:<node>   bits, where they are not 8
//   fat.clamp:<node>         low high of a fused activation that the codes do anyway and that has no node of its own
//   fat.requantize           half-up, half-even or tflite: how the network's integers round (a word, not a number)
//   fat.preprocessing        scale (3), offset (3), bgr, resize, crop
//   fat.class_offset         class = arg-max - N

/// The encoding of a tensor of int8 or uint8 codes as its type and zero point say it.
ActivationEncoding encoding_of_type(float step, std::int32_t zero_point, bool is_signed);

/// The reals of the lowest and highest code: what stands before a QuantizeLinear whose type has more codes.
inline Clamp range_of_codes(const ActivationEncoding& e) {
  return {static_cast<float>(e.code_min - e.zero_point) * e.step,
          static_cast<float>(e.code_max - e.zero_point) * e.step};
}

using Metadata = std::unordered_map<std::string, std::string>;
/// The entries of a file by key; the first of two equal keys counts.
Metadata metadata_of(const ::onnx::ModelProto& file);

/// `codes`: by value, the name of its codes; they are int8 or uint8.
void write_metadata(const QuantizedModel& model, const std::vector<std::string>& codes, bool int8,
                    ::onnx::ModelProto& file);
/// How the file's integers round: what it states; else halves up in files that this library wrote before it stated
/// that, and halves to even, as ONNX has it. Errors: a word that is none.
Requantization read_requantization(const Metadata& metadata, std::string_view file, std::string_view producer);
/// Preprocessing and class offset, where the file has them. Errors: malformed entries.
void read_model_metadata(const Metadata& metadata, std::string_view file, Model& model);
/// Takes over the range that the file states for `codes`; returns whether it is narrower than the type.
/// Errors: codes that the type cannot hold.
bool read_code_range(const Metadata& metadata, std::string_view file, const std::string& codes,
                     ActivationEncoding& encoding);
/// Whether saturating to the codes does what the clamp does.
bool codes_clamp(const ActivationEncoding& encoding, const Clamp& clamp);
/// The fused activation that the file states for a node, else an open one. Errors: bounds in disorder.
Clamp read_clamp(const Metadata& metadata, std::string_view file, const std::string& node);
/// Bits of a node's weights, 8 unless the file states less.
int read_weight_bits(const Metadata& metadata, std::string_view file, const std::string& node);

}  // namespace fat::inline FAT_ABI::onnx

#endif
