// From a QuantizedModel to a QDQ file: every encoded tensor stands between QuantizeLinear and DequantizeLinear.
#include "metadata.hpp"

#include <fat/io/file.hpp>
#include <fat/io/onnx.hpp>
#include <fat/model/encodings.hpp>
#include <fat/model/simulation_model.hpp>
#include <fat/model/sums.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

namespace fat::inline FAT_ABI::onnx {
namespace {

using ::onnx::TensorProto;

std::int64_t number(std::size_t n) { return static_cast<std::int64_t>(n); }

/// Writes images NCHW. A model whose own file has channels last gets a Transpose at each end.
class Exporter {
 public:
  Exporter(const QuantizedModel& model, Profile profile) : model_(model), graph_(model.graph), profile_(profile) {
    validate(model);
    expect_sums_fit(model, "onnx");
    check_names();
    for (ValueId v = 0; v != graph_.values.size(); ++v) check_encoding(v);
    tensors_.resize(graph_.values.size());
    codes_.resize(graph_.values.size());
  }

  std::string run() {
    file_.set_ir_version(7);
    file_.set_producer_name("fat");
    out_ = file_.mutable_graph();
    out_->set_name(graph_.name.empty() ? "model" : graph_.name);
    write_input();
    for (std::size_t n = 0; n != graph_.nodes.size(); ++n) write_node(n);
    write_output();
    auto& operators = *file_.add_opset_import();
    operators.set_domain("");
    operators.set_version(operator_set_);
    write_metadata(model_, codes_, profile_ == Profile::tensorrt, file_);
    std::string bytes;
    expects(file_.ByteSizeLong() < (std::size_t{1} << 31),
            "onnx: the model has more than 2 GiB, which no ONNX file can hold");
    expects(file_.SerializeToString(&bytes), "onnx: the model cannot be written as an ONNX file");
    return bytes;
  }

 private:
  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    expects(ok, "onnx: layer '", std::string_view{node_->name}, "' ", parts...);
  }

  // ---- names and encodings ----

  void check_names() {
    for (const Value& value : graph_.values) {
      expects(!value.name.empty(), "onnx: a tensor of the model has no name");
      expects(names_.insert(value.name).second, "onnx: two tensors are called '", std::string_view{value.name},
              "'; rename one");
    }
    for (const Node& node : graph_.nodes)
      expects(!node.name.empty() && node_names_.insert(node.name).second, "onnx: two layers are called '",
              std::string_view{node.name}, "', or one has no name; rename it");
  }
  static std::string unused(std::unordered_set<std::string>& names, const std::string& wanted) {
    std::string name = wanted;
    for (int again = 2; !names.insert(name).second; ++again) name = wanted + "/" + std::to_string(again);
    return name;
  }
  /// Of a tensor, and of a node.
  std::string fresh(const std::string& wanted) { return unused(names_, wanted); }
  std::string fresh_node(const std::string& wanted) { return unused(node_names_, wanted); }

  void check_encoding(ValueId v) const {
    if (!model_.activations[v] || profile_ == Profile::standard) return;
    const ActivationEncoding& e = *model_.activations[v];
    expects(e.zero_point == 0, "onnx: tensor '", std::string_view{graph_.values[v].name}, "' has zero point ",
            e.zero_point, "; TensorRT wants 0, quantize with --tensorrt");
    expects(e.code_max <= 127, "onnx: tensor '", std::string_view{graph_.values[v].name}, "' has codes ", e.code_min,
            "..", e.code_max, "; TensorRT has int8 only, quantize with --tensorrt");
  }

  /// What the file's tensor holds. Signed codes are raised by 128: runtimes on x64 have kernels for uint8 only, and
  /// their rewriting of int8 stops at tensors with several readers. TensorRT has int8 alone.
  struct Stored {
    std::int32_t zero_point, code_min, code_max;  ///< of the encoding
    std::int32_t type, type_min, type_max;
  };
  Stored stored(const ActivationEncoding& e) const {
    if (profile_ == Profile::tensorrt) return {e.zero_point, e.code_min, e.code_max, TensorProto::INT8, -128, 127};
    const std::int32_t raise = e.is_signed() ? 128 : 0;
    return {e.zero_point + raise, e.code_min + raise, e.code_max + raise, TensorProto::UINT8, 0, 255};
  }
  std::string zero_point(const std::string& wanted, const ActivationEncoding& e) {
    const Stored s = stored(e);
    return constant<std::uint8_t>(wanted, s.type, {}, {static_cast<std::uint8_t>(s.zero_point)});
  }

  // ---- tensors and nodes of the file ----

  TensorProto& initializer(const std::string& name, std::int32_t type, const Integers& dims) {
    TensorProto& tensor = *out_->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::int64_t extent : dims) tensor.add_dims(extent);
    return tensor;
  }
  template <class T>
  std::string constant(const std::string& wanted, std::int32_t type, const Integers& dims,
                       const std::vector<T>& values) {
    std::string name = fresh(wanted);
    initializer(name, type, dims).set_raw_data(values.data(), values.size() * sizeof(T));
    return name;
  }
  std::string real(const std::string& wanted, float value) {
    return constant<float>(wanted, TensorProto::FLOAT, {}, {value});
  }
  std::string integers(const std::string& wanted, const Integers& values) {
    return constant(wanted, TensorProto::INT64, {number(values.size())}, values);
  }

