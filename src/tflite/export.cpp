// From a QuantizedModel to an int8 TensorFlow Lite file.
#include "schema_generated.h"

#include <fat/io/file.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/encodings.hpp>
#include <fat/model/integer_stage.hpp>
#include <fat/model/simulation_model.hpp>
#include <fat/model/sums.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "operators.hpp"

namespace fat::inline FAT_ABI::tflite {
namespace {

namespace schema = ::fat::tflite_schema;
using schema::ActivationFunctionType;
using schema::TensorType;

// uint8 activations are written as int8: the same reals, codes and zero point lower by 128.
ActivationEncoding as_int8(ActivationEncoding encoding) {
  if (encoding.is_signed()) return encoding;
  encoding.zero_point -= 128;
  encoding.code_min -= 128;
  encoding.code_max -= 128;
  return encoding;
}

class Exporter {
 public:
  explicit Exporter(const QuantizedModel& model) : model_(model), graph_(model.graph) {
    validate(model);
    expect_sums_fit(model, "tflite");
    for (std::size_t value = 0; value != graph_.values.size(); ++value) check_activation(value);
    buffers_.push_back(schema::CreateBuffer(builder_));  // buffer 0 is empty by convention
  }

  std::string run() {
    const std::int32_t input = border_tensor(graph_.input);
    for (std::size_t node = 0; node != graph_.nodes.size(); ++node) add_node(node);
    const std::int32_t output = border_tensor(graph_.output);
    const auto graph = schema::CreateSubGraph(builder_, builder_.CreateVector(tensors_), builder_.CreateVector({input}),
                                              builder_.CreateVector({output}), builder_.CreateVector(operators_),
                                              builder_.CreateString("main"));
    const std::string_view how = name_of(model_.requantize);
    const std::vector metadata{
        schema::CreateMetadata(builder_, builder_.CreateString("min_runtime_version"), add_buffer(runtime_version())),
        schema::CreateMetadata(builder_, builder_.CreateString("fat.requantize"),
                               add_buffer(std::vector<char>(how.begin(), how.end())))};
    schema::FinishModelBuffer(
        builder_, schema::CreateModel(builder_, 3, builder_.CreateVector(codes_), builder_.CreateVector({graph}),
                                      builder_.CreateString("int8 model written by fat"),
                                      builder_.CreateVector(buffers_), 0, builder_.CreateVector(metadata)));
    return {reinterpret_cast<const char*>(builder_.GetBufferPointer()), builder_.GetSize()};
  }

 private:
  template <class T>
  using Offset = flatbuffers::Offset<T>;

  /// The first release that knows every operator written, in the 16 bytes that the entry has.
  std::string runtime_version() const {
    Release least{1, 5, 0};
    for (const auto& [written, index] : code_index_)
      least = std::max(least, first_release(written.first, written.second));
    std::string text = std::to_string(least[0]) + "." + std::to_string(least[1]) + "." + std::to_string(least[2]);
    text.resize(16, '\0');
    return text;
  }

  template <class... Parts>
  void require(bool ok, std::size_t node, const Parts&... parts) const {
    if (!ok) [[unlikely]]
      fail("tflite: layer '", std::string_view{graph_.nodes[node].name}, "' ", parts...);
  }

  void check_activation(ValueId value) const {
    const auto& encoding = model_.activations[value];
    if (!encoding.has_value()) return;
    const bool full = encoding->code_max - encoding->code_min == 255;
    const bool narrow = encoding->code_min == -127 && encoding->code_max == 127;
    expects(encoding->bits == 8 && (full || narrow), "tflite: activation '",
            std::string_view{graph_.values[value].name}, "' has codes ", encoding->code_min, "..", encoding->code_max,
            "; the format has 8-bit activations only, quantize with --activation-bits 8");
  }

  // ---- buffers and tensors ----

  template <class Bytes>
  std::uint32_t add_buffer(const Bytes& values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    const std::size_t count = values.size() * sizeof(*values.data());
    builder_.ForceVectorAlignment(count, sizeof(std::uint8_t), 16);
    buffers_.push_back(schema::CreateBuffer(builder_, builder_.CreateVector(bytes, count)));
    return static_cast<std::uint32_t>(buffers_.size() - 1);
  }

  std::int32_t add_tensor(const std::vector<std::int32_t>& shape, TensorType type, std::uint32_t buffer,
                          const std::string& name, Offset<schema::QuantizationParameters> encoding = 0) {
    Offset<flatbuffers::Vector<std::int32_t>> signature = 0;
    if (buffer == 0) {
      std::vector<std::int32_t> open = shape;
      open[0] = -1;
      signature = builder_.CreateVector(open);
    }
    tensors_.push_back(schema::CreateTensor(builder_, builder_.CreateVector(shape), type, buffer,
                                            builder_.CreateString(name), encoding, false, signature));
    return static_cast<std::int32_t>(tensors_.size() - 1);
  }

