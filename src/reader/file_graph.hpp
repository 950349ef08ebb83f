// FileGraph: what a model file says, before it means anything: nodes by name, attributes, constants of any rank.
//
// Every format's reader writes the same vocabulary, that of ONNX operators (the newest operator set, but attributes may
// stand where newer sets have inputs): what a format spells otherwise is spelled out by its reader.
#ifndef FAT_SRC_READER_FILE_GRAPH_HPP_INCLUDED
#define FAT_SRC_READER_FILE_GRAPH_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI::reader {

using Dims = std::vector<std::int64_t>;

/// No tensor has more elements.
inline constexpr std::int64_t most_elements = std::int64_t{1} << 31;

/// A tensor whose values the file gives: reals, or integers (truth values too).
struct Data {
  Dims dims;
  bool integral = false;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;

  std::size_t size() const { return integral ? integers.size() : reals.size(); }
  float real(std::size_t i) const { return integral ? static_cast<float>(integers[i]) : reals[i]; }
  std::int64_t whole(std::size_t i) const { return integral ? integers[i] : static_cast<std::int64_t>(reals[i]); }
};

using DataPointer = std::shared_ptr<const Data>;
using Attribute = std::variant<std::int64_t, float, std::string, Dims, std::vector<float>, DataPointer>;

struct FileNode {
  std::string op;
  /// Empty for the operators of this vocabulary; what else there is cannot be read.
  std::string domain;
  std::string name;
  std::vector<std::string> inputs;  ///< empty: left out
  std::vector<std::string> outputs;
  std::map<std::string, Attribute, std::less<>> attributes;

  bool has(std::string_view attribute) const { return attributes.find(attribute) != attributes.end(); }
  template <class T>
  T get(std::string_view attribute, T otherwise) const {
    const auto found = attributes.find(attribute);
    if (found == attributes.end()) return otherwise;
    const T* const value = std::get_if<T>(&found->second);
    expects(value != nullptr, op, " '", std::string_view{name}, "': the attribute ", attribute,
            " has another type than expected; export the model again");
    return *value;
  }
  std::int64_t integer(std::string_view attribute, std::int64_t otherwise) const { return get(attribute, otherwise); }
  float real(std::string_view attribute, float otherwise) const { return get(attribute, otherwise); }
  std::string text(std::string_view attribute, std::string otherwise) const {
    return get(attribute, std::move(otherwise));
  }
  Dims integers(std::string_view attribute, Dims otherwise = {}) const { return get(attribute, std::move(otherwise)); }
  std::vector<float> reals(std::string_view attribute) const { return get(attribute, std::vector<float>{}); }
};

struct FileInput {
  std::string name;
  Dims dims;  ///< -1: open
  bool known_rank = true;
  bool integral = false;
};

struct FileGraph {
  std::string file;  ///< begins every message
  std::string name;
  std::int64_t operator_set = 17;
  std::vector<FileInput> inputs;
  std::vector<std::string> outputs;
  std::vector<FileNode> nodes;  ///< in an order in which every tensor is made before it is read
  std::unordered_map<std::string, DataPointer> constants;
  /// Formats that keep images channels last: images of inputs and outputs are so in the file.
  bool channels_last = false;
};

/// "Conv 'features.0'": how messages call a node.
inline std::string label(const FileNode& node) {
  const std::string& name = !node.name.empty() || node.outputs.empty() ? node.name : node.outputs[0];
  return node.op + " '" + name + "'";
}

/// What a rule cannot read: the network ends before such a node.
struct Unsupported {
  std::string reason;
};

template <class... Parts>
[[noreturn]] void unsupported(const Parts&... parts) {
  throw Unsupported{std::string{Message{parts...}.view()}};
}

/// Number of elements. Errors: a negative extent, more than most_elements.
inline std::int64_t count(const Dims& dims) {
  std::int64_t product = 1;
  for (const std::int64_t extent : dims) {
    expects(extent >= 0 && extent <= most_elements, "a shape has extent ", extent, "; the file is damaged");
    product *= extent;
    expects(product <= most_elements, "a tensor has more than ", most_elements, " elements; use a smaller model");
  }
  return product;
}

/// Axes counted from the end become axes counted from the front. Errors: an axis outside the rank.
inline Dims normalized_axes(Dims axes, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  for (std::int64_t& axis : axes) {
    expects(axis >= -signed_rank && axis < signed_rank, "axis ", axis, " for ", rank,
            " dimensions; export the model again");
    if (axis < 0) axis += signed_rank;
  }
  return axes;
}
inline std::size_t normalized_axis(std::int64_t axis, std::size_t rank) {
  return static_cast<std::size_t>(normalized_axes({axis}, rank)[0]);
}

/// What a Reshape makes of `from`: 0 keeps an extent (unless allowzero), -1 is computed. Errors: sizes that do not fit.
Dims reshaped(const Dims& from, const Dims& target, bool allow_zero);

/// Shapes of two tensors that are combined element by element. Errors: extents that do not fit.
Dims broadcast(const Dims& a, const Dims& b);

/// What a Slice takes from one axis: `size` elements from `begin` on, `step` apart.
struct AxisSlice {
  std::int64_t begin = 0;
  std::int64_t step = 1;
  std::int64_t size = 0;
};
/// Those of a Slice node for each axis of `dims`; bounds beyond an end are moved to it. `inputs` are the node's, null
/// where left out; the first is not looked at.
std::vector<AxisSlice> axis_slices(const FileNode& node, const Dims& dims, const std::vector<const Data*>& inputs);

/// A list that stands in an attribute in older operator sets and in an input in newer ones. Errors: an input that is not
/// of integers.
Dims list_of(const FileNode& node, std::string_view attribute, std::size_t input,
             const std::vector<const Data*>& inputs, Dims otherwise = {});

/// The results of a node all of whose inputs are constants; empty where its operator is not one of those computed here.
/// Errors: shapes or attributes that do not fit, a result of more elements than `room`.
std::vector<Data> evaluate(const FileNode& node, const std::vector<const Data*>& inputs, std::size_t room);

}  // namespace fat::inline FAT_ABI::reader

#endif