  ::onnx::NodeProto& add(const char* type, const std::string& name, const std::vector<std::string>& inputs,
                         const std::string& output) {
    ::onnx::NodeProto& node = *out_->add_node();
    node.set_op_type(type);
    node.set_name(name);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }
  static ::onnx::AttributeProto& attribute(::onnx::NodeProto& node, const char* name,
                                           ::onnx::AttributeProto::AttributeType type) {
    auto& made = *node.add_attribute();
    made.set_name(name);
    made.set_type(type);
    return made;
  }
  static void set(::onnx::NodeProto& node, const char* name, std::int64_t value) {
    attribute(node, name, ::onnx::AttributeProto::INT).set_i(value);
  }
  static void set(::onnx::NodeProto& node, const char* name, float value) {
    attribute(node, name, ::onnx::AttributeProto::FLOAT).set_f(value);
  }
  static void set(::onnx::NodeProto& node, const char* name, const char* value) {
    attribute(node, name, ::onnx::AttributeProto::STRING).set_s(value);
  }
  static void set(::onnx::NodeProto& node, const char* name, const Integers& values) {
    auto& made = attribute(node, name, ::onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) made.add_ints(value);
  }
  static void set_window(::onnx::NodeProto& node, const Window& w) {
    set(node, "kernel_shape", Integers{number(w.kernel.height), number(w.kernel.width)});
    set(node, "strides", Integers{number(w.stride.height), number(w.stride.width)});
    set(node, "pads",
        Integers{number(w.padding.top), number(w.padding.left), number(w.padding.bottom), number(w.padding.right)});
    if (w.dilation != Pair{}) set(node, "dilations", Integers{number(w.dilation.height), number(w.dilation.width)});
  }

  // ---- activations ----

  static bool pixels(const Extent& e) { return !e.vector && e.height * e.width != 1; }

  void describe(::onnx::ValueInfoProto& info, const std::string& name, const Extent& e) const {
    info.set_name(name);
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(TensorProto::FLOAT);
    auto& shape = *type.mutable_shape();
    shape.add_dim()->set_dim_param("N");
    const Integers dims = e.vector                ? Integers{number(e.channels)}
                          : graph_.channels_first ? Integers{number(e.channels), number(e.height), number(e.width)}
                                                  : Integers{number(e.height), number(e.width), number(e.channels)};
    for (const std::int64_t extent : dims) shape.add_dim()->set_dim_value(extent);
  }