  std::vector<std::int32_t> shape_of(const Extent& extent) const {
    const auto number = [](std::size_t n) { return static_cast<std::int32_t>(n); };
    if (extent.vector) return {1, number(extent.channels)};
    return {1, number(extent.height), number(extent.width), number(extent.channels)};
  }

  std::int32_t int8_tensor(const Extent& extent, const ActivationEncoding& encoding, const std::string& name) {
    const ActivationEncoding stored = as_int8(encoding);
    Offset<flatbuffers::Vector<float>> low = 0;
    Offset<flatbuffers::Vector<float>> high = 0;
    if (stored.code_min == -127) {
      ActivationEncoding full = stored;
      full.code_min = -128;
      low = builder_.CreateVector(std::vector<float>{narrow_from_minimum(full)});
      high = builder_.CreateVector(std::vector<float>{stored.step * static_cast<float>(127 - stored.zero_point)});
    }
    return add_tensor(shape_of(extent), TensorType::INT8, 0, name,
                      schema::CreateQuantizationParameters(
                          builder_, low, high, builder_.CreateVector(std::vector<float>{stored.step}),
                          builder_.CreateVector(std::vector<std::int64_t>{stored.zero_point})));
  }

  // Every value has an int8 tensor, a float tensor, or both with a conversion between them, made when first asked for.
  std::int32_t tensor_of(ValueId value, bool as_float) {
    auto& known = as_float ? float_tensors_ : int8_tensors_;
    if (const auto found = known.find(value); found != known.end()) return found->second;
    const Value& item = graph_.values[value];
    expects(as_float || model_.activations[value].has_value(), "tflite: '", std::string_view{item.name},
            "' is float but an integer layer reads it; keep that layer in float too");
    const auto& encoding = model_.activations[value];
    const auto& other = as_float ? int8_tensors_ : float_tensors_;
    const auto source = other.find(value);
    const std::string name = source == other.end() ? item.name : item.name + (as_float ? ":float" : ":int8");
    const std::int32_t tensor = as_float ? add_tensor(shape_of(item.extent), TensorType::FLOAT32, 0, name)
                                         : int8_tensor(item.extent, *encoding, name);
    known.emplace(value, tensor);
    if (source != other.end()) convert(source->second, tensor, as_float);
    return tensor;
  }

  void convert(std::int32_t from, std::int32_t to, bool to_float) {
    if (to_float)
      add_operator(OperatorCode::dequantize, 2, {from}, {to}, schema::CreateDequantizeOptions(builder_));
    else
      add_operator(OperatorCode::quantize, 1, {from}, {to}, schema::CreateQuantizeOptions(builder_));
  }

  bool is_float(ValueId value) const { return !model_.activations[value].has_value(); }
  std::int32_t border_tensor(ValueId value) { return tensor_of(value, is_float(value)); }

  // ---- operators ----

  template <class Options>
  void add_operator(OperatorCode code, std::int32_t version, const std::vector<std::int32_t>& inputs,
                    const std::vector<std::int32_t>& outputs, Offset<Options> options) {
    const auto key = std::pair{code, version};
    const auto found = code_index_.find(key);
    const auto index = found != code_index_.end() ? found->second : static_cast<std::uint32_t>(codes_.size());
    if (found == code_index_.end()) {
      code_index_.emplace(key, index);
      const auto number = static_cast<std::int32_t>(code);
      codes_.push_back(schema::CreateOperatorCode(
          builder_, static_cast<std::int8_t>(std::min(number, largest_old_code)), 0, version, number));
    }
    const auto type = schema::BuiltinOptionsTraits<Options>::enum_value;
    operators_.push_back(schema::CreateOperator(builder_, index, builder_.CreateVector(inputs),
                                                builder_.CreateVector(outputs), type, options.Union()));
  }
  void add_plain_operator(OperatorCode code, std::int32_t version, const std::vector<std::int32_t>& inputs,
                          const std::vector<std::int32_t>& outputs) {
    add_operator(code, version, inputs, outputs, Offset<NoOptions>{});
  }
  struct NoOptions {};

  // What a float layer makes of a quantized tensor passes a QUANTIZE, also for readers in float.
  void add_node(std::size_t node) {
    real_.reset();
    std::visit([&](const auto& layer) { add(node, layer); }, graph_.nodes[node].op);
    if (real_.has_value()) convert(*real_, tensor_of(node_at(node).output, false), false);
  }

