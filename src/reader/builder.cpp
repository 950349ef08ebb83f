// The walk over the nodes of a file, and what its inputs and outputs become.
#include "builder.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace fat::inline FAT_ABI::reader {

namespace {

std::string joined_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

std::string dims_text(const Dims& dims) {
  std::string text;
  for (const std::int64_t dim : dims) text += (text.empty() ? "" : ",") + (dim < 0 ? "?" : std::to_string(dim));
  return text;
}

/// Inputs that an operator cannot be without: what rules and idioms look at unasked. Damaged files lack some.
std::size_t least_inputs(const std::string& op) {
  static const std::unordered_set<std::string> two{"Add",    "And",    "Conv",  "ConvTranspose", "Div",  "Equal",
                                                   "Expand", "Gather", "Gemm",  "Greater",       "Less", "MatMul",
                                                   "Mul",    "Or",     "PRelu", "Pow",           "Sub",  "Tile"};
  static const std::unordered_set<std::string> one{
      "Clip",    "Concat", "Erf",      "HardSigmoid", "Max", "Mean", "Min",       "ReduceL2",     "ReduceMean",
      "Sigmoid", "Split",  "Softplus", "Sqrt",        "Sum", "Tanh", "Transpose", "SpaceToBatch", "BatchToSpace"};
  return two.contains(op) ? 2 : one.contains(op) ? 1 : 0;
}

}  // namespace

const std::unordered_map<std::string, Builder::Rule>& Builder::rules() {
  using B = Builder;
  static const std::unordered_map<std::string, Rule> table{
      {"Abs", &B::function},
      {"Add", &B::arithmetic},
      {"And", &B::arithmetic},
      {"AveragePool", &B::pool},
      {"BatchNormalization", &B::batch_normalization},
      {"Cast", &B::cast},
      {"CastLike", &B::identity},
      {"Ceil", &B::function},
      {"Celu", &B::function},
      {"Clip", &B::clip},
      {"Concat", &B::concat},
      {"Constant", &B::constant_node},
      {"Conv", &B::convolution},
      {"ConvTranspose", &B::transposed_convolution},
      {"Cos", &B::function},
      {"DepthToSpace", &B::depth_to_space},
      {"Div", &B::arithmetic},
      {"Dropout", &B::identity},
      {"Elu", &B::function},
      {"Equal", &B::arithmetic},
      {"Erf", &B::function},
      {"Exp", &B::function},
      {"Expand", &B::expand},
      {"Flatten", &B::flatten},
      {"Floor", &B::function},
      {"Gather", &B::gather},
      {"Gelu", &B::gelu},
      {"Gemm", &B::gemm},
      {"GlobalAveragePool", &B::global_pool},
      {"GlobalMaxPool", &B::global_pool},
      {"Greater", &B::arithmetic},
      {"GroupNormalization", &B::group_normalization},
      {"HardSigmoid", &B::hard_sigmoid},
      {"HardSwish", &B::hard_swish},
      {"Identity", &B::identity},
      {"InstanceNormalization", &B::instance_normalization},
      {"LRN", &B::local_response_normalization},
      {"LayerNormalization", &B::layer_normalization},
      {"LeakyRelu", &B::function},
      {"Less", &B::arithmetic},
      {"Log", &B::function},
      {"LogSoftmax", &B::softmax},
      {"LpNormalization", &B::lp_normalization},
      {"MatMul", &B::matmul},
      {"Max", &B::many},
      {"MaxPool", &B::pool},
      {"Mean", &B::many},
      {"Min", &B::many},
      {"Mish", &B::function},
      {"Mul", &B::arithmetic},
      {"Neg", &B::function},
      {"Not", &B::function},
      {"Or", &B::arithmetic},
      {"PRelu", &B::prelu},
      {"Pad", &B::pad},
      {"Pow", &B::power},
      {"Reciprocal", &B::function},
      {"ReduceL2", &B::reduce},
      {"ReduceMax", &B::reduce},
      {"ReduceMean", &B::reduce},
      {"ReduceMin", &B::reduce},
      {"ReduceSum", &B::reduce},
      {"ReduceSumSquare", &B::reduce},
      {"Relu", &B::relu},
      {"Reshape", &B::reshape},
      {"Resize", &B::resize},
      {"Round", &B::function},
      {"Selu", &B::function},
      {"Shape", &B::shape},
      {"Sigmoid", &B::sigmoid},
      {"Sign", &B::function},
      {"Silu", &B::function},
      {"Sin", &B::function},
      {"Size", &B::size_of},
      {"Slice", &B::slice},
      {"Softmax", &B::softmax},
      {"Softplus", &B::function},
      {"Softsign", &B::function},
      {"SpaceToDepth", &B::space_to_depth},
      {"Split", &B::split},
      {"Sqrt", &B::function},
      {"Square", &B::function},
      {"Squeeze", &B::squeeze},
      {"Sub", &B::arithmetic},
      {"Sum", &B::many},
      {"Swish", &B::function},
      {"Tanh", &B::function},
      {"ThresholdedRelu", &B::function},
      {"Tile", &B::tile},
      {"Transpose", &B::transpose},
      {"Unsqueeze", &B::unsqueeze},
      {"Upsample", &B::resize},
      {"Where", &B::where},
  };
  return table;
}

