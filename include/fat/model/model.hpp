// Model: the network representation in the box, a graph of layers over NHWC values in topological order.
#ifndef FAT_MODEL_MODEL_HPP_INCLUDED
#define FAT_MODEL_MODEL_HPP_INCLUDED

#include <fat/model/layers.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Index into Model::values.
using ValueId = std::size_t;

/// One tensor of the graph: the input, or the output of exactly one node.
struct Value {
  std::string name;
  Extent extent;
};

/// One layer at work: which values it reads, which one it makes.
struct Node {
  std::string name;
  Operator op;
  std::vector<ValueId> inputs;
  ValueId output = 0;
};

/// How pixels 0..255 become the numbers a network was trained on: x * scale[c] + offset[c], channels RGB or BGR.
struct Preprocessing {
  float scale[3] = {1.0F / 127.5F, 1.0F / 127.5F, 1.0F / 127.5F};
  float offset[3] = {-1.0F, -1.0F, -1.0F};
  bool bgr = false;
  std::size_t resize = 256;
  std::size_t crop = 224;
};

/// One input or output of a network's file: where it lies in Model::input or Model::output and what the file calls it.
struct Port {
  std::string name;
  /// As the file has them; the first is the batch of one image where the file has a batch.
  std::vector<std::size_t> dims;
  /// First element in the value.
  std::size_t offset = 0;
  /// A file's [N, C, H, W] is stored as [H, W, C]; else the order is the file's.
  bool channels_first = false;
  std::size_t size() const noexcept {
    std::size_t count = 1;
    for (const std::size_t dim : dims) count *= dim;
    return count;
  }
  bool operator==(const Port&) const = default;
};

/// A network. Several inputs are parts of the one value `input`, several outputs of `output`. Nodes stand in an order in which every input is made before it is read.
struct Model {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId input = 0;
  ValueId output = 0;
  /// The file's own tensor layout (ONNX: true); files given to and written by `fat run` follow it.
  bool channels_first = false;
  /// What the file has where that is more than one image in and one tensor of the same layout out; else empty.
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  /// Known from the file's metadata, else empty.
  std::optional<Preprocessing> preprocessing;
  /// Class = arg-max - class_offset, where the file says so.
  std::optional<std::size_t> class_offset;
  /// What a user has to know of how the file was read, such as what was cut off; not stored.
  std::vector<std::string> notes;

  const Extent& extent(ValueId value) const { return values[value].extent; }
  const Extent& input_extent() const { return extent(input); }
  const Extent& output_extent() const { return extent(output); }

  ValueId add_value(std::string value_name, const Extent& value_extent) {
    values.push_back({std::move(value_name), value_extent});
    return values.size() - 1;
  }
};

/// Number of nodes that read a value, one more where it is the model's output.
inline std::size_t consumers(const Model& model, ValueId value) {
  std::size_t count = value == model.output ? 1 : 0;
  for (const Node& node : model.nodes)
    for (const ValueId input : node.inputs) count += input == value ? 1 : 0;
  return count;
}

}  // namespace fat::inline FAT_ABI

#endif