  const Node& node_at(std::size_t node) const { return graph_.nodes[node]; }
  const Extent& out_extent(std::size_t node) const { return graph_.extent(node_at(node).output); }
  const Extent& in_extent(std::size_t node) const { return graph_.extent(node_at(node).inputs[0]); }
  // As in the integer engine: a layer that touches a float tensor, or has float weights, runs in float.
  bool float_node(std::size_t node) const {
    const std::vector<ValueId>& inputs = node_at(node).inputs;
    const bool weighted = with_weighted(node_at(node).op, [](const auto&) {});
    return is_float(node_at(node).output) || (weighted && !model_.weights[node].has_value()) ||
           std::any_of(inputs.begin(), inputs.end(), [this](ValueId input) { return is_float(input); });
  }
  std::int32_t in(std::size_t node, std::size_t position = 0) {
    return tensor_of(node_at(node).inputs[position], float_node(node));
  }
  std::int32_t out(std::size_t node) {
    const ValueId value = node_at(node).output;
    if (!float_node(node) || is_float(value)) return tensor_of(value, float_node(node));
    const Value& item = graph_.values[value];
    real_ = add_tensor(shape_of(item.extent), TensorType::FLOAT32, 0, item.name + ":real");
    return *real_;
  }
  // Operator versions: the first one that knows int8; float operators are older.
  std::int32_t version(std::size_t node, std::int32_t integer_version) const {
    return float_node(node) ? 1 : integer_version;
  }

  // Whether the lower and the upper bound of a clamp cut off codes of the output.
  std::pair<bool, bool> cuts(std::size_t node, const Clamp& clamp) const {
    const auto& encoding = model_.activations[node_at(node).output];
    const bool low = clamp.low > -std::numeric_limits<float>::infinity();
    const bool high = clamp.high < std::numeric_limits<float>::infinity();
    if (!encoding.has_value()) return {low, high};
    const auto code = [&](float real) {
      return encoding->zero_point + std::round(static_cast<double>(real) / encoding->step);
    };
    return {low && code(clamp.low) > encoding->code_min, high && code(clamp.high) < encoding->code_max};
  }

  // The fused activation that does the clamp. One that the format does not have is left out where the codes do it
  // anyway.
  ActivationFunctionType activation(std::size_t node, const Clamp& clamp) const {
    if (!clamp.active()) return ActivationFunctionType::NONE;
    if (clamp == relu) return ActivationFunctionType::RELU;
    if (clamp == relu6) return ActivationFunctionType::RELU6;
    if (clamp == Clamp{-1.0F, 1.0F}) return ActivationFunctionType::RELU_N1_TO_1;
    const auto& encoding = model_.activations[node_at(node).output];
    const auto [low, high] = cuts(node, clamp);
    if (!low && !high) return ActivationFunctionType::NONE;
    if (clamp.low == 0.0F && !high) return ActivationFunctionType::RELU;
    const bool nothing_negative = encoding.has_value() && encoding->code_min == encoding->zero_point;
    if (clamp.high == 6.0F && !low && nothing_negative) return ActivationFunctionType::RELU6;
    require(false, node, "clamps to ", clamp.low, "..", clamp.high,
            ", which the format does not have; keep to ReLU, ReLU6 or -1..1, as a layer of its own also 0..1");
    return ActivationFunctionType::NONE;
  }

  // SAME or VALID where the window's padding is one of them.
  std::optional<schema::Padding> padding_of(std::size_t node, const Window& window) const {
    const auto total = [](std::size_t extent, std::size_t kernel, std::size_t stride, std::size_t dilation) {
      const std::size_t reach = ((extent + stride - 1) / stride - 1) * stride + (kernel - 1) * dilation + 1;
      return reach > extent ? reach - extent : 0;
    };
    const Extent& extent = in_extent(node);
    const std::size_t rows = total(extent.height, window.kernel.height, window.stride.height, window.dilation.height);
    const std::size_t columns = total(extent.width, window.kernel.width, window.stride.width, window.dilation.width);
    const Padding same{rows / 2, columns / 2, rows - rows / 2, columns - columns / 2};
    if (window.padding == same) return schema::Padding::SAME;
    if (window.padding == Padding{}) return schema::Padding::VALID;
    return std::nullopt;
  }
  // The same, or the tensor behind an explicit PAD and VALID.
  std::pair<std::int32_t, schema::Padding> padded(std::size_t node, const Window& window, std::int32_t tensor) {
    if (const auto known = padding_of(node, window); known.has_value()) return {tensor, *known};
    return {add_pad(node, tensor, window.padding), schema::Padding::VALID};
  }

  // Another tensor with the values of the node's first input.
  std::int32_t input_tensor(std::size_t node, const Extent& extent, const char* suffix) {
    const std::string name = node_at(node).name + suffix;
    return float_node(node) ? add_tensor(shape_of(extent), TensorType::FLOAT32, 0, name)
                            : int8_tensor(extent, *model_.activations[node_at(node).inputs[0]], name);
  }

