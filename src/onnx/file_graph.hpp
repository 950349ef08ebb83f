// file_graph: an ONNX file as a FileGraph.
#ifndef FAT_SRC_ONNX_FILE_GRAPH_HPP_INCLUDED
#define FAT_SRC_ONNX_FILE_GRAPH_HPP_INCLUDED

#include "../reader/file_graph.hpp"
#include "proto.hpp"

#include <string_view>

namespace fat::inline FAT_ABI::onnx {

/// Names, attributes and constants; the raw data of constants is moved out of the file. Errors: those of decode.
reader::FileGraph file_graph(const ::onnx::ModelProto& file, std::string_view name);

}  // namespace fat::inline FAT_ABI::onnx

#endif
