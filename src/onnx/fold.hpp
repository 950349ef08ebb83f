// Computing with constants: what exporters leave in a graph around shapes and weights.
#ifndef FAT_SRC_ONNX_FOLD_HPP_INCLUDED
#define FAT_SRC_ONNX_FOLD_HPP_INCLUDED

#include "proto.hpp"

#include <optional>
#include <span>

namespace fat::inline FAT_ABI::onnx {

/// The result of a node all of whose inputs are constants; empty where its operator is not one of those computed here.
/// `inputs` has a null pointer for an input that is left out. Errors: shapes or attributes that do not fit.
std::optional<Constant> fold(const ::onnx::NodeProto& node, std::span<const Constant* const> inputs);

/// Axes counted from the end become axes counted from the front. Errors: an axis outside the rank, one given twice.
Integers normalized_axes(Integers axes, std::size_t rank, const ::onnx::NodeProto& node);

}  // namespace fat::inline FAT_ABI::onnx

#endif