  // Convolutions know images only: a vector is one pixel.
  std::int32_t as_image(std::size_t node, std::int32_t tensor) {
    Extent extent = in_extent(node);
    if (!extent.vector) return tensor;
    extent.vector = false;
    const std::int32_t target = input_tensor(node, extent, ":pixel");
    add_reshape(node, tensor, extent, target);
    return target;
  }

  void add_reshape(std::size_t node, std::int32_t from, const Extent& extent, std::int32_t to) {
    std::vector<std::int32_t> shape = shape_of(extent);
    shape[0] = -1;
    const std::int32_t constant = add_tensor({static_cast<std::int32_t>(shape.size())}, TensorType::INT32,
                                             add_buffer(shape), node_at(node).name + ":shape");
    add_operator(OperatorCode::reshape, 1, {from, constant}, {to},
                 schema::CreateReshapeOptions(builder_, builder_.CreateVector(shape)));
  }

  // `lowest`: with the least value there is, which no maximum takes, instead of 0.
  std::int32_t add_pad(std::size_t node, std::int32_t tensor, const Padding& padding, bool lowest = false) {
    Extent extent = in_extent(node);
    extent.height += padding.top + padding.bottom;
    extent.width += padding.left + padding.right;
    const std::int32_t target = input_tensor(node, extent, ":padded");
    if (lowest && (float_node(node) || as_int8(*model_.activations[node_at(node).inputs[0]]).zero_point != -128)) {
      add_operator(OperatorCode::padv2, version(node, 2), {tensor, amounts(node, padding), lowest_value(node)},
                   {target}, schema::CreatePadV2Options(builder_));
      return target;
    }
    add_operator(OperatorCode::pad, version(node, 2), {tensor, amounts(node, padding)}, {target},
                 schema::CreatePadOptions(builder_));
    return target;
  }

  std::int32_t lowest_value(std::size_t node) {
    const std::string name = node_at(node).name + ":lowest";
    if (float_node(node))
      return add_tensor({1}, TensorType::FLOAT32, add_buffer(std::vector<float>{std::numeric_limits<float>::lowest()}),
                        name);
    const ActivationEncoding stored = as_int8(*model_.activations[node_at(node).inputs[0]]);
    return add_tensor(
        {1}, TensorType::INT8, add_buffer(std::vector<std::int8_t>{-128}), name,
        schema::CreateQuantizationParameters(builder_, 0, 0, builder_.CreateVector(std::vector<float>{stored.step}),
                                             builder_.CreateVector(std::vector<std::int64_t>{stored.zero_point})));
  }

  std::int32_t amounts(std::size_t node, const Padding& padding) {
    const auto n = [](std::size_t side) { return static_cast<std::int32_t>(side); };
    const std::vector<std::int32_t> values{0, 0, n(padding.top), n(padding.bottom), n(padding.left), n(padding.right),
                                           0, 0};
    return add_tensor({4, 2}, TensorType::INT32, add_buffer(values), node_at(node).name + ":amounts");
  }

  template <class Layer>
  struct Weighted {
    std::int32_t weights;
    std::int32_t bias;
    bool per_channel;
  };

  // Weights and bias as constants: int8 codes and int32 biases, or floats for a layer that runs in float.
  template <class Layer>
  Weighted<Layer> constants(std::size_t node, const Layer& layer) {
    const std::string& name = node_at(node).name;
    const auto& encoding = model_.weights[node];
    const Shape& shape = encoding.has_value() ? encoding->codes.shape() : layer.kernel.shape();
    const std::vector<std::int32_t> extents(shape.begin(), shape.end());
    const std::size_t channels = shape[Layer::channel_axis];
    const std::vector<std::int32_t> bias_shape{static_cast<std::int32_t>(channels)};
    if (float_node(node)) {
      const auto& floats = std::get<Layer>(simulation().nodes[node].op);
      return {add_tensor(extents, TensorType::FLOAT32, add_buffer(floats.kernel), name + ":weights"),
              add_tensor(bias_shape, TensorType::FLOAT32, add_buffer(floats.offset), name + ":bias"), false};
    }
    require(
        std::all_of(encoding->zero_point.begin(), encoding->zero_point.end(), [](std::int32_t z) { return z == 0; }),
        node, "has asymmetric weights; the format wants zero points of 0, quantize with --weight-scheme symmetric");
    require(
        std::find(encoding->codes.begin(), encoding->codes.end(), std::int8_t{-128}) == encoding->codes.end(), node,
        "has a weight code of -128; the format wants -127..127, quantize the float model again with symmetric weights");
    const float in_step = model_.activations[node_at(node).inputs[0]]->step;
    const float out_step = model_.activations[node_at(node).output]->step;
    std::vector<float> bias_step;
    for (const float step : encoding->step) {
      bias_step.push_back(in_step * step);
      require(bias_step.back() >= std::numeric_limits<float>::min(), node, "has a bias step of ", in_step, " times ",
              step, ", which is 0 in float; keep it float");
      require(bias_step.back() / out_step < static_cast<float>(least_refused_multiplier), node,
              "multiplies its sums by ", bias_step.back() / out_step, ", which runtimes refuse from ",
              least_refused_multiplier, " on; quantize the float model again, or keep it float");
    }
    const auto encode = [&](const std::vector<float>& steps, std::size_t axis) {
      return schema::CreateQuantizationParameters(builder_, 0, 0, builder_.CreateVector(steps),
                                                  builder_.CreateVector(std::vector<std::int64_t>(steps.size(), 0)),
                                                  static_cast<std::int32_t>(axis));
    };
    return {add_tensor(extents, TensorType::INT8, add_buffer(encoding->codes), name + ":weights",
                       encode(encoding->step, Layer::channel_axis)),
            add_tensor(bias_shape, TensorType::INT32, add_buffer(encoding->bias), name + ":bias", encode(bias_step, 0)),
            encoding->step.size() > 1};
  }

