// file_graph: a TensorFlow Lite file of floats as a FileGraph, its operators spelled as ONNX spells them.
#ifndef FAT_SRC_TFLITE_FILE_GRAPH_HPP_INCLUDED
#define FAT_SRC_TFLITE_FILE_GRAPH_HPP_INCLUDED

#include "../reader/file_graph.hpp"

#include <span>
#include <string_view>

namespace fat::inline FAT_ABI::tflite {

/// Operators of images get a transpose at each side, which costs nothing later. Errors: a damaged file.
reader::FileGraph file_graph(std::span<const char> file, std::string_view name);

}  // namespace fat::inline FAT_ABI::tflite

#endif