Model Builder::run() {
  model_.name = graph_.name;
  for (const FileNode& node : graph_.nodes) {
    const std::size_t needed = least_inputs(node.op);
    for (std::size_t i = 0; i != needed; ++i)
      expects(i < node.inputs.size() && !node.inputs[i].empty(), graph_.file, ": ", label(node), ": input ", i,
              " is missing; export the model again");
    for (const std::string& output : node.outputs)
      if (!output.empty()) makers_.emplace(output, &node);
    for (const std::string& input : node.inputs) ++reads_[input];
  }
  for (const std::string& output : graph_.outputs) ++reads_[output];
  for (const auto& [name, data] : graph_.constants) tensors_.emplace(name, Tensor{data, 0, {}, {}});
  read_inputs();
  for (const FileNode& node : graph_.nodes) {
    node_ = &node;
    try {
      read_node(node);
    } catch (const Unsupported& problem) {
      expects(!options_.strict, graph_.file, ": ", label(node), ": ", std::string_view{problem.reason},
              "; leave --strict out to end the network before it");
      for (const std::string& output : node.outputs) missing_.emplace(output, label(node) + ": " + problem.reason);
    } catch (const error& problem) {
      std::string_view text = problem.what();
      if (text.starts_with(graph_.file)) throw;
      if (text.starts_with("model: ")) text.remove_prefix(7);
      fail(graph_.file, ": ", label(node), ": ", text);
    } catch (const std::out_of_range&) {
      fail(graph_.file, ": ", label(node), ": lacks an input, an output or an axis that it needs; the file is damaged");
    }
  }
  write_outputs();
  remove_unused();
  return std::move(model_);
}

// ---- inputs ---------------------------------------------------------------------------------------------------------

Dims Builder::input_dims(const FileInput& input) const {
  const auto given = options_.shapes.find(input.name);
  if (given == options_.shapes.end()) {
    expects(input.known_rank, graph_.file, ": the input '", std::string_view{input.name},
            "' has no shape; give it with --shape ", std::string_view{input.name}, "=1,3,H,W");
    Dims dims = input.dims;
    std::string shown = dims_text(dims);
    for (std::size_t axis = 0; axis != dims.size(); ++axis) {
      if (axis == 0 && dims[axis] < 0) dims[axis] = 1;
      expects(dims[axis] > 0, graph_.file, ": the input '", std::string_view{input.name}, "' (", std::string_view{shown},
              ") leaves dimension ", axis, " open; give its shape with --shape ", std::string_view{input.name}, "=",
              std::string_view{dims_text(dims)});
    }
    return dims;
  }
  expects(!input.known_rank || given->second.size() == input.dims.size(), graph_.file, ": --shape gives '",
          std::string_view{input.name}, "' ", given->second.size(), " dimensions, the file has ", input.dims.size(),
          " (", std::string_view{dims_text(input.dims)}, ")");
  for (std::size_t axis = 0; axis != given->second.size(); ++axis) {
    const std::int64_t dim = given->second[axis];
    expects(dim > 0 && dim <= (std::int64_t{1} << 24), graph_.file, ": --shape gives '", std::string_view{input.name},
            "' an extent of ", dim, "; give a positive number");
    expects(!input.known_rank || axis == 0 || input.dims[axis] < 0 || input.dims[axis] == dim, graph_.file,
            ": --shape gives dimension ", axis, " of '", std::string_view{input.name}, "' as ", dim,
            ", the file has fixed it to ", input.known_rank ? input.dims[axis] : 0);
  }
  return given->second;
}

/// Whether the images of an ONNX file are NHWC: element-wise operators lead from the input to a transpose into NCHW.
bool Builder::starts_channels_last(const std::string& input) const {
  static const std::unordered_set<std::string> passed{"Identity", "Cast", "Add", "Sub", "Mul", "Div", "Pad", "Clip"};
  std::unordered_set<std::string> reached{input};
  for (const FileNode& node : graph_.nodes) {
    const bool follows = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const std::string& each) { return reached.contains(each); });
    if (!follows || node.outputs.empty()) continue;
    if (node.op == "Transpose") return node.integers("perm") == Dims{0, 3, 1, 2};
    if (passed.contains(node.op)) reached.insert(node.outputs[0]);
  }
  return false;
}