  // The network with its codes as floats, made when a layer is first written in float.
  const Model& simulation() {
    if (!simulation_.has_value()) simulation_ = simulation_model(model_);
    return *simulation_;
  }

  static std::int32_t number(std::size_t n) { return static_cast<std::int32_t>(n); }

  void add(std::size_t node, const Convolution& layer) {
    const auto constant = constants(node, layer);
    const auto [tensor, padding] = padded(node, layer.window, as_image(node, in(node)));
    const Window& w = layer.window;
    add_operator(OperatorCode::conv_2d, version(node, layer.groups > 1 ? 6 : 3),
                 {tensor, constant.weights, constant.bias}, {out(node)},
                 schema::CreateConv2DOptions(builder_, padding, number(w.stride.width), number(w.stride.height),
                                             activation(node, layer.clamp), number(w.dilation.width),
                                             number(w.dilation.height)));
  }

  void add(std::size_t node, const DepthwiseConvolution& layer) {
    const auto constant = constants(node, layer);
    const auto [tensor, padding] = padded(node, layer.window, as_image(node, in(node)));
    const Window& w = layer.window;
    add_operator(
        OperatorCode::depthwise_conv_2d, version(node, 3), {tensor, constant.weights, constant.bias}, {out(node)},
        schema::CreateDepthwiseConv2DOptions(builder_, padding, number(w.stride.width), number(w.stride.height),
                                             number(layer.multiplier), activation(node, layer.clamp),
                                             number(w.dilation.width), number(w.dilation.height)));
  }

  void add(std::size_t node, const Dense& layer) {
    const auto constant = constants(node, layer);
    require(out_extent(node).vector, node, "makes an image; the format's FULLY_CONNECTED makes vectors");
    add_operator(OperatorCode::fully_connected, version(node, constant.per_channel ? 12 : 4),
                 {in(node), constant.weights, constant.bias}, {out(node)},
                 schema::CreateFullyConnectedOptions(builder_, activation(node, layer.clamp)));
  }

  void add(std::size_t node, const BatchNormalization&) {
    require(false, node, "is a batch normalization; fold it first");
  }

  void add(std::size_t node, const Add& layer) {
    add_operator(OperatorCode::add, version(node, 2), {in(node), in(node, 1)}, {out(node)},
                 schema::CreateAddOptions(builder_, activation(node, layer.clamp)));
  }
  void add(std::size_t node, const Multiply& layer) {
    add_operator(OperatorCode::mul, version(node, 2), {in(node), in(node, 1)}, {out(node)},
                 schema::CreateMulOptions(builder_, activation(node, layer.clamp)));
  }

  // Input `position` with the output's encoding: itself, or behind a QUANTIZE.
  std::int32_t in_same_step(std::size_t node, std::size_t position) {
    const ValueId value = node_at(node).inputs[position];
    const std::int32_t tensor = in(node, position);
    if (float_node(node)) return tensor;
    const ActivationEncoding& wanted = *model_.activations[node_at(node).output];
    const auto& given = model_.activations[value];
    if (given.has_value() && as_int8(*given) == as_int8(wanted)) return tensor;
    const std::int32_t target =
        int8_tensor(graph_.extent(value), wanted, node_at(node).name + ":input" + std::to_string(position));
    convert(tensor, target, false);
    return target;
  }

