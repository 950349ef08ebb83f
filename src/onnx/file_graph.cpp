// Reads names and attributes of an ONNX file; what they mean is for the reader of graphs.
#include "file_graph.hpp"

namespace fat::inline FAT_ABI::onnx {
namespace {

reader::DataPointer data_of(const ::onnx::TensorProto& tensor, std::string_view file) {
  Constant constant = decode(tensor, file);
  return std::make_shared<const reader::Data>(reader::Data{std::move(constant.dims), constant.integral,
                                                           std::move(constant.reals), std::move(constant.integers)});
}

void add_attribute(const ::onnx::AttributeProto& from, std::string_view file, reader::FileNode& to) {
  using A = ::onnx::AttributeProto;
  const auto put = [&](reader::Attribute value) { to.attributes.insert_or_assign(from.name(), std::move(value)); };
  switch (from.type()) {
    case A::INT:
      return put(std::int64_t{from.i()});
    case A::FLOAT:
      return put(from.f());
    case A::STRING:
      return put(from.s());
    case A::INTS:
      return put(reader::Dims(from.ints().begin(), from.ints().end()));
    case A::FLOATS:
      return put(std::vector<float>(from.floats().begin(), from.floats().end()));
    case A::TENSOR:
      return put(data_of(from.t(), file));
    default:
      return;  // graphs, strings: of operators that cannot be read
  }
}

}  // namespace

reader::FileGraph file_graph(const ::onnx::ModelProto& file, std::string_view name) {
  const auto& graph = file.graph();
  expects(graph.sparse_initializer_size() == 0, name, ": sparse weights are not supported; store them dense");
  reader::FileGraph result;
  result.file = name;
  result.name = graph.name();
  result.operator_set = operator_set(file);
  for (const auto& tensor : graph.initializer())
    expects(!tensor.name().empty() && result.constants.emplace(tensor.name(), data_of(tensor, name)).second, name,
            ": two tensors are called '", tensor.name(), "'");
  for (const auto& input : graph.input()) {
    reader::FileInput each{input.name(), {}, false, false};
    if (input.type().has_tensor_type()) {
      const auto& type = input.type().tensor_type();
      each.known_rank = type.has_shape();
      each.integral = type.elem_type() != ::onnx::TensorProto::FLOAT && type.elem_type() != ::onnx::TensorProto::FLOAT16 &&
                      type.elem_type() != ::onnx::TensorProto::DOUBLE;
      for (const auto& dim : type.shape().dim())
        each.dims.push_back(dim.has_dim_value() && dim.dim_value() > 0 && dim.dim_value() <= (std::int64_t{1} << 24)
                                ? dim.dim_value()
                                : -1);
    }
    result.inputs.push_back(std::move(each));
  }
  for (const auto& output : graph.output()) result.outputs.push_back(output.name());
  expects(!result.outputs.empty(), name, ": the model has no output; export it again");
  for (const auto& node : graph.node()) {
    reader::FileNode each{node.op_type(),
                          node.domain() == "ai.onnx" ? std::string{} : node.domain(),
                          node.name(),
                          {node.input().begin(), node.input().end()},
                          {node.output().begin(), node.output().end()},
                          {}};
    for (const auto& attribute : node.attribute()) add_attribute(attribute, name, each);
    result.nodes.push_back(std::move(each));
  }
  return result;
}

}  // namespace fat::inline FAT_ABI::onnx
