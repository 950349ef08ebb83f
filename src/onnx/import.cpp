// The walk over the graph of a file.
#include "../reader/read_graph.hpp"
#include "external.hpp"
#include "file_graph.hpp"
#include "importer.hpp"

#include <fat/io/file.hpp>
#include <fat/io/onnx.hpp>

#include <algorithm>

namespace fat::inline FAT_ABI::onnx {

Importer::Importer(::onnx::ModelProto& file, std::string_view name, bool quantized)
    : file_(file), name_(name), quantized_(quantized), operator_set_(operator_set(file)), metadata_(metadata_of(file)) {
  model_.name = file.graph().name();
  read_model_metadata(metadata_, name_, model_);
}

Model Importer::run() {
  auto& graph = *file_.mutable_graph();
  expects(graph.sparse_initializer_size() == 0, name_, ": sparse weights are not supported; store them dense");
  file_bytes_ = file_.ByteSizeLong();
  for (auto& tensor : *graph.mutable_initializer()) {
    set(tensor.name(), {std::make_shared<const Constant>(decode(tensor, name_))});
    tensor.clear_raw_data();
  }
  count_uses();
  read_input();
  for (const Node& node : graph.node()) read_node(node);

  expects(graph.output_size() == 1, name_, ": the model has ", graph.output_size(),
          " outputs, one is supported; export it with the one that is wanted");
  const auto found = tensors_.find(graph.output(0).name());
  expects(found != tensors_.end(), name_, ": no node makes the output '", graph.output(0).name(), "'");
  expects(found->second.constant == nullptr, name_, ": the output '", graph.output(0).name(), "' is a constant");
  expects(!found->second.codes, name_, ": the output '", graph.output(0).name(),
          "' holds codes; a DequantizeLinear is missing");
  for (const Node& node : graph.node())
    if (node.output_size() != 0 && node.output(0) == graph.output(0).name()) node_ = &node;
  const Tensor output = materialized(found->second, {});
  expects(output.layout != Layout::positions, name_, ": the output '", graph.output(0).name(),
          "' has 3 dimensions, 2 or 4 are supported; reshape it");
  const bool image = output.layout != Layout::vector && extent(output).height * extent(output).width != 1;
  expects(!image || (output.layout == Layout::channels_first) == model_.channels_first, name_,
          ": input and output differ in the place of their channels; remove the transpose at one end");
  model_.output = output.value;
  if (output.value == model_.input && graph.output(0).name() != model_.values[model_.input].name) {
    model_.output = emit(Reshape{}, {model_.input}, extent(output));  // a name of its own
    if (const auto found_codes = encodings.find(model_.input); found_codes != encodings.end())
      encodings.emplace(model_.output, ActivationEncoding{found_codes->second});
  }
  if (model_.output != model_.input) model_.values[model_.output].name = graph.output(0).name();
  remove_unused();
  return std::move(model_);
}

void Importer::read_input() {
  const auto& graph = file_.graph();
  const ::onnx::ValueInfoProto* input = nullptr;
  for (const auto& each : graph.input()) {
    if (tensors_.contains(each.name())) continue;  // an initializer listed among the inputs
    expects(input == nullptr, name_, ": the model has inputs '", input == nullptr ? "" : input->name(), "' and '",
            each.name(), "', one is supported");
    input = &each;
  }
  expects(input != nullptr, name_, ": the model has no input; export it again");
  expects(input->type().has_tensor_type() && input->type().tensor_type().has_shape(), name_, ": the input '",
          input->name(), "' has no shape");
  const auto& type = input->type().tensor_type();
  bytes_input_ = type.elem_type() == ::onnx::TensorProto::UINT8 || type.elem_type() == ::onnx::TensorProto::INT8;
  expects(bytes_input_ || type.elem_type() == ::onnx::TensorProto::FLOAT, name_, ": the input '", input->name(),
          "' is of another type than float, uint8 and int8; export in float");
  const int rank = type.shape().dim_size();
  expects(rank == 4 || rank == 2, name_, ": the input '", input->name(), "' has ", rank,
          " dimensions, 4 (images) or 2 are supported");
  std::size_t extents[4] = {};
  for (int i = 1; i != rank; ++i) {
    const auto& dim = type.shape().dim(i);
    expects(dim.has_dim_value() && dim.dim_value() > 0 && dim.dim_value() <= (std::int64_t{1} << 24), name_,
            ": the input '", input->name(), "' leaves dimension ", i,
            " open or gives it a bad size; export with a fixed image size");
    extents[i] = static_cast<std::size_t>(dim.dim_value());
  }
  const bool last = rank == 4 && starts_with_transpose(input->name());
  const Extent extent = rank == 2 ? Extent{1, 1, extents[1], true}
                        : last    ? Extent{extents[1], extents[2], extents[3], false}
                                  : Extent{extents[2], extents[3], extents[1], false};
  const Layout layout = rank == 2 ? Layout::vector : last ? Layout::channels_last : Layout::channels_first;
  count({static_cast<std::int64_t>(extent.height), static_cast<std::int64_t>(extent.width),
         static_cast<std::int64_t>(extent.channels)},
        name_ + ": the input '" + input->name() + "'");
  model_.channels_first = !last;
  model_.input = model_.add_value(fresh_name(input->name()), extent);
  set(input->name(), {nullptr, model_.input, layout});
}

/// Whether the images of a file are NHWC: element-wise operators lead from the input to a transpose into NCHW.
bool Importer::starts_with_transpose(const std::string& input) const {
  static const std::unordered_set<std::string> passed{
      "Identity", "Cast", "Add", "Sub", "Mul", "Div", "Pad", "Clip", "QuantizeLinear", "DequantizeLinear"};
  std::unordered_set<std::string> reached{input};
  for (const Node& node : file_.graph().node()) {
    if (node.input().empty() || node.output().empty()) continue;
    const bool follows = std::any_of(node.input().begin(), node.input().end(),
                                     [&](const std::string& each) { return reached.contains(each); });
    if (!follows) continue;
    if (node.op_type() == "Transpose") return Attributes{node}.integers("perm") == Integers{0, 3, 1, 2};
    if (passed.contains(node.op_type())) reached.insert(node.output(0));
  }
  return false;
}

void Importer::set(const std::string& name, Tensor tensor) {
  if (tensor.constant == nullptr && !tensor.codes) {
    Reads& reads = reads_[tensor.value];
    ++reads.tensors;
    if (const auto found = uses_.find(name); found != uses_.end()) reads.uses += found->second;
  }
  expects(!name.empty() && tensors_.emplace(name, std::move(tensor)).second, name_, ": two tensors are called '", name,
          "'");
}

void Importer::set_output(Tensor tensor) {
  if (tensor.constant != nullptr) count_computed(*tensor.constant);
  set(node_->output(0), std::move(tensor));
}

/// A few nodes must not make what the file could never hold: every list doubled, one after the other.
void Importer::count_computed(const Constant& made) {
  const std::size_t bound = 8 * file_bytes_ + (std::size_t{1} << 24U);
  computed_ += made.size();
  require(computed_ <= bound, "the constants that this file asks to compute have more than ", bound,
          " elements together; store them in the file");
}

void Importer::read_node(const Node& node) {
  node_ = &node;
  require(node.domain().empty() || node.domain() == "ai.onnx", "operators of '", node.domain(), "' are not supported");
  require(node.output_size() != 0, "has no output; export the model again");
  std::vector<const Constant*> constants;
  bool constant = node.input_size() != 0;
  for (const std::string& input : node.input()) {
    constants.push_back(nullptr);
    if (input.empty()) continue;
    const auto found = tensors_.find(input);
    require(found != tensors_.end(), "reads '", input, "', which no earlier node makes; the file is damaged");
    constants.back() = found->second.constant.get();
    constant = constant && constants.back() != nullptr;
  }
  require(node.op_type() != "Dropout" || !has(2) || plain_constant(2, "training_mode").size() != 1 ||
              plain_constant(2, "training_mode").real(0) == 0.0F,
          "is in training mode; export the model for inference");
  if (constant) {
    if (auto result = fold(node, constants, where()))
      return set_output({std::make_shared<const Constant>(std::move(*result))});
  }
  const auto rule = rules().find(node.op_type());
  expects(rule != rules().end(), name_, ": operator ", node.op_type(), " (node '", name_of(node),
          "') is not supported; see docs/interop.md for those that are");
  (this->*rule->second)();
}

const Tensor& Importer::tensor(int input) const {
  require(has(input), "input ", input, " is missing");
  return tensors_.at(node_->input(input));
}

const Constant& Importer::constant(int input, std::string_view what) const {
  const Tensor& found = tensor(input);
  require(found.constant != nullptr, what, " ('", node_->input(input),
          "') must be a constant; fold constants at export");
  return *found.constant;
}

const Constant& Importer::plain_constant(int input, std::string_view what) const {
  const Constant& found = constant(input, what);
  require(!found.steps, what, " ('", node_->input(input), "') must not be quantized");
  return found;
}

Tensor Importer::activation(int input) {
  const Tensor& found = tensor(input);
  require(found.constant == nullptr, "input ", input, " ('", node_->input(input),
          "') must not be a constant; fold constants at export");
  require(!found.codes, "reads the codes of '", node_->input(input), "'; a DequantizeLinear is missing");
  return found;
}

Tensor Importer::image(int input) {
  Tensor found = activation(input);
  require(found.layout == Layout::channels_first, "input '", node_->input(input),
          "' is no image with channels first; transpose before it");
  return found;
}

/// A flattened image becomes a vector of its own.
Tensor Importer::materialized(const Tensor& tensor, std::string_view suffix) {
  if (tensor.layout != Layout::flat_first && tensor.layout != Layout::flat_last) return tensor;
  const Extent from = extent(tensor);
  const bool first = tensor.layout == Layout::flat_first && from.height * from.width != 1;
  return {nullptr, emit(Reshape{first}, {tensor.value}, {1, 1, from.size(), true}, suffix), Layout::vector};
}

/// Channels as the file sees them: all elements of a flattened image.
std::size_t Importer::channels(const Tensor& tensor) const {
  const bool flat = tensor.layout == Layout::flat_first || tensor.layout == Layout::flat_last;
  return flat ? extent(tensor).size() : extent(tensor).channels;
}

Integers Importer::dims(const Tensor& tensor) const {
  const auto h = static_cast<std::int64_t>(extent(tensor).height);
  const auto w = static_cast<std::int64_t>(extent(tensor).width);
  const auto c = static_cast<std::int64_t>(extent(tensor).channels);
  switch (tensor.layout) {
    case Layout::channels_first:
      return {batch_mark, c, h, w};
    case Layout::channels_last:
      return {batch_mark, h, w, c};
    case Layout::positions:
      return {batch_mark, c, h * w};
    default:
      return {batch_mark, h * w * c};
  }
}

std::string Importer::fresh_name(const std::string& wanted) {
  std::string name = wanted;
  for (int again = 2; !value_names_.insert(name).second; ++again) name = wanted + "/" + std::to_string(again);
  return name;
}

ValueId Importer::emit(Operator op, std::vector<ValueId> inputs, const Extent& declared, std::string_view suffix) {
  const std::string& base = name_of(*node_);
  std::string node_name = base + std::string{suffix};
  for (int again = 2; !node_names_.insert(node_name).second; ++again)
    node_name = base + std::string{suffix} + "/" + std::to_string(again);
  const ValueId output = model_.add_value(fresh_name(node_->output(0) + std::string{suffix}), declared);
  model_.nodes.push_back({std::move(node_name), std::move(op), std::move(inputs), output});
  const ::fat::Node& node = model_.nodes.back();
  for (const ValueId input : node.inputs) ++reads_[input].nodes;
  std::vector<Extent> extents;
  for (const ValueId input : node.inputs) extents.push_back(model_.extent(input));
  model_.values[output].extent = in_file(name_, [&] { return infer_extent(node, extents, declared); });
  producers_[output] = model_.nodes.size() - 1;
  return output;
}

::fat::Node* Importer::producer(ValueId value) {
  const auto found = producers_.find(value);
  return found == producers_.end() ? nullptr : &model_.nodes[found->second];
}

/// The values of a constant along the channels of an activation: one, or one for each. Errors: another shape.
array<float> Importer::channel_values(const Constant& from, const Tensor& of) const {
  if (from.steps) return channel_values(dequantized(from), of);
  if (from.size() == 1) return array<float>{Shape{1}, from.real(0)};
  const std::size_t wanted = channels(of);
  const std::size_t channel_axis = of.layout == Layout::channels_last ? 3 : 1;
  const std::size_t rank = dims(of).size();
  bool fits = from.dims.size() <= rank && from.size() == wanted;
  for (std::size_t i = 0; fits && i != from.dims.size(); ++i)
    fits = rank - from.dims.size() + i == channel_axis || from.dims[i] == 1;
  require(fits, "a constant of ", from.size(), " values is neither one number nor one for each of ", wanted,
          " channels; reshape it");
  array<float> result{Shape{wanted}};
  for (std::size_t i = 0; i != wanted; ++i) result[i] = from.real(i);
  return result;
}

float Importer::scalar(int input, float otherwise) const {
  if (!has(input)) return otherwise;
  const Constant& value = constant(input, "a bound");
  require(value.size() == 1, "input ", input, " must be one number");
  return value.steps ? dequantized(value).real(0) : value.real(0);
}

/// Drops nodes that the output does not need (training leftovers, the pieces of joined patterns) and their values.
void Importer::remove_unused() {
  std::vector<bool> needed(model_.values.size(), false);
  needed[model_.output] = needed[model_.input] = true;
  std::vector<::fat::Node> kept;
  for (auto node = model_.nodes.rbegin(); node != model_.nodes.rend(); ++node) {
    if (!needed[node->output]) continue;
    for (const ValueId input : node->inputs) needed[input] = true;
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  std::vector<ValueId> number(model_.values.size(), 0);
  std::vector<Value> values;
  for (std::size_t i = 0; i != needed.size(); ++i) {
    if (!needed[i]) continue;
    number[i] = values.size();
    values.push_back(std::move(model_.values[i]));
  }
  for (::fat::Node& node : kept) {
    for (ValueId& input : node.inputs) input = number[input];
    node.output = number[node.output];
  }
  model_.nodes = std::move(kept);
  model_.values = std::move(values);
  model_.input = number[model_.input];
  model_.output = number[model_.output];
  std::map<ValueId, ActivationEncoding> renumbered;
  std::set<ValueId> narrow;
  for (const auto& [value, encoding] : encodings) {
    if (!needed[value]) continue;
    renumbered.emplace(number[value], encoding);
    if (narrowed.contains(value)) narrow.insert(number[value]);
  }
  encodings = std::move(renumbered);
  narrowed = std::move(narrow);
}

namespace {

Model read_model(const ::onnx::ModelProto& model, std::string_view name, const ReadOptions& options) {
  expects(!has_quantized_activations(model), name, ": the model is quantized; load it as a quantized model");
  if (options.shapes.empty() && options.end_at.empty()) {
    try {
      ::onnx::ModelProto simple = model;
      Model result = Importer{simple, name, false}.run();
      in_file(name, [&] { validate(result); });
      return result;
    } catch (const error&) {
      // what this importer of one input, one output and few operators refuses is for the general one
    }
  }
  return reader::read_graph(file_graph(model, name), options);
}

}  // namespace

Model read(std::string_view file, std::string_view name, const ReadOptions& options) {
  return read_model(parse(file, name), name, options);
}

Model load(const std::string& path, const ReadOptions& options) {
  ::onnx::ModelProto model = parse(read_file(path), path);
  read_external_data(model, path);
  return read_model(model, path, options);
}

}  // namespace fat::inline FAT_ABI::onnx