  void add(std::size_t node, const Concat& layer) {
    std::vector<std::int32_t> inputs;
    for (std::size_t position = 0; position != node_at(node).inputs.size(); ++position) {
      require(graph_.extent(node_at(node).inputs[position]).vector == out_extent(node).vector, node,
              "joins vectors and images, which the format does not have");
      inputs.push_back(in_same_step(node, position));
    }
    const std::int32_t axis = out_extent(node).vector ? 1 : number(layer.axis + 1);
    add_operator(OperatorCode::concatenation, version(node, 2), inputs, {out(node)},
                 schema::CreateConcatenationOptions(builder_, axis));
  }

  void add(std::size_t node, const Pool& layer) {
    require(layer.window.dilation == Pair{}, node, "has a dilated window, which the format does not have");
    const std::int32_t tensor = in_same_step(node, 0);
    const Window& w = layer.window;
    const bool maximum = layer.kind == Pool::Kind::max;
    const bool counted = !maximum && layer.count_padding && w.padding != Padding{};
    const schema::Padding known =
        counted ? schema::Padding::VALID : padding_of(node, w).value_or(schema::Padding::VALID);
    const bool apart = counted || !padding_of(node, w).has_value();
    require(maximum || counted || !apart, node,
            "averages without its padding, which is neither SAME nor VALID; the format does not have that");
    // Zeros that count are part of the image; so are values that no maximum takes.
    const std::int32_t source = apart ? add_pad(node, tensor, w.padding, maximum) : tensor;
    add_operator(maximum ? OperatorCode::max_pool_2d : OperatorCode::average_pool_2d, version(node, 2), {source},
                 {out(node)},
                 schema::CreatePool2DOptions(builder_, known, number(w.stride.width), number(w.stride.height),
                                             number(w.kernel.width), number(w.kernel.height)));
  }

  void add(std::size_t node, const GlobalAveragePool&) {
    const std::vector<std::int32_t> axes{1, 2};
    const std::int32_t constant = add_tensor({2}, TensorType::INT32, add_buffer(axes), node_at(node).name + ":axes");
    add_operator(OperatorCode::mean, version(node, 2), {in(node), constant}, {out(node)},
                 schema::CreateReducerOptions(builder_, !out_extent(node).vector));
  }

  void add(std::size_t node, const Pad& layer) {
    const std::int32_t tensor = in_same_step(node, 0);
    const std::int32_t sides = amounts(node, layer.padding);
    if (layer.value == 0.0F) {
      add_operator(OperatorCode::pad, version(node, 2), {tensor, sides}, {out(node)},
                   schema::CreatePadOptions(builder_));
      return;
    }
    require(float_node(node), node, "pads with ", layer.value, "; int8 models are padded with 0 only");
    const std::vector<float> value{layer.value};
    const std::int32_t constant =
        add_tensor({1}, TensorType::FLOAT32, add_buffer(value), node_at(node).name + ":value");
    add_operator(OperatorCode::padv2, 1, {tensor, sides, constant}, {out(node)}, schema::CreatePadV2Options(builder_));
  }

  void add(std::size_t node, const Reshape& layer) {
    const Extent& from = in_extent(node);
    require(!layer.channels_first || from.height * from.width == 1 || from.channels == 1, node,
            "counts elements channels first; the format counts channels last");
    add_reshape(node, in_same_step(node, 0), out_extent(node), out(node));
  }

  void add(std::size_t node, const Resize& layer) {
    const bool nearest = layer.kind == Resize::Kind::nearest;
    const ResizeCoordinates coordinates = nearest ? nearest_coordinates(node, layer) : linear_coordinates(node, layer);
    const bool corners = coordinates == ResizeCoordinates::align_corners;
    const bool half = coordinates == ResizeCoordinates::half_pixel;
    const Extent& extent = out_extent(node);
    const std::vector<std::int32_t> size{number(extent.height), number(extent.width)};
    const std::int32_t constant = add_tensor({2}, TensorType::INT32, add_buffer(size), node_at(node).name + ":size");
    const std::vector<std::int32_t> inputs{in_same_step(node, 0), constant};
    if (!nearest)
      add_operator(OperatorCode::resize_bilinear, half ? 3 : version(node, 2), inputs, {out(node)},
                   schema::CreateResizeBilinearOptions(builder_, corners, half));
    else
      add_operator(OperatorCode::resize_nearest_neighbor, half || corners ? 3 : version(node, 2), inputs, {out(node)},
                   schema::CreateResizeNearestNeighborOptions(builder_, corners, half));
  }

  ResizeCoordinates linear_coordinates(std::size_t node, const Resize& layer) const {
    if (layer.coordinates != ResizeCoordinates::pytorch_half_pixel) return layer.coordinates;
    require(out_extent(node).height > 1 && out_extent(node).width > 1, node,
            "resizes to one row or column with PyTorch's half pixels, which the format does not have");
    return ResizeCoordinates::half_pixel;
  }

