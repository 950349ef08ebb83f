// What an ONNX file holds, decoded: attributes of a node, constant tensors.
#ifndef FAT_SRC_ONNX_PROTO_HPP_INCLUDED
#define FAT_SRC_ONNX_PROTO_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI::onnx {

using Integers = std::vector<std::int64_t>;

/// Stands for the number of images wherever a file computes with shapes.
inline constexpr std::int64_t batch_mark = std::numeric_limits<std::int64_t>::max();
/// No tensor of a file has more elements.
inline constexpr std::int64_t most_elements = std::int64_t{1} << 31;

/// Steps and zero points of a tensor of codes, one of each or one for every index of `axis`.
struct Steps {
  std::vector<float> step;
  Integers zero_point;
  std::int64_t axis = 0;
};

/// A tensor whose values the file gives: reals, or integers of any width.
struct Constant {
  Integers dims;
  bool integral = false;
  std::vector<float> reals;
  Integers integers;
  /// The type it has in the file (TensorProto::DataType).
  std::int32_t type = ::onnx::TensorProto::FLOAT;
  /// Set where a DequantizeLinear stands after integers: they are codes, and the tensor means step * (code - zero
  /// point).
  std::optional<Steps> steps;

  std::size_t size() const { return integral ? integers.size() : reals.size(); }
  float real(std::size_t i) const { return integral ? static_cast<float>(integers[i]) : reals[i]; }
};

/// Number of elements of a shape. Errors: a negative extent, more than most_elements. `where` begins their messages:
/// the file and the tensor or node.
std::int64_t count(const Integers& dims, std::string_view where);

/// Decodes a tensor, checking that its data has the size its shape asks for before allocating.
/// Errors: unsupported element type, data in another file, missing or surplus data.
Constant decode(const ::onnx::TensorProto& tensor, std::string_view file);

/// Parses a file's bytes. Errors: it is not an ONNX model, has no graph, an operator set outside 7 to 28.
::onnx::ModelProto parse(std::string_view file, std::string_view name);
/// The version of the default operator set.
std::int64_t operator_set(const ::onnx::ModelProto& model);

/// Whether a QuantizeLinear reads an activation.
bool has_quantized_activations(const ::onnx::ModelProto& file);

/// The attributes of one node, by name.
class Attributes {
 public:
  explicit Attributes(const ::onnx::NodeProto& node) : node_(node) {}
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  float real(std::string_view name, float otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  Integers integers(std::string_view name, const Integers& otherwise = {}) const;
  std::vector<float> reals(std::string_view name) const;
  const ::onnx::AttributeProto* find(std::string_view name) const;

 private:
  const ::onnx::NodeProto& node_;
};

/// The name of a node, or that of its output where it has none.
const std::string& name_of(const ::onnx::NodeProto& node);
/// "Conv 'features.0'": how errors call a node.
std::string label(const ::onnx::NodeProto& node);

/// Runs a check of the model; its errors then begin with the file.
template <class Check>
decltype(auto) in_file(std::string_view file, Check&& check) {
  try {
    return check();
  } catch (const error& problem) {
    std::string_view text = problem.what();
    for (const std::string_view prefix : {"quantized model: ", "model: "})
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    fail(file, ": ", text);
  }
}

}  // namespace fat::inline FAT_ABI::onnx

#endif
