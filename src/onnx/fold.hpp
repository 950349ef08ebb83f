// Computing with constants: what exporters leave in a graph around shapes and weights.
#ifndef FAT_SRC_ONNX_FOLD_HPP_INCLUDED
#define FAT_SRC_ONNX_FOLD_HPP_INCLUDED

#include "proto.hpp"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI::onnx {

/// The result of a node all of whose inputs are constants; empty where its operator is not one of those computed here.
/// `inputs` has a null pointer for an input that is left out; `where` begins messages: the file and the node.
/// Errors: shapes or attributes that do not fit, finite numbers that become NaN or infinite.
std::optional<Constant> fold(const ::onnx::NodeProto& node, std::span<const Constant* const> inputs,
                             std::string_view where);

/// Axes counted from the end become axes counted from the front. Errors: an axis outside the rank, one given twice.
Integers normalized_axes(Integers axes, std::size_t rank, std::string_view where);

/// What a Slice takes from one axis: `size` elements from `begin` on, `step` apart.
struct AxisSlice {
  std::int64_t begin = 0;
  std::int64_t step = 1;
  std::int64_t size = 0;
};
/// Those of a Slice of a tensor of shape `dims`, one for each axis; bounds beyond an end are moved to it.
/// `inputs`: those of the node; the first is not looked at. Errors: lists of different lengths, a step of 0, bad axes.
std::vector<AxisSlice> axis_slices(const ::onnx::NodeProto& node, const Integers& dims,
                                   std::span<const Constant* const> inputs, std::string_view where);

}  // namespace fat::inline FAT_ABI::onnx

#endif