  // The format's coordinates with which its runtime, which finds places in float, takes the layer's pixels.
  ResizeCoordinates nearest_coordinates(std::size_t node, const Resize& layer) const {
    using enum ResizeCoordinates;
    const auto takes = [&](ResizeCoordinates by, std::size_t in, std::size_t out) {
      const auto real = [](std::size_t n) { return static_cast<float>(n); };
      const bool corners = by == align_corners;
      const float step = corners && out > 1 ? real(in - 1) / real(out - 1) : real(in) / real(out);
      const NearestPixel pixel = by == asymmetric ? NearestPixel::floor : NearestPixel::round_prefer_ceil;
      for (std::size_t i = 0; i != out; ++i) {
        const std::size_t wanted = nearest_sample(i, in, out, layer.coordinates, layer.pixel);
        const float place = (real(i) + (by == half_pixel ? 0.5F : 0.0F)) * step;
        const auto found = static_cast<std::size_t>(corners ? std::round(place) : std::floor(place));
        if (std::min(found, in - 1) != wanted || nearest_sample(i, in, out, by, pixel) != wanted) return false;
      }
      return true;
    };
    const Extent &from = in_extent(node), &to = out_extent(node);
    for (const ResizeCoordinates by : {layer.coordinates, asymmetric, half_pixel, align_corners})
      if (by != pytorch_half_pixel && takes(by, from.height, to.height) && takes(by, from.width, to.width)) return by;
    require(false, node, "takes the nearest pixels of ", from.height, " x ", from.width, " for ", to.height, " x ",
            to.width, ", which no mode of the format takes; resize to a multiple of the size");
    return half_pixel;
  }

  void require_fixed_encoding(std::size_t node) const {
    const auto& encoding = model_.activations[node_at(node).output];
    if (!encoding.has_value()) return;
    const ActivationEncoding stored = as_int8(*encoding);
    require(stored.step == 1.0F / 256.0F && stored.zero_point == -128, node, "has an output step of ", stored.step,
            " and zero point ", stored.zero_point, "; the format fixes 1/256 and -128, keep its output in float");
  }

  void add(std::size_t node, const Softmax&) {
    require_fixed_encoding(node);
    add_operator(OperatorCode::softmax, version(node, 2), {in(node)}, {out(node)},
                 schema::CreateSoftmaxOptions(builder_, 1.0F));
  }
  void add(std::size_t node, const Sigmoid&) {
    require_fixed_encoding(node);
    add_plain_operator(OperatorCode::logistic, version(node, 2), {in(node)}, {out(node)});
  }
  void add(std::size_t node, const HardSwish&) {
    add_operator(OperatorCode::hard_swish, 1, {in(node)}, {out(node)}, schema::CreateHardSwishOptions(builder_));
  }
  // The format has no hard sigmoid: slope * x + intercept is a depthwise convolution of one pixel, its clamp to 0..1
  // the range of the output's codes or a fused activation.
  void add(std::size_t node, const HardSigmoid& layer) {
    const Extent& extent = in_extent(node);
    require(!extent.vector, node, "is a hard sigmoid of a vector; the format has it for images only, reshape after it");
    const auto depth = number(extent.channels);
    const std::string& name = node_at(node).name;
    if (float_node(node)) {
      const std::vector<float> slope(extent.channels, layer.slope), intercept(extent.channels, layer.intercept);
      const std::int32_t line = add_tensor(shape_of(extent), TensorType::FLOAT32, 0, name + ":line");
      const std::int32_t weights =
          add_tensor({1, 1, 1, depth}, TensorType::FLOAT32, add_buffer(slope), name + ":weights");
      const std::int32_t bias = add_tensor({depth}, TensorType::FLOAT32, add_buffer(intercept), name + ":bias");
      add_one_pixel(1, {in(node), weights, bias}, line, ActivationFunctionType::NONE);
      return add_plain_operator(OperatorCode::relu_0_to_1, 1, {line}, {out(node)});
    }
    const ActivationEncoding &x = *model_.activations[node_at(node).inputs[0]],
                             &y = *model_.activations[node_at(node).output];
    const auto [code, offset] = line_codes(node, layer, x, y);
    const float step = layer.slope / static_cast<float>(code);
    const auto encoding = [&](float of) {
      return schema::CreateQuantizationParameters(builder_, 0, 0, builder_.CreateVector(std::vector<float>{of}),
                                                  builder_.CreateVector(std::vector<std::int64_t>{0}));
    };
    const std::vector<std::int8_t> codes(extent.channels, code);
    const std::vector<std::int32_t> offsets(extent.channels, offset);
    const std::int32_t weights =
        add_tensor({1, 1, 1, depth}, TensorType::INT8, add_buffer(codes), name + ":weights", encoding(step));
    const std::int32_t bias =
        add_tensor({depth}, TensorType::INT32, add_buffer(offsets), name + ":bias", encoding(x.step * step));
    add_one_pixel(3, {in(node), weights, bias}, out(node), activation(node, {0.0F, 1.0F}));
  }
  void add_one_pixel(std::int32_t version, const std::vector<std::int32_t>& inputs, std::int32_t made,
                     ActivationFunctionType fused) {
    add_operator(OperatorCode::depthwise_conv_2d, version, inputs, {made},
                 schema::CreateDepthwiseConv2DOptions(builder_, schema::Padding::VALID, 1, 1, 1, fused, 1, 1));
  }