void Builder::read_inputs() {
  std::vector<const FileInput*> inputs;
  std::vector<std::string> names;
  for (const FileInput& input : graph_.inputs)
    if (!tensors_.contains(input.name)) inputs.push_back(&input), names.push_back(input.name);
  expects(!inputs.empty(), graph_.file, ": the model has no input; export it again");
  for (const auto& [name, shape] : options_.shapes)
    expects(std::find(names.begin(), names.end(), name) != names.end(), graph_.file, ": --shape names '",
            std::string_view{name}, "', which is no input; they are ", std::string_view{joined_names(names)});

  struct Input {
    const FileInput* file;
    Dims dims;
    bool first;
  };
  std::vector<Input> read;
  std::size_t total = 0;
  for (const FileInput* input : inputs) {
    Dims dims = input_dims(*input);
    if (dims.size() == 4) dims[0] = 1;  // images are seen one at a time
    total += static_cast<std::size_t>(count(dims));
    const bool first = dims.size() == 4 && !graph_.channels_last && !starts_channels_last(input->name);
    read.push_back({input, std::move(dims), first});
  }
  expects(total < static_cast<std::size_t>(most_elements), graph_.file, ": the inputs have more than ", most_elements,
          " elements");
  const auto order_of = [](const Input& input) {
    Order order(input.dims.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    return input.first ? Order{0, 2, 3, 1} : order;
  };
  const auto tensor_of = [&](const Input& input, ValueId value) { return fresh(value, input.dims, order_of(input)); };
  const auto port_of = [&](const Input& input, std::size_t offset) {
    Port port{input.file->name, {}, offset, input.first};
    for (const std::int64_t dim : input.dims) port.dims.push_back(static_cast<std::size_t>(dim));
    return port;
  };
  FileNode place;
  node_ = &place;
  if (read.size() == 1) {
    const Input& only = read[0];
    model_.channels_first = only.first || only.dims.size() != 4 ? !graph_.channels_last : false;
    Tensor tensor = tensor_of(only, 0);
    model_.input = model_.add_value(fresh_name(only.file->name), natural(tensor, order_of(only)));
    tensor.value = model_.input;
    const bool usual = only.dims.size() == 4 || (only.dims.size() == 2 && only.dims[0] == 1);
    if (!usual) model_.inputs = {port_of(only, 0)};
    tensors_.emplace(only.file->name, std::move(tensor));
    return;
  }
  model_.channels_first = !graph_.channels_last;
  model_.input = model_.add_value(fresh_name("inputs"), {1, 1, total, true});
  std::size_t offset = 0;
  for (const Input& input : read) {
    place.outputs = {input.file->name};
    const auto size = static_cast<std::size_t>(count(input.dims));
    Tensor tensor = tensor_of(input, 0);
    tensor.value = emit(View{{size}, {1}, offset}, {model_.input}, natural(tensor, order_of(input)));
    model_.inputs.push_back(port_of(input, offset));
    offset += size;
    tensors_.emplace(input.file->name, std::move(tensor));
  }
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

void Builder::set(const std::string& name, Tensor tensor) {
  expects(!name.empty() && tensors_.emplace(name, std::move(tensor)).second, "two tensors are called '",
          std::string_view{name}, "'");
}

void Builder::set_constant(Data data, std::size_t output) {
  room_ -= std::min(room_, data.size());
  set(node_->outputs.at(output), Tensor{std::make_shared<const Data>(std::move(data)), 0, {}, {}});
}

void Builder::read_node(const FileNode& node) {
  expects(!node.outputs.empty(), "has no output; export the model again");
  bool constant = !node.inputs.empty();
  const std::string* lost = nullptr;
  for (const std::string& input : node.inputs) {
    if (input.empty()) continue;
    const auto missing = missing_.find(input);
    if (missing != missing_.end() && lost == nullptr) lost = &missing->second;
    if (missing != missing_.end()) continue;
    const auto found = tensors_.find(input);
    expects(found != tensors_.end(), "reads '", std::string_view{input},
            "', which no earlier node makes; the file is damaged");
    constant = constant && found->second.constant();
  }
  if (lost != nullptr) {
    if (node.op == "BatchToSpace" && dilated_idiom()) return;
    throw Unsupported{*lost};
  }
  if (!node.domain.empty() && node.domain != "ai.onnx")
    unsupported("operators of '", std::string_view{node.domain}, "' are not supported");
  if (constant) {
    std::vector<Data> results = evaluate(node, constants(), room_);
    if (!results.empty()) {
      for (std::size_t i = 0; i != std::min(results.size(), node.outputs.size()); ++i)
        if (!node.outputs[i].empty()) set_constant(std::move(results[i]), i);
      return;
    }
  }
  const auto rule = rules().find(node.op);
  if (rule == rules().end()) unsupported("the operator is not supported");
  (this->*rule->second)();
}

const Tensor& Builder::tensor(std::size_t input) const {
  expects(has(input), "input ", input, " is missing; export the model again");
  return tensors_.at(node_->inputs[input]);
}

const Data& Builder::constant(std::size_t input, std::string_view what) const {
  const Tensor& found = tensor(input);
  if (!found.constant())
    unsupported(what, " ('", std::string_view{node_->inputs[input]}, "') is no constant, which is not supported");
  return *found.data;
}

Tensor Builder::activation(std::size_t input) {
  const Tensor& found = tensor(input);
  if (!found.constant()) return found;
  return embedded(*found.data);
}

std::vector<const Data*> Builder::constants() const {
  std::vector<const Data*> list;
  for (const std::string& input : node_->inputs)
    list.push_back(input.empty() ? nullptr : tensors_.at(input).data.get());
  return list;
}

Dims Builder::list(std::string_view attribute, std::size_t input, Dims otherwise) const {
  if (has(input)) {
    const Data& data = constant(input, attribute);
    return data.integers;
  }
  return node_->integers(attribute, std::move(otherwise));
}

float Builder::scalar(std::size_t input, float otherwise) const {
  if (!has(input)) return otherwise;
  const Data& value = constant(input, "a number");
  if (value.size() == 0) return otherwise;
  expects(value.size() == 1, "input ", input, " must be one number");
  return value.real(0);
}

std::string Builder::fresh_name(const std::string& wanted) {
  std::string name = wanted;
  for (int again = 2; !value_names_.insert(name).second; ++again) name = wanted + "/" + std::to_string(again);
  return name;
}

ValueId Builder::emit(Operator op, std::vector<ValueId> inputs, const Extent& declared, std::string_view suffix) {
  const std::string output = node_->outputs.empty() ? std::string{"output"} : node_->outputs[0];
  const std::string base = (node_->name.empty() ? output : node_->name) + std::string{suffix};
  std::string node_name = base;
  for (int again = 2; !node_names_.insert(node_name).second; ++again) node_name = base + "/" + std::to_string(again);
  const ValueId made = model_.add_value(fresh_name(output + std::string{suffix}), declared);
  model_.nodes.push_back({std::move(node_name), std::move(op), std::move(inputs), made});
  std::vector<Extent> extents;
  for (const ValueId input : model_.nodes.back().inputs) extents.push_back(model_.extent(input));
  model_.values[made].extent = infer_extent(model_.nodes.back(), extents, declared);
  return made;
}

const FileNode* Builder::maker(const std::string& name) const {
  const auto found = makers_.find(name);
  return found == makers_.end() ? nullptr : found->second;
}

const Data* Builder::constant_named(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.data.get();
}

// ---- outputs --------------------------------------------------------------------------------------------------------

/// The tensors that become outputs: those asked for; or the file's, in place of each that cannot be had the tensors
/// that are read by what could not be.
std::vector<std::string> Builder::ends() const {
  std::vector<std::string> names;
  if (!options_.end_at.empty()) {
    for (const std::string& name : options_.end_at) {
      const auto lost = missing_.find(name);
      expects(lost == missing_.end(), graph_.file, ": --end-at names '", std::string_view{name},
              "', which cannot be had: ", lost == missing_.end() ? std::string_view{} : std::string_view{lost->second});
      expects(tensors_.contains(name), graph_.file, ": --end-at names '", std::string_view{name},
              "', which is no tensor of the file; `fat inspect` lists those of the network");
      names.push_back(name);
    }
    return names;
  }
  for (const std::string& output : graph_.outputs)
    if (tensors_.contains(output)) names.push_back(output);
  std::unordered_set<std::string> seen;
  std::vector<std::string> open;
  for (const std::string& output : graph_.outputs) {
    expects(tensors_.contains(output) || missing_.contains(output), graph_.file, ": no node makes the output '",
            std::string_view{output}, "'");
    if (missing_.contains(output)) open.push_back(output);
  }
  std::vector<std::string> border;
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    if (!seen.insert(name).second) continue;
    for (const std::string& input : maker(name)->inputs) {
      if (input.empty()) continue;
      if (missing_.contains(input)) {
        open.push_back(input);
      } else if (!tensors_.at(input).constant() && tensors_.at(input).value != model_.input && seen.insert(input).second) {
        border.push_back(input);
      }
    }
  }
  // in the order in which the file makes them
  for (const FileNode& node : graph_.nodes)
    for (const std::string& output : node.outputs)
      if (std::find(border.begin(), border.end(), output) != border.end() &&
          std::find(names.begin(), names.end(), output) == names.end())
        names.push_back(output);
  return names;
}

void Builder::write_outputs() {
  const std::vector<std::string> names = ends();
  std::string lost;
  for (const std::string& output : graph_.outputs)
    if (missing_.contains(output) && options_.end_at.empty()) {
      if (!lost.empty() && lost.find(missing_.at(output)) != std::string::npos) continue;
      lost += (lost.empty() ? "" : "; ") + missing_.at(output);
    }
  expects(!names.empty(), graph_.file, ": ", std::string_view{lost});
  if (!lost.empty())
    model_.notes.push_back("the network ends before what cannot be read (" + lost + "); its outputs are now " +
                           joined_names(names));
  FileNode place;
  node_ = &place;
  const auto is_stored = [](const Tensor& t, const Order& order) {
    std::vector<std::size_t> ids;
    for (const std::size_t axis : order)
      for (const Atom& atom : t.axes[axis]) ids.push_back(atom.id);
    return ids == t.order;
  };
  std::vector<Tensor> tensors;
  bool usual = names.size() == 1;
  for (const std::string& name : names) {
    place.outputs = {name};
    Tensor t = tensors_.at(name);
    if (t.constant()) t = embedded(*t.data);
    merge(t);
    Port port{name, {}, 0, false};
    for (const std::int64_t dim : t.dims()) port.dims.push_back(static_cast<std::size_t>(dim));
    Order file_order(t.rank());
    std::iota(file_order.begin(), file_order.end(), std::size_t{0});
    const Order last{0, 2, 3, 1};
    const bool image = t.rank() == 4 && port.dims[0] == 1;
    Order order = file_order;
    const bool as_file = is_stored(t, file_order), as_image = image && is_stored(t, last);
    if (image && (as_file ? as_image && model_.channels_first : as_image || model_.channels_first)) {
      port.channels_first = true;
      order = last;
    }
    usual = usual && ((image && port.channels_first == model_.channels_first) || (t.rank() == 2 && port.dims[0] == 1));
    t = stored(t, order, "/stored");
    t.value = with_extent(t.value, natural(t, order));
    tensors.push_back(std::move(t));
    model_.outputs.push_back(std::move(port));
  }
  if (tensors.size() == 1) {
    place.outputs = {names[0]};
    model_.output = tensors[0].value;
    if (model_.output == model_.input)
      model_.output = emit(Reshape{}, {model_.input}, model_.extent(model_.input));
    for (Value& value : model_.values)
      if (value.name == names[0] && &value != &model_.values[model_.output]) value.name = fresh_name(names[0] + "/inner");
    if (model_.output != model_.input) model_.values[model_.output].name = names[0];
    if (usual) model_.outputs.clear();
    return;
  }
  std::vector<ValueId> parts;
  std::size_t offset = 0;
  for (std::size_t i = 0; i != tensors.size(); ++i) {
    parts.push_back(tensors[i].value);
    model_.outputs[i].offset = offset;
    offset += tensors[i].size();
  }
  place.outputs = {"outputs"};
  model_.output = emit(JoinedOutputs{}, std::move(parts));
}

/// Drops nodes that no output needs (training leftovers, the pieces of joined patterns) and their values.
void Builder::remove_unused() {
  std::vector<bool> needed(model_.values.size(), false);
  needed[model_.output] = needed[model_.input] = true;
  std::vector<Node> kept;
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
  for (Node& node : kept) {
    for (ValueId& input : node.inputs) input = number[input];
    node.output = number[node.output];
  }
  model_.nodes = std::move(kept);
  model_.values = std::move(values);
  model_.input = number[model_.input];
  model_.output = number[model_.output];
}

Model read_graph(const FileGraph& graph, const ReadOptions& options) {
  Model model = Builder{graph, options}.run();
  try {
    validate(model);
  } catch (const error& problem) {
    std::string_view text = problem.what();
    if (text.starts_with("model: ")) text.remove_prefix(7);
    fail(graph.file, ": ", text);
  }
  return model;
}

}  // namespace fat::inline FAT_ABI::reader
