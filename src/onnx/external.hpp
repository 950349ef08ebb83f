// External data: tensors of an ONNX file that lie in files beside it.
#ifndef FAT_SRC_ONNX_EXTERNAL_HPP_INCLUDED
#define FAT_SRC_ONNX_EXTERNAL_HPP_INCLUDED

#include "proto.hpp"

#include <string>

namespace fat::inline FAT_ABI::onnx {

/// Reads the data of every tensor that keeps it in another file: a plain file in the model's folder or one below. What
/// one tensor asks for is what its shape and type need, all together no more than four times the files they lie in.
/// Errors: a location outside that folder or through a link, a missing or short file, offsets and lengths that
/// contradict the shape.
void read_external_data(::onnx::ModelProto& model, const std::string& path);

}  // namespace fat::inline FAT_ABI::onnx

#endif