  // The weight's code and the bias with which the product of integers makes most codes as the function does.
  std::pair<std::int8_t, std::int32_t> line_codes(std::size_t node, const HardSigmoid& layer,
                                                  const ActivationEncoding& x, const ActivationEncoding& y) const {
    require(layer.slope > 0.0F, node, "is a hard sigmoid with slope ", layer.slope,
            "; only rising ones can be written");
    const detail::ByteGrid from{x}, to{y};
    const detail::ByteTable wanted = detail::function_table(layer, from, to, model_.requantize);
    std::pair<std::int8_t, std::int32_t> best{0, 0};
    int most = -1;
    for (int code = 127; code >= 32; --code) {
      const float step = layer.slope / static_cast<float>(code);
      const double unit = static_cast<double>(x.step) * static_cast<double>(step);
      const double offset = std::nearbyint(static_cast<double>(layer.intercept) / unit);
      if (std::abs(offset) > 1e9) continue;
      const auto bias = static_cast<std::int32_t>(offset);
      const FixedPointMultiplier multiplier = FixedPointMultiplier::from_real(unit / static_cast<double>(y.step));
      detail::ByteGrid range = to;
      range.clamp_to({0.0F, 1.0F});
      int same = 0;
      for (std::int32_t byte = from.low; byte <= from.high; ++byte) {
        const std::int32_t value = requantize(code * (byte - from.zero) + bias, multiplier, SingleRounding{}) + to.zero;
        same += std::clamp(value, range.low, range.high) == wanted[static_cast<std::size_t>(byte)] ? 1 : 0;
      }
      if (same <= most) continue;
      most = same;
      best = {static_cast<std::int8_t>(code), bias};
    }
    require(most >= 0, node, "is a hard sigmoid whose input step ", x.step, " is too small to be written");
    return best;
  }

  template <OwnOperator Op>
  void add(std::size_t node, const Op&) {
    require(false, node, "is a ", Op::kind, ", which is not written to this format; write .npz or .onnx");
  }

  void add(std::size_t node, const ClampLayer& layer) {
    // This operator has no fused form.
    if (layer.clamp == Clamp{0.0F, 1.0F} && cuts(node, layer.clamp).second)
      return add_plain_operator(OperatorCode::relu_0_to_1, 1, {in(node)}, {out(node)});
    switch (activation(node, layer.clamp)) {
      case ActivationFunctionType::NONE: {
        // A change of encoding only.
        if (is_float(node_at(node).output)) return alias(node);
        return convert(in(node), tensor_of(node_at(node).output, false), false);
      }
      case ActivationFunctionType::RELU:
        return add_plain_operator(OperatorCode::relu, version(node, 2), {in(node)}, {out(node)});
      case ActivationFunctionType::RELU6:
        return add_plain_operator(OperatorCode::relu6, version(node, 2), {in(node)}, {out(node)});
      case ActivationFunctionType::RELU_N1_TO_1:
        return add_plain_operator(OperatorCode::relu_n1_to_1, 1, {in(node)}, {out(node)});
      default:
        break;
    }
  }

  void alias(std::size_t node) { float_tensors_[node_at(node).output] = in(node); }

  const QuantizedModel& model_;
  const Model& graph_;
  flatbuffers::FlatBufferBuilder builder_{1 << 20};
  std::vector<Offset<schema::Buffer>> buffers_;
  std::vector<Offset<schema::Tensor>> tensors_;
  std::vector<Offset<schema::Operator>> operators_;
  std::vector<Offset<schema::OperatorCode>> codes_;
  std::map<std::pair<OperatorCode, std::int32_t>, std::uint32_t> code_index_;
  std::map<ValueId, std::int32_t> int8_tensors_;
  std::map<ValueId, std::int32_t> float_tensors_;
  std::optional<Model> simulation_;
  std::optional<std::int32_t> real_;  // the float tensor that the node at hand makes, where its value is quantized
};

}  // namespace

std::string write(const QuantizedModel& model) { return Exporter{model}.run(); }

void save(const QuantizedModel& model, const std::string& path) { write_file_atomically(path, write(model)); }

}  // namespace fat::inline FAT_ABI::tflite