  /// Adds QuantizeLinear and DequantizeLinear after the float tensor `from`, which the clamp has passed; returns what
  /// readers read.
  std::string quantized(ValueId v, const std::string& from, const std::string& result, const Clamp& clamp = {}) {
    const ActivationEncoding& e = *model_.activations[v];
    const std::string& name = graph_.values[v].name;
    const std::string step = real(name + ":step", e.step);
    const std::string zero = zero_point(name + ":zero_point", e);
    const std::string& codes = codes_[v] = fresh(name + ":codes");
    const bool converts =
        node_ != nullptr && node_->output == v && changes_encoding(*node_);  // the node is the QuantizeLinear
    add("QuantizeLinear", converts ? node_->name : fresh_node(name + ":quantize"),
        {clamped_to_codes(v, from, clamp), step, zero}, codes);
    add("DequantizeLinear", fresh_node(name + ":dequantize"), {codes, step, zero}, result);
    return result;
  }
  bool changes_encoding(const Node& node) const {
    const auto* const clamp = std::get_if<ClampLayer>(&node.op);
    return clamp != nullptr && !clamp->clamp.active() && model_.activations[node.output].has_value();
  }
  /// QuantizeLinear uses every code of its type; narrower ranges need a clamp before it, unless `done` does the same.
  std::string clamped_to_codes(ValueId v, const std::string& from, const Clamp& done) {
    const ActivationEncoding& e = *model_.activations[v];
    const Stored s = stored(e);
    const Clamp range = range_of_codes(e);
    if (node_ != nullptr && node_->output == v && moves_codes(*node_)) return from;
    if ((s.code_min == s.type_min || done.low >= range.low) && (s.code_max == s.type_max || done.high <= range.high))
      return from;
    std::string result = fresh(graph_.values[v].name + ":in_range");
    write_clamp(fresh_node(graph_.values[v].name + ":range"), from, range, result);
    return result;
  }
  /// Whether the layer makes nothing beyond the range of its inputs, which have the encoding of its output.
  bool moves_codes(const Node& node) const {
    const auto* const pad = std::get_if<Pad>(&node.op);
    return detail::keeps_codes(node.op) && (pad == nullptr || pad->value == 0.0F) &&
           std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId input) { return model_.activations[input] == model_.activations[node.output]; });
  }
  void write_clamp(const std::string& name, const std::string& from, const Clamp& clamp, const std::string& to) {
    if (clamp == relu) {
      add("Relu", name, {from}, to);
      return;
    }
    std::vector<std::string> inputs{from, "", ""};
    if (clamp.low > Clamp{}.low) inputs[1] = real(name + ":low", clamp.low);
    if (clamp.high < Clamp{}.high) inputs[2] = real(name + ":high", clamp.high);
    if (inputs[2].empty()) inputs.pop_back();
    add("Clip", name, inputs, to);
  }

  void write_input() {
    const ValueId v = graph_.input;
    const std::string& name = graph_.values[v].name;
    for (const Port& port : graph_.inputs) describe(*out_->add_input(), port);
    if (graph_.inputs.size() > 1) return;
    if (!graph_.inputs.empty()) {
      const Port& port = graph_.inputs[0];
      std::string from = fresh(name + ":image");
      from_port(port, port.name, graph_.extent(v), from);
      if (model_.activations[v]) from = quantized(v, from, fresh(name + ":dequantized"));
      tensors_[v] = from;
      return;
    }
    describe(*out_->add_input(), name, graph_.extent(v));
    std::string from = name;
    if (model_.activations[v]) from = quantized(v, from, fresh(name + ":dequantized"));
    if (!graph_.channels_first && !graph_.extent(v).vector) {
      const std::string first = fresh(name + ":channels_first");
      set(add("Transpose", fresh_node(name + ":to_channels_first"), {from}, first), "perm", Integers{0, 3, 1, 2});
      from = first;
    }
    tensors_[v] = from;
  }

  /// The file's output takes the value's name; everything before it has another.
  void write_output() {
    const ValueId v = graph_.output;
    if (!graph_.outputs.empty()) {
      const Node* const join = joined_outputs();
      for (std::size_t i = 0; i != graph_.outputs.size(); ++i) {
        const ValueId from = join != nullptr ? join->inputs.at(i) : v;
        to_port(graph_.outputs[i], tensors_[from], graph_.extent(from));
      }
      return;
    }
    const std::string name = v == graph_.input ? fresh(graph_.values[v].name + ":output") : graph_.values[v].name;
    describe(*out_->add_output(), name, graph_.extent(v));
    if (!graph_.channels_first && pixels(graph_.extent(v)))
      set(add("Transpose", fresh_node(name + ":to_channels_last"), {tensors_[v]}, name), "perm", Integers{0, 2, 3, 1});
    else if (!graph_.channels_first && !graph_.extent(v).vector)
      add("Reshape", fresh_node(name + ":to_channels_last"), {tensors_[v], integers(name + ":extent", {0, 1, 1, -1})},
          name);
    else if (tensors_[v] != name)
      add("Identity", fresh_node(name + ":identity"), {tensors_[v]}, name);
  }
  /// The node that joins several outputs; null where there is one.
  const Node* joined_outputs() const {
    const bool joins = !graph_.nodes.empty() && std::holds_alternative<JoinedOutputs>(graph_.nodes.back().op);
    return joins && graph_.nodes.back().output == graph_.output ? &graph_.nodes.back() : nullptr;
  }
  bool renamed_at_end(ValueId v) const {
    return v == graph_.output && graph_.outputs.empty() && !graph_.channels_first && !graph_.extent(v).vector;
  }

  // ---- layers ----

  const Extent& in_extent(std::size_t i = 0) const { return graph_.extent(node_->inputs[i]); }
  const Extent& out_extent() const { return graph_.extent(node_->output); }
  const std::string& in(std::size_t i = 0) const { return tensors_[node_->inputs[i]]; }

  void write_node(std::size_t n) {
    index_ = n;
    node_ = &graph_.nodes[n];
    const ValueId v = node_->output;
    const std::string& name = graph_.values[v].name;
    const bool encoded = model_.activations[v].has_value();
    // Before QuantizeLinear a tensor has the value's name; the model's output is the last of all and keeps it.
    if (node_ == joined_outputs()) return;
    const bool last = v == graph_.output && graph_.outputs.empty();
    const std::string before = last && (encoded || renamed_at_end(v)) ? fresh(name + ":real") : name;
    // A clamp that the codes do anyway would only keep runtimes from joining the layer with its QuantizeLinear.
    Clamp clamp = std::visit(
        []<class Layer>(const Layer& layer) {
          if constexpr (ClampedLayer<Layer> && !std::is_same_v<Layer, ClampLayer>)
            return layer.clamp;
          else
            return Clamp{};
        },
        node_->op);
    if (encoded && codes_clamp(*model_.activations[v], clamp)) clamp = {};
    target_ = clamp.active() ? fresh(name + ":before_clamp") : before;
    if (changes_encoding(*node_)) {
      tensors_[v] = quantized(v, in(), last && !renamed_at_end(v) ? name : fresh(name + ":dequantized"));
      return;
    }
    std::visit([this](const auto& layer) { write(layer); }, node_->op);
    if (clamp.active()) write_clamp(fresh_node(node_->name + ":clamp"), target_, clamp, before);
    tensors_[v] = before;
    if (!encoded) return;
    const std::string after = last && !renamed_at_end(v) ? name : fresh(name + ":dequantized");
    tensors_[v] = quantized(v, before, after, clamp);
  }

  ::onnx::NodeProto& layer(const char* type, const std::vector<std::string>& inputs) {
    return add(type, node_->name, inputs, target_);
  }

  /// Weights in the file's order (`place` of each) and the bias, dequantized where they are codes.
  template <WeightedLayer Layer, class Place>
  std::vector<std::string> parameters(const Layer& op, const Integers& dims, Place place) {
    const std::string& name = node_->name;
    const auto& encoding = model_.weights[index_];
    const auto arranged = [&]<class T>(const array<T>& from) {
      std::vector<T> to(from.size());
      for (std::size_t i = 0; i != from.size(); ++i) to[i] = from[place(i)];
      return to;
    };
    if (!encoding) {
      const std::string weights = constant(name + ":weights", TensorProto::FLOAT, dims, arranged(op.kernel));
      return {in(), weights,
              constant(name + ":bias", TensorProto::FLOAT, {number(op.offset.size())}, values(op.offset))};
    }
    const WeightEncoding& w = *encoding;
    require(profile_ == Profile::standard ||
                std::all_of(w.zero_point.begin(), w.zero_point.end(), [](std::int32_t z) { return z == 0; }),
            "has asymmetric weights; TensorRT wants zero points of 0, quantize with --weight-scheme symmetric");
    const bool each = w.step.size() > 1;
    const Integers count = each ? Integers{number(w.step.size())} : Integers{};
    const std::string codes = constant(name + ":weights:codes", TensorProto::INT8, dims, arranged(w.codes));
    const std::vector<std::int8_t> zeros(w.zero_point.begin(), w.zero_point.end());
    const std::string step = constant(name + ":weights:step", TensorProto::FLOAT, count, w.step);
    const std::string zero = constant(name + ":weights:zero_point", TensorProto::INT8, count, zeros);
    const std::string weights = fresh(name + ":weights");
    auto& node = add("DequantizeLinear", fresh_node(name + ":weights:dequantize"), {codes, step, zero}, weights);
    if (each) set(node, "axis", std::int64_t{0});
    return {in(), weights, bias(w)};
  }
  std::string bias(const WeightEncoding& w) {
    const std::string& name = node_->name;
    const float in_step = model_.activations[node_->inputs[0]]->step;
    const Integers dims{number(w.bias.size())};
    if (profile_ == Profile::tensorrt) {
      std::vector<float> reals;
      for (std::size_t c = 0; c != w.bias.size(); ++c)
        reals.push_back(static_cast<float>(static_cast<double>(w.bias[c]) * static_cast<double>(in_step) *
                                           static_cast<double>(w.channel_step(c))));
      return constant(name + ":bias", TensorProto::FLOAT, dims, reals);
    }
    std::vector<float> steps;
    for (const float step : w.step) {
      steps.push_back(in_step * step);
      require(steps.back() > 0.0F, "has a bias step of ", in_step, " times ", step,
              ", which is 0 in float; keep it float");
    }
    const bool each = steps.size() > 1;
    const std::string codes = constant(name + ":bias:codes", TensorProto::INT32, dims, values(w.bias));
    const std::string step = constant(name + ":bias:step", TensorProto::FLOAT, each ? dims : Integers{}, steps);
    std::string result = fresh(name + ":bias");
    auto& node = add("DequantizeLinear", fresh_node(name + ":bias:dequantize"), {codes, step}, result);
    if (each) set(node, "axis", std::int64_t{0});
    return result;
  }
  template <class T>
  static std::vector<T> values(const array<T>& from) {
    return {from.begin(), from.end()};
  }
  template <WeightedLayer Layer>
  const Shape& kernel_shape(const Layer& op) const {
    return model_.weights[index_] ? model_.weights[index_]->codes.shape() : op.kernel.shape();
  }

  void write(const Convolution& op) {  // OHWI to OIHW
    const Shape& s = kernel_shape(op);
    const std::size_t area = s[1] * s[2], depth = s[3];
    const auto inputs = parameters(op, {number(s[0]), number(depth), number(s[1]), number(s[2])}, [=](std::size_t i) {
      return (i / (area * depth) * area + i % area) * depth + i / area % depth;
    });
    auto& node = convolution_node(inputs);
    set_window(node, op.window);
    if (op.groups != 1) set(node, "group", number(op.groups));
  }
  void write(const DepthwiseConvolution& op) {  // 1HWO to O1HW
    const Shape& s = kernel_shape(op);
    const std::size_t area = s[1] * s[2], out = s[3];
    const auto inputs = parameters(op, {number(out), 1, number(s[1]), number(s[2])},
                                   [=](std::size_t i) { return i % area * out + i / area; });
    auto& node = convolution_node(inputs);
    set_window(node, op.window);
    set(node, "group", number(out / op.multiplier));
  }
  /// Conv knows images only: a vector is one pixel of all channels.
  ::onnx::NodeProto& convolution_node(std::vector<std::string> inputs) {
    if (in_extent().vector) {
      const std::string pixel = fresh(node_->name + ":pixel");
      add("Reshape", fresh_node(node_->name + ":to_pixel"),
          {inputs[0], integers(node_->name + ":pixel:shape", {0, -1, 1, 1})}, pixel);
      inputs[0] = converted(node_->inputs[0], pixel, node_->name + ":pixel");
    }
    if (!out_extent().vector) return layer("Conv", inputs);
    const std::string made = fresh(node_->name + ":made");
    auto& node = add("Conv", node_->name, inputs, made);
    add("Flatten", fresh_node(node_->name + ":to_vector"), {converted(node_->output, made, node_->name + ":made")},
        target_);
    return node;
  }
  void write(const Dense& op) {  // columns in HWC order to CHW
    const Shape& s = kernel_shape(op);
    const Extent& e = in_extent();
    const std::size_t area = e.height * e.width, depth = e.channels, size = s[1];
    auto inputs = parameters(op, {number(s[0]), number(size)}, [=](std::size_t i) {
      return i / size * size + i % size % area * depth + i % size / area;
    });
    if (!e.vector) inputs[0] = flattened(node_->inputs[0]);
    set(layer("Gemm", inputs), "transB", std::int64_t{1});
  }
  /// An image as a vector of its elements in CHW order, between converters of its own so that runtimes keep it in
  /// codes.
  std::string flattened(ValueId v) {
    const std::string wanted = node_->name + ":flat";
    std::string flat = fresh(wanted);
    add("Flatten", fresh_node(wanted + "ten"), {tensors_[v]}, flat);
    return converted(v, flat, wanted);
  }
  /// A tensor with the codes of value v, between converters of its own so that runtimes keep it in codes.
  std::string converted(ValueId v, const std::string& tensor, const std::string& wanted) {
    if (!model_.activations[v]) return tensor;
    const ActivationEncoding& e = *model_.activations[v];
    const std::string step = real(wanted + ":step", e.step);
    const std::string zero = zero_point(wanted + ":zero_point", e);
    const std::string codes = fresh(wanted + ":codes");
    std::string result = fresh(wanted + ":dequantized");
    add("QuantizeLinear", fresh_node(wanted + ":quantize"), {tensor, step, zero}, codes);
    add("DequantizeLinear", fresh_node(wanted + ":dequantize"), {codes, step, zero}, result);
    return result;
  }
  void write(const BatchNormalization&) { require(false, "is a batch normalization; fold it first"); }

  void write(const Add&) { layer("Add", {in(), second()}); }
  void write(const Multiply&) { layer("Mul", {in(), second()}); }
  /// A vector that goes with an image lies along its channels.
  std::string second() {
    if (in_extent(0).vector == in_extent(1).vector) return in(1);
    require(in_extent(1).vector, "joins a vector with an image, which ONNX does not have");
    const std::string shape = integers(node_->name + ":shape", {0, -1, 1, 1});
    std::string result = fresh(node_->name + ":pixel");
    add("Reshape", fresh_node(node_->name + ":reshape"), {in(1), shape}, result);
    return result;
  }

  void write(const Concat& op) {
    const auto is_vector = [&](ValueId v) { return graph_.extent(v).vector; };
    const bool vector = std::any_of(node_->inputs.begin(), node_->inputs.end(), is_vector);
    require(!vector || op.axis == 2, "joins vectors along another axis than their channels, which ONNX does not have");
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i != node_->inputs.size(); ++i)
      inputs.push_back(vector && !is_vector(node_->inputs[i]) ? flattened(node_->inputs[i]) : in(i));
    if (!vector || out_extent().vector) {
      set(layer("Concat", inputs), "axis", op.axis == 2 ? std::int64_t{1} : number(op.axis + 2));
      return;
    }
    const std::string row = fresh(node_->name + ":row");
    set(add("Concat", node_->name, inputs, row), "axis", std::int64_t{1});
    add("Reshape", fresh_node(node_->name + ":to_pixel"),
        {converted(node_->output, row, node_->name + ":row"), integers(node_->name + ":pixel:shape", {0, -1, 1, 1})},
        target_);
  }
  void write(const Pool& op) {
    const bool max = op.kind == Pool::Kind::max;
    require(max || op.window.dilation == Pair{}, "averages over a dilated window, which operator set 13 does not have");
    auto& node = layer(max ? "MaxPool" : "AveragePool", {in()});
    Window window = op.window;
    const Pair &kernel = window.kernel, &stride = window.stride;
    Padding& p = window.padding;
    // Runtimes refuse padding of a whole window and more; behind the image rounding the size up does the same.
    if (p.bottom >= kernel.height || p.right >= kernel.width || p.top >= kernel.height || p.left >= kernel.width) {
      const Extent &from = in_extent(), &to = out_extent();
      const bool found =
          p.top < kernel.height && p.left < kernel.width && !op.count_padding &&
          rounds_up(from.height + p.top, kernel.height, stride.height, window.dilation.height, to.height, p.bottom) &&
          rounds_up(from.width + p.left, kernel.width, stride.width, window.dilation.width, to.width, p.right);
      require(found, "pads by a whole window or more, which runtimes refuse; pad by less, or with a layer of its own");
      set(node, "ceil_mode", std::int64_t{1});
    }
    set_window(node, window);
    if (op.count_padding) set(node, "count_include_pad", std::int64_t{1});
  }
  /// Sets the padding behind `size` (the image and the padding before it) to one below the window that makes `out` where
  /// the number of windows is rounded up; false where there is none.
  static bool rounds_up(std::size_t size, std::size_t kernel, std::size_t stride, std::size_t dilation, std::size_t out,
                        std::size_t& after) {
    const std::size_t reach = (kernel - 1) * dilation + 1;
    for (after = 0; after != kernel; ++after) {
      if (size + after < reach) continue;
      std::size_t count = (size + after - reach + stride - 1) / stride + 1;
      if ((count - 1) * stride >= size) --count;
      if (count == out) return true;
    }
    return false;
  }
  void write(const GlobalAveragePool&) {
    if (!out_extent().vector) {
      layer("GlobalAveragePool", {in()});
      return;
    }
    auto& node = layer("ReduceMean", {in()});
    set(node, "axes", Integers{2, 3});
    set(node, "keepdims", std::int64_t{0});
  }
  void write(const Pad& op) {
    const Padding& p = op.padding;
    require(!in_extent().vector, "pads a vector, which is not supported");
    const std::string pads =
        integers(node_->name + ":pads", {0, 0, number(p.top), number(p.left), 0, 0, number(p.bottom), number(p.right)});
    layer("Pad", {in(), pads, real(node_->name + ":value", op.value)});
  }
  void write(const Reshape& op) {
    const Extent &from = in_extent(), &to = out_extent();
    std::string source = in();
    const bool last = !op.channels_first;
    if (last && pixels(from)) {
      source = fresh(node_->name + ":channels_last");
      set(add("Transpose", fresh_node(node_->name + ":to_channels_last"), {in()}, source), "perm",
          Integers{0, 2, 3, 1});
    }
    if (to.vector || !last || !pixels(to)) {
      const Integers shape =
          to.vector ? Integers{0, -1} : Integers{0, number(to.channels), number(to.height), number(to.width)};
      layer("Reshape", {source, integers(node_->name + ":shape", shape)});
      return;
    }
    const std::string image = fresh(node_->name + ":image");
    add("Reshape", node_->name,
        {source, integers(node_->name + ":shape", {0, number(to.height), number(to.width), number(to.channels)})},
        image);
    set(add("Transpose", fresh_node(node_->name + ":to_channels_first"), {image}, target_), "perm",
        Integers{0, 3, 1, 2});
  }
  void write(const Resize& op) {
    const Extent &from = in_extent(), &to = out_extent();
    const bool nearest = op.kind == Resize::Kind::nearest;
    const std::optional<Resize> found = nearest ? nearest_in_float(op, from, to) : op;
    std::vector<std::string> inputs{in(), ""};
    if (found) {
      const std::vector<float> scales{1.0F, 1.0F, scale(from.height, to.height), scale(from.width, to.width)};
      inputs.push_back(constant(node_->name + ":scales", TensorProto::FLOAT, {4}, scales));
    } else {
      inputs.insert(inputs.end(), {"", sizes(to)});
    }
    auto& node = layer("Resize", inputs);
    set(node, "mode", nearest ? "nearest" : "linear");
    const Resize written = found.value_or(op);
    static constexpr const char* coordinates[]{"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"};
    static constexpr const char* pixels[]{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    set(node, "coordinate_transformation_mode", coordinates[static_cast<std::size_t>(written.coordinates)]);
    if (nearest) set(node, "nearest_mode", pixels[static_cast<std::size_t>(written.pixel)]);
  }
  /// The sizes of the images behind the number of them that the input has: their ratio is nearer to the true one than a
  /// scale that must not be below it.
  std::string sizes(const Extent& to) {
    const std::string& name = node_->name;
    const std::string shape = fresh(name + ":shape"), kept = fresh(name + ":kept"), result = fresh(name + ":sizes");
    add("Shape", fresh_node(shape), {in()}, shape);
    add("Slice", fresh_node(kept), {shape, integers(name + ":first", {0}), integers(name + ":second", {2})}, kept);
    set(add("Concat", fresh_node(result), {kept, integers(name + ":extents", {number(to.height), number(to.width)})},
            result),
        "axis", std::int64_t{0});
    return result;
  }
  /// Sizes would fix the batch, or take nodes to compute. A scale has to give the size when its product, in float or in double, is rounded down.
  static float scale(std::size_t in, std::size_t out) {
    float s = static_cast<float>(out) / static_cast<float>(in);
    while (std::floor(static_cast<double>(s) * static_cast<double>(in)) < static_cast<double>(out))
      s = std::nextafter(s, s + 1.0F);
    return s;
  }
  /// The same pixels by a mode for which the runtimes' arithmetic in float finds them too: a place that should be just
  /// on the border between two pixels may be rounded to either side of it. Nothing where there is none.
  static std::optional<Resize> nearest_in_float(const Resize& op, const Extent& from, const Extent& to) {
    const auto finds = [&](const Resize& by, std::size_t in, std::size_t out) {
      for (std::size_t i = 0; i != out; ++i) {
        const std::size_t wanted = nearest_sample(i, in, out, op.coordinates, op.pixel);
        if (nearest_sample(i, in, out, by.coordinates, by.pixel) != wanted) return false;
        for (const bool divides : {true, false})
          if (pixel_in_float(i, in, out, by, divides) != wanted) return false;
      }
      return true;
    };
    const auto everywhere = [&](const Resize& by) {
      return finds(by, from.height, to.height) && finds(by, from.width, to.width);
    };
    if (everywhere(op)) return op;
    using enum ResizeCoordinates;
    for (const ResizeCoordinates coordinates : {half_pixel, asymmetric, align_corners, pytorch_half_pixel})
      for (const NearestPixel pixel : {NearestPixel::round_prefer_floor, NearestPixel::round_prefer_ceil,
                                       NearestPixel::floor, NearestPixel::ceil}) {
        Resize by = op;
        by.coordinates = coordinates, by.pixel = pixel;
        if (everywhere(by)) return by;
      }
    return std::nullopt;
  }
  /// As a runtime finds it that divides by the scale, or multiplies with its inverse.
  static std::size_t pixel_in_float(std::size_t at, std::size_t in, std::size_t out, const Resize& by, bool divides) {
    const auto real = [](std::size_t n) { return static_cast<float>(n); };
    const bool corners = by.coordinates == ResizeCoordinates::align_corners;
    const float half = corners || by.coordinates == ResizeCoordinates::asymmetric ? 0.0F : 0.5F, i = real(at) + half;
    float place = (divides ? i / scale(in, out) : i * (real(in) / real(out))) - half;
    if (corners) place = real(at) * real(in - 1) / real(std::max(out, std::size_t{2}) - 1);
    if (out == 1 && by.coordinates == ResizeCoordinates::pytorch_half_pixel) place = 0.0F;
    const float pixel = by.pixel == NearestPixel::floor                ? std::floor(place)
                        : by.pixel == NearestPixel::ceil               ? std::ceil(place)
                        : by.pixel == NearestPixel::round_prefer_floor ? std::ceil(place - 0.5F)
                                                                       : std::floor(place + 0.5F);
    return static_cast<std::size_t>(std::clamp(pixel, 0.0F, real(in - 1)));
  }
  void write(const Softmax&) { set(layer("Softmax", {in()}), "axis", std::int64_t{1}); }
  void write(const ClampLayer& op) {
    if (op.clamp.active())
      write_clamp(node_->name, in(), op.clamp, target_);
    else
      layer("Identity", {in()});
  }
  void write(const HardSwish&) {
    operator_set_ = 14;
    layer("HardSwish", {in()});
  }
  void write(const HardSigmoid& op) {
    auto& node = layer("HardSigmoid", {in()});
    set(node, "alpha", op.slope);
    set(node, "beta", op.intercept);
  }
  void write(const Sigmoid&) { layer("Sigmoid", {in()}); }

  // ---- operators over any view of their elements ----

  std::string made(const char* type, const std::string& suffix, const std::vector<std::string>& inputs) {
    const std::string result = fresh(node_->name + suffix);
    add(type, fresh_node(node_->name + suffix), inputs, result);
    return result;
  }
  /// A value with its elements in the stored order, [N, sizes...].
  std::string in_view(std::size_t i, const Integers& sizes) { return view_of(in(i), in_extent(i), sizes); }
  std::string view_of(const std::string& tensor, const Extent& e, const Integers& sizes) {
    std::string source = tensor;
    if (pixels(e)) {
      source = fresh(tensor + ":channels_last");
      set(add("Transpose", fresh_node(tensor + ":to_channels_last"), {tensor}, source), "perm", Integers{0, 2, 3, 1});
    }
    Integers shape{0};
    shape.insert(shape.end(), sizes.begin(), sizes.end());
    const std::string result = fresh(tensor + ":view");
    add("Reshape", fresh_node(tensor + ":to_view"), {source, integers(tensor + ":view:shape", shape)}, result);
    return result;
  }
  /// The other way round: elements in the stored order, [N, ...], become a tensor of an extent as files have it.
  void from_view(const std::string& source, const Extent& e, const std::string& target) {
    const auto shape = [&](const Integers& sizes) { return integers(target + ":shape", sizes); };
    if (!pixels(e)) {
      add("Reshape", fresh_node(target + ":from_view"),
          {source, shape(e.vector ? Integers{0, -1} : Integers{0, number(e.channels), 1, 1})}, target);
      return;
    }
    const std::string image = fresh(target + ":image");
    add("Reshape", fresh_node(target + ":from_view"),
        {source, shape({0, number(e.height), number(e.width), number(e.channels)})}, image);
    set(add("Transpose", fresh_node(target + ":to_channels_first"), {image}, target), "perm",
        Integers{0, 3, 1, 2});
  }
  /// An input in the form that the output has.
  std::string in_form_of_output(std::size_t i) {
    if (in_extent(i) == out_extent()) return in(i);
    std::string result = fresh(node_->name + ":operand" + std::to_string(i));
    from_view(in_view(i, {-1}), out_extent(), result);
    return result;
  }
  /// Numbers given in the stored order, in that of the file.
  std::vector<float> in_file_order(const std::vector<float>& values, const Extent& e) const {
    if (!pixels(e)) return values;
    std::vector<float> turned(values.size());
    const std::size_t area = e.height * e.width;
    for (std::size_t i = 0; i != values.size(); ++i) turned[i % e.channels * area + i / e.channels] = values[i];
    return turned;
  }
  static Integers file_dims(const Extent& e, std::int64_t batch) {
    if (e.vector) return {batch, number(e.channels)};
    return {batch, number(e.channels), number(e.height), number(e.width)};
  }

  void write(const View& op) {
    if (node_->inputs[0] == graph_.input && graph_.inputs.size() > 1) {
      for (const Port& port : graph_.inputs)
        if (port.offset == op.offset) return from_port(port, port.name, out_extent(), target_);
      require(false, "reads a part of the inputs that is none of them");
    }
    // A permutation of axes, where it is one; else elements by their numbers.
    std::vector<std::size_t> order(op.sizes.size());
    for (std::size_t i = 0; i != order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return op.strides[a] > op.strides[b]; });
    std::int64_t step = number(in_extent().size());
    bool permutes = op.offset == 0;
    Integers sizes, turn{0};
    for (const std::size_t axis : order) {
      permutes = permutes && op.strides[axis] > 0 && op.strides[axis] * number(op.sizes[axis]) == step;
      step = op.strides[axis];
      sizes.push_back(number(op.sizes[axis]));
    }
    permutes = permutes && step == 1;
    for (std::size_t axis = 0; axis != order.size(); ++axis)
      turn.push_back(std::find(order.begin(), order.end(), axis) - order.begin() + 1);
    if (permutes) {
      const std::string turned = fresh(node_->name + ":turned");
      set(add("Transpose", node_->name, {in_view(0, sizes)}, turned), "perm", turn);
      return from_view(turned, out_extent(), target_);
    }
    Integers places(out_extent().size());
    op.for_each([&](std::size_t from, std::size_t to) { places[to] = number(from); });
    const std::string picked = fresh(node_->name + ":picked");
    set(add("Gather", node_->name, {in_view(0, {-1}), integers(node_->name + ":places", places)}, picked), "axis",
        std::int64_t{1});
    from_view(picked, out_extent(), target_);
  }
  void write(const Gather& op) {
    const Integers indices{op.indices.begin(), op.indices.end()};
    const std::string picked = fresh(node_->name + ":picked");
    set(add("Gather", node_->name,
            {in_view(0, {-1, number(op.axis), number(op.inner)}), integers(node_->name + ":indices", indices)}, picked),
        "axis", std::int64_t{2});
    from_view(picked, out_extent(), target_);
  }
  void write(const Function& op) {
    using N = Function::Name;
    const std::string& x = in();
    const auto value = [&](const char* suffix, float v) { return real(node_->name + suffix, v); };
    switch (op.name) {
      case N::leaky_relu:
        return set(layer("LeakyRelu", {x}), "alpha", op.a);
      case N::elu:
        return set(layer("Elu", {x}), "alpha", op.a);
      case N::celu:
        return set(layer("Celu", {x}), "alpha", op.a);
      case N::thresholded_relu:
        return set(layer("ThresholdedRelu", {x}), "alpha", op.a);
      case N::selu: {
        auto& node = layer("Selu", {x});
        set(node, "alpha", op.a);
        return set(node, "gamma", op.b);
      }
      case N::silu:
        return static_cast<void>(layer("Mul", {x, made("Sigmoid", ":sigmoid", {x})}));
      case N::mish:
        return static_cast<void>(layer("Mul", {x, made("Tanh", ":tanh", {made("Softplus", ":softplus", {x})})}));
      case N::gelu:
      case N::gelu_tanh: {
        std::string inner = x;
        if (op.name == N::gelu_tanh) {
          const std::string cube = made("Mul", ":cube", {made("Mul", ":square", {x, x}), x});
          inner = made("Add", ":sum", {x, made("Mul", ":part", {cube, value(":factor", 0.044715F)})});
        }
        const bool tanh = op.name == N::gelu_tanh;
        const std::string scaled = made("Mul", ":scaled", {inner, value(":scale", tanh ? 0.7978845608F : 0.7071067812F)});
        const std::string raised =
            made("Add", ":raised", {made(tanh ? "Tanh" : "Erf", ":bent", {scaled}), value(":one", 1.0F)});
        return static_cast<void>(layer("Mul", {x, made("Mul", ":half", {raised, value(":half:value", 0.5F)})}));
      }
      case N::square:
        return static_cast<void>(layer("Mul", {x, x}));
      case N::pow:
        return static_cast<void>(layer("Pow", {x, value(":exponent", op.a)}));
      case N::logical_not:
        return cast_to_real(made("Equal", ":is_zero", {x, value(":zero", 0.0F)}));
      case N::softplus:
        return static_cast<void>(layer("Softplus", {x}));
      case N::softsign:
        return static_cast<void>(layer("Softsign", {x}));
      case N::tanh:
        return static_cast<void>(layer("Tanh", {x}));
      case N::erf:
        return static_cast<void>(layer("Erf", {x}));
      case N::exp:
        return static_cast<void>(layer("Exp", {x}));
      case N::log:
        return static_cast<void>(layer("Log", {x}));
      case N::sqrt:
        return static_cast<void>(layer("Sqrt", {x}));
      case N::reciprocal:
        return static_cast<void>(layer("Reciprocal", {x}));
      case N::abs:
        return static_cast<void>(layer("Abs", {x}));
      case N::sin:
        return static_cast<void>(layer("Sin", {x}));
      case N::cos:
        return static_cast<void>(layer("Cos", {x}));
      case N::floor:
        return static_cast<void>(layer("Floor", {x}));
      case N::ceil:
        return static_cast<void>(layer("Ceil", {x}));
      case N::round:
        return static_cast<void>(layer("Round", {x}));
      case N::sign:
        return static_cast<void>(layer("Sign", {x}));
    }
  }
  void cast_to_real(const std::string& truth) {
    set(layer("Cast", {truth}), "to", std::int64_t{TensorProto::FLOAT});
  }
  std::string truth_of(const std::string& x, const std::string& suffix) {
    const std::string result = fresh(node_->name + suffix);
    set(add("Cast", fresh_node(node_->name + suffix), {x}, result), "to", std::int64_t{TensorProto::BOOL});
    return result;
  }
  void write(const PRelu& op) {
    const Extent& e = out_extent();
    std::vector<float> slopes = op.slopes;
    if (slopes.size() == e.channels)
      return static_cast<void>(layer("PRelu", {in(), constant(node_->name + ":slopes", TensorProto::FLOAT,
                                                              e.vector ? Integers{number(e.channels)}
                                                                       : Integers{number(e.channels), 1, 1},
                                                              slopes)}));
    for (std::size_t i = slopes.size(); i < e.size(); ++i) slopes.push_back(slopes[i - op.slopes.size()]);
    layer("PRelu", {in(), constant(node_->name + ":slopes", TensorProto::FLOAT, file_dims(e, 1), in_file_order(slopes, e))});
  }
  void write(const Binary& op) {
    using N = Binary::Name;
    const std::string a = in_form_of_output(0), b = in_form_of_output(1);
    switch (op.name) {
      case N::subtract:
        return static_cast<void>(layer("Sub", {a, b}));
      case N::divide:
        return static_cast<void>(layer("Div", {a, b}));
      case N::maximum:
        return static_cast<void>(layer("Max", {a, b}));
      case N::minimum:
        return static_cast<void>(layer("Min", {a, b}));
      case N::pow:
        return static_cast<void>(layer("Pow", {a, b}));
      case N::equal:
        return cast_to_real(made("Equal", ":test", {a, b}));
      case N::less:
        return cast_to_real(made("Less", ":test", {a, b}));
      case N::greater:
        return cast_to_real(made("Greater", ":test", {a, b}));
      case N::logical_and:
        return cast_to_real(made("And", ":test", {truth_of(a, ":first"), truth_of(b, ":second")}));
      case N::logical_or:
        return cast_to_real(made("Or", ":test", {truth_of(a, ":first"), truth_of(b, ":second")}));
    }
  }
  void write(const Where&) {
    layer("Where", {truth_of(in_form_of_output(0), ":condition"), in_form_of_output(1), in_form_of_output(2)});
  }
  void write(const fat::Constant& op) {
    const Extent& e = out_extent();
    const std::string values =
        constant(node_->name + ":values", TensorProto::FLOAT, file_dims(e, 1), in_file_order(op.values, e));
    layer("Identity", {values});
  }
  void write(const Normalize& op) {
    const std::string x = in_view(0, {-1, number(op.axis), number(op.inner)});
    const auto mean = [&](const std::string& of, const char* suffix) {
      const std::string result = fresh(node_->name + suffix);
      set(add("ReduceMean", fresh_node(node_->name + suffix), {of}, result), "axes", Integers{2});
      return result;
    };
    std::string result = fresh(node_->name + ":quotient");
    if (op.method == Normalize::Method::l2) {
      const std::string norm = fresh(node_->name + ":norm");
      set(add("ReduceL2", fresh_node(node_->name + ":norm"), {x}, norm), "axes", Integers{2});
      add("Div", node_->name, {x, made("Max", ":least", {norm, real(node_->name + ":epsilon", op.epsilon)})}, result);
    } else {
      const std::string centred =
          op.method == Normalize::Method::standard ? made("Sub", ":centred", {x, mean(x, ":mean")}) : x;
      const std::string variance = mean(made("Mul", ":squares", {centred, centred}), ":variance");
      const std::string root =
          made("Sqrt", ":root", {made("Add", ":sum", {variance, real(node_->name + ":epsilon", op.epsilon)})});
      add("Div", node_->name, {centred, root}, result);
    }
    from_view(result, out_extent(), target_);
  }
  void write(const MatMul&) {
    const auto matrices = [&](std::size_t i) {
      const Extent& e = in_extent(i);
      return in_view(i, {number(e.height), number(e.width), number(e.channels)});
    };
    const std::string product = fresh(node_->name + ":product");
    add("MatMul", node_->name, {matrices(0), matrices(1)}, product);
    from_view(product, out_extent(), target_);
  }
  void write(const JoinedOutputs&) { require(false, "joins outputs that are not the network's"); }

  // ---- inputs and outputs as the file has them ----

  void describe(::onnx::ValueInfoProto& info, const Port& port) const {
    info.set_name(port.name);
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(TensorProto::FLOAT);
    auto& shape = *type.mutable_shape();
    for (std::size_t i = 0; i != port.dims.size(); ++i) {
      if (i == 0 && port.dims[i] == 1)
        shape.add_dim()->set_dim_param("N");
      else
        shape.add_dim()->set_dim_value(number(port.dims[i]));
    }
  }
  static Integers shape_of(const Port& port) {
    Integers dims{port.dims.begin(), port.dims.end()};
    if (!dims.empty() && dims[0] == 1) dims[0] = 0;
    return dims;
  }
  /// A tensor of the port's shape as one of the value's.
  void from_port(const Port& port, const std::string& source, const Extent& e, const std::string& target) {
    if (port.channels_first) {
      add("Identity", fresh_node(target + ":identity"), {source}, target);
      return;
    }
    std::string flat = source;
    if (port.dims.empty() || port.dims[0] != 1) {
      flat = fresh(source + ":one");
      add("Reshape", fresh_node(source + ":to_one"), {source, integers(source + ":one:shape", {1, -1})}, flat);
    }
    from_view(flat, e, target);
  }
  void to_port(const Port& port, const std::string& source, const Extent& e) {
    describe(*out_->add_output(), port);
    if (port.channels_first) {
      add("Identity", fresh_node(port.name + ":identity"), {source}, port.name);
      return;
    }
    const std::string flat = view_of(source, e, {-1});
    add("Reshape", fresh_node(port.name + ":reshape"), {flat, integers(port.name + ":shape", shape_of(port))}, port.name);
  }

  const QuantizedModel& model_;
  const Model& graph_;
  Profile profile_;
  ::onnx::ModelProto file_;
  ::onnx::GraphProto* out_ = nullptr;
  std::int64_t operator_set_ = 13;
  std::unordered_set<std::string> names_;  ///< of tensors
  std::unordered_set<std::string> node_names_;
  std::vector<std::string> tensors_;  ///< by value: the tensor that readers read
  std::vector<std::string> codes_;    ///< by value: its codes
  std::size_t index_ = 0;
  const Node* node_ = nullptr;
  std::string target_;
};

}  // namespace

std::string write(const QuantizedModel& model, Profile profile) {
  if (model.graph.inputs.empty() && model.graph.outputs.empty()) return Exporter{model, profile}.run();
  // The names of inputs and outputs belong to the tensors of the file; values inside make room.
  QuantizedModel renamed = model;
  std::unordered_set<std::string> taken;
  for (const auto* ports : {&model.graph.inputs, &model.graph.outputs})
    for (const Port& port : *ports) taken.insert(port.name);
  std::unordered_set<std::string> names = taken;
  for (const Value& value : model.graph.values) names.insert(value.name);
  for (Value& value : renamed.graph.values)
    if (taken.contains(value.name)) {
      std::string name = value.name + ":inner";
      for (int again = 2; !names.insert(name).second; ++again) name = value.name + ":inner/" + std::to_string(again);
      value.name = name;
    }
  return Exporter{renamed, profile}.run();
}

void save(const QuantizedModel& model, const std::string& path, Profile profile) {
  write_file_atomically(path, write(model, profile));
}

}  // namespace fat::inline FAT_ABI::onnx
