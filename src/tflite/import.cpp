// From a TensorFlow Lite file to a Model or a QuantizedModel.
#include "../reader/read_graph.hpp"
#include "file_graph.hpp"
#include "tensor_file.hpp"

#include <fat/io/file.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/simulation_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace fat::inline FAT_ABI::tflite {
namespace {

class Importer : public TensorFile {
 public:
  using TensorFile::TensorFile;

  QuantizedModel read(bool as_integers) {
    as_integers_ = as_integers;
    if (as_integers_) read_requantization();
    model_.graph.channels_first = false;
    model_.graph.name = std::string{file_name_};
    add_input();
    for (const schema::Operator* op : *graph_->operators()) add_operator(*op);
    model_.graph.output = value_of(graph_->outputs()->Get(0));
    model_.activations.resize(model_.graph.values.size());
    infer_extents(model_.graph);
    for (const auto& [tensor, value] : values_) check_extent(sources_[tensor], model_.graph.extent(value));
    if (as_integers_) {
      drop_float_weights();
      validate(model_);
    } else {
      validate(model_.graph);
    }
    return std::move(model_);
  }

 private:
  // LiteRT's own rounding, unless the file states another.
  void read_requantization() {
    model_.requantize = Requantization::tflite;
    const auto stated = metadata("fat.requantize");
    if (!stated) return;
    const auto how = requantization_named(*stated);
    require(how.has_value(), "metadata 'fat.requantize' must be half-up, half-even or tflite, it is '", *stated, "'");
    model_.requantize = *how;
  }

  // ---- values ----

  std::size_t index_of(std::int32_t tensor) const {
    source(tensor);
    return static_cast<std::size_t>(tensor);
  }

  ValueId value_of(std::int32_t tensor) const {
    const auto found = values_.find(index_of(tensor));
    require(found != values_.end(), "tensor '", source(tensor).name,
            "' is read before an operator makes it; the graph has a cycle or a gap");
    return found->second;
  }

  void add_input() {
    const std::int32_t tensor = graph_->inputs()->Get(0);
    const Source& item = source(tensor);
    require(!item.constant(), "the input is a constant");
    require(item.type() == TensorType::FLOAT32 || item.integer(), "the input '", item.name,
            "' is neither float nor 8-bit integer");
    model_.graph.input = add_value(tensor, extent_of(item));
  }

  ValueId add_value(std::int32_t tensor, const Extent& extent) {
    const Source& item = source(tensor);
    std::string name = item.name;  // the format tells tensors apart by number, their names may be equal
    for (int again = 2; !names_.insert(name).second; ++again) name = item.name + "/" + std::to_string(again);
    const ValueId value = model_.graph.add_value(name, extent);
    require(values_.emplace(index_of(tensor), value).second, "tensor '", item.name, "' is made twice");
    require(as_integers_ || !item.integer(), "tensor '", item.name,
            "' holds integers; the file is a quantized model, read it as one");
    model_.activations.push_back(encoding_of(item));
    return value;
  }

  // ---- operators ----

  // What one operator reads and says, by position.
  struct Call {
    const schema::Operator& op;
    OperatorCode code;
    std::string place;
  };

  template <class Options>
  const Options& options(const Call& call) const {
    const Options* found = call.op.template builtin_options_as<Options>();
    require(found != nullptr, call.place, " has no options");
    return *found;
  }
  std::int32_t input(const Call& call, unsigned position) const {
    require(call.op.inputs() != nullptr && position < call.op.inputs()->size(), call.place, " has no input ", position);
    return call.op.inputs()->Get(position);
  }
  bool has_input(const Call& call, unsigned position) const {
    return call.op.inputs() != nullptr && position < call.op.inputs()->size() && call.op.inputs()->Get(position) >= 0;
  }
  std::int32_t output(const Call& call) const {
    require(call.op.outputs() != nullptr && call.op.outputs()->size() == 1, call.place, " must have one output");
    return call.op.outputs()->Get(0);
  }

  void add_node(const Call& call, Operator op, std::vector<ValueId> inputs,
                std::optional<WeightEncoding> weights = {}) {
    const std::int32_t tensor = output(call);
    const Source& item = source(tensor);
    const ValueId value = add_value(tensor, extent_of(item));
    model_.graph.nodes.push_back({model_.graph.values[value].name, std::move(op), std::move(inputs), value});
    model_.weights.push_back(std::move(weights));
  }

  void add_operator(const schema::Operator& op) {
    Call call{op, operator_code(op), {}};
    call.place = "operator " + std::to_string(placed_++) + " (" + std::string{operator_name(call.code)} + ")";
    switch (call.code) {
      case OperatorCode::conv_2d:
        return add_convolution(call);
      case OperatorCode::depthwise_conv_2d:
        return add_depthwise(call);
      case OperatorCode::fully_connected:
        return add_dense(call);
      case OperatorCode::add:
        return add_binary(call, Add{clamp(call, options<schema::AddOptions>(call))}, 1.0F);
      case OperatorCode::sub:
        require(stored(input(call, 1)).constant(), call.place, " of two computed tensors is not supported");
        return add_binary(call, Add{clamp(call, options<schema::SubOptions>(call))}, -1.0F);
      case OperatorCode::mul:
        return add_binary(call, Multiply{clamp(call, options<schema::MulOptions>(call))}, 1.0F);
      case OperatorCode::concatenation:
        return add_concat(call);
      case OperatorCode::average_pool_2d:
      case OperatorCode::max_pool_2d:
        return add_pool(call);
      case OperatorCode::mean:
        return add_mean(call);
      case OperatorCode::pad:
      case OperatorCode::padv2:
        return add_pad(call);
      case OperatorCode::reshape:
      case OperatorCode::squeeze:
        return add_node(call, Reshape{}, {value_of(input(call, 0))});
      case OperatorCode::resize_bilinear:
      case OperatorCode::resize_nearest_neighbor:
        return add_resize(call);
      case OperatorCode::softmax:
        require(options<schema::SoftmaxOptions>(call).beta() == 1.0F, call.place, " has a beta other than 1");
        return add_node(call, Softmax{}, {value_of(input(call, 0))});
      case OperatorCode::relu:
        return add_node(call, ClampLayer{fat::relu}, {value_of(input(call, 0))});
      case OperatorCode::relu6:
        return add_node(call, ClampLayer{fat::relu6}, {value_of(input(call, 0))});
      case OperatorCode::relu_n1_to_1:
        return add_node(call, ClampLayer{{-1.0F, 1.0F}}, {value_of(input(call, 0))});
      case OperatorCode::relu_0_to_1:
        return add_node(call, ClampLayer{{0.0F, 1.0F}}, {value_of(input(call, 0))});
      case OperatorCode::hard_swish:
        return add_node(call, HardSwish{}, {value_of(input(call, 0))});
      case OperatorCode::logistic:
        return add_node(call, Sigmoid{}, {value_of(input(call, 0))});
      case OperatorCode::quantize:
      case OperatorCode::dequantize:
        return add_conversion(call);
    }
    require(false, call.place, " is not supported; see docs/interop.md for the operators that are");
  }

  template <class Options>
  Clamp clamp(const Call& call, const Options& from) const {
    switch (from.fused_activation_function()) {
      case schema::ActivationFunctionType::NONE:
        return {};
      case schema::ActivationFunctionType::RELU:
        return fat::relu;
      case schema::ActivationFunctionType::RELU6:
        return fat::relu6;
      case schema::ActivationFunctionType::RELU_N1_TO_1:
        return {-1.0F, 1.0F};
      default:
        break;
    }
    require(false, call.place, " has a fused activation that is not supported");
    return {};
  }

  std::size_t positive(const Call& call, std::int32_t number, std::string_view what) const {
    require(number > 0 && number < (1 << 20), call.place, " has a ", what, " of ", number);
    return static_cast<std::size_t>(number);
  }

  // SAME pads so that out = ceil(in / stride); of an odd number of rows the extra one lies behind.
  Padding padding(schema::Padding kind, const Extent& in, const Window& window) const {
    if (kind == schema::Padding::VALID) return {};
    const auto total = [](std::size_t extent, std::size_t kernel, std::size_t stride, std::size_t dilation) {
      const std::size_t reach = ((extent + stride - 1) / stride - 1) * stride + (kernel - 1) * dilation + 1;
      return reach > extent ? reach - extent : 0;
    };
    const std::size_t rows = total(in.height, window.kernel.height, window.stride.height, window.dilation.height);
    const std::size_t columns = total(in.width, window.kernel.width, window.stride.width, window.dilation.width);
    return {rows / 2, columns / 2, rows - rows / 2, columns - columns / 2};
  }

  template <class Options>
  Window window(const Call& call, const Options& from, const Shape& kernel, const Extent& in) const {
    Window result;
    result.kernel = {kernel[1], kernel[2]};
    result.stride = {positive(call, from.stride_h(), "stride"), positive(call, from.stride_w(), "stride")};
    result.dilation = {positive(call, from.dilation_h_factor(), "dilation"),
                       positive(call, from.dilation_w_factor(), "dilation")};
    result.padding = padding(from.padding(), in, result);
    return result;
  }

  const Extent& extent_in(const Call& call) const { return model_.graph.extent(value_of(input(call, 0))); }

  void add_convolution(const Call& call) {
    const Source& weights = source(input(call, 1));
    const auto& from = options<schema::Conv2DOptions>(call);
    const Extent in = extent_in(call);
    require(weights.shape.rank() == 4 && weights.shape.elements() != 0 && in.channels % weights.shape[3] == 0,
            call.place, " has weights of shape ", weights.shape, " for ", in.channels, " channels");
    Convolution layer;
    layer.window = window(call, from, weights.shape, in);
    layer.groups = in.channels / weights.shape[3];
    layer.clamp = clamp(call, from);
    add_weighted(call, std::move(layer), weights, 0, weights.shape[0]);
  }

  void add_depthwise(const Call& call) {
    const Source& weights = source(input(call, 1));
    const auto& from = options<schema::DepthwiseConv2DOptions>(call);
    const Extent in = extent_in(call);
    require(weights.shape.rank() == 4 && weights.shape[0] == 1 && weights.shape.elements() != 0 &&
                weights.shape[3] % in.channels == 0,
            call.place, " has weights of shape ", weights.shape, " for ", in.channels, " channels");
    DepthwiseConvolution layer;
    layer.window = window(call, from, weights.shape, in);
    layer.multiplier = weights.shape[3] / in.channels;
    layer.clamp = clamp(call, from);
    add_weighted(call, std::move(layer), weights, 3, weights.shape[3]);
  }

  void add_dense(const Call& call) {
    const Source& weights = source(input(call, 1));
    const auto& from = options<schema::FullyConnectedOptions>(call);
    require(from.weights_format() == 0, call.place, " has shuffled weights, which are not supported");
    require(weights.shape.rank() == 2 && weights.shape.elements() != 0 && weights.shape[1] == extent_in(call).size(),
            call.place, " has weights of shape ", weights.shape, " for an input of ", extent_in(call).size(),
            " values");
    Dense layer;
    layer.clamp = clamp(call, from);
    add_weighted(call, std::move(layer), weights, 0, weights.shape[0]);
  }

  template <class Layer>
  void add_weighted(const Call& call, Layer layer, const Source& weights, std::size_t axis, std::size_t channels) {
    const ValueId in = value_of(input(call, 0));
    const Source* bias = has_input(call, 2) ? &source(input(call, 2)) : nullptr;
    require(bias == nullptr || bias->shape.elements() == channels, call.place, " has ",
            bias == nullptr ? 0 : bias->shape.elements(), " biases for ", channels, " channels");
    require(weights.step.size() <= 1 || weights.channel_axis == axis, call.place, " has weight steps along axis ",
            weights.channel_axis, ", not along the output channels");
    layer.kernel = floats_or_reference(weights);
    std::optional<WeightEncoding> encoding;
    if (model_.activations[in].has_value())
      encoding = weight_encoding(call, weights, bias, *model_.activations[in], channels);
    layer.offset = array<float>{Shape{channels}};
    if (bias != nullptr && !encoding.has_value()) {
      const array<float> values = floats_or_reference(*bias);
      std::copy(values.begin(), values.end(), layer.offset.begin());
    }
    add_node(call, std::move(layer), {in}, std::move(encoding));
  }

  // Constants may pass through a DEQUANTIZE (float16 files); its output stands for its input.
  const Source& stored(const Source& item) const {
    const auto found = constants_.find(static_cast<std::size_t>(&item - sources_.data()));
    return found == constants_.end() ? item : sources_[found->second];
  }
  const Source& stored(std::int32_t tensor) const { return stored(source(tensor)); }
  array<float> floats_or_reference(const Source& item) const { return floats(stored(item)); }

  // Codes, steps and zero points of a constant.
  WeightEncoding constant_encoding(const Call& call, const Source& weights) const {
    require(weights.integer() && weights.constant() && !weights.step.empty(), call.place,
            " has integer activations but no integer weights with steps");
    const std::int32_t shift = weights.type() == TensorType::UINT8 ? 128 : 0;
    WeightEncoding encoding;
    encoding.codes = array<std::int8_t>{weights.shape};
    for (std::size_t i = 0; i != weights.bytes.size(); ++i)
      encoding.codes[i] =
          static_cast<std::int8_t>(shift == 0 ? load_element<std::int8_t>(weights.bytes, i) : weights.bytes[i] - shift);
    encoding.step = weights.step;
    for (const std::int32_t point : weights.zero_point) {
      require(point - shift >= -128 && point - shift <= 127, call.place, " has a weight zero point of ", point);
      encoding.zero_point.push_back(point - shift);
    }
    return encoding;
  }

  WeightEncoding weight_encoding(const Call& call, const Source& weights, const Source* bias,
                                 const ActivationEncoding& in, std::size_t channels) const {
    WeightEncoding encoding = constant_encoding(call, weights);
    encoding.bias = array<std::int32_t>{Shape{channels}};
    if (bias == nullptr) return encoding;
    require(bias->constant() && bias->type() == TensorType::INT32, call.place, " has a bias that is not int32");
    for (std::size_t c = 0; c != channels; ++c) {
      encoding.bias[c] = load_element<std::int32_t>(bias->bytes, c);
      if (bias->step.empty()) continue;
      const double expected = static_cast<double>(in.step) * encoding.channel_step(c);
      const double stated = bias->step[bias->step.size() == 1 ? 0 : c];
      require(bias->step.size() == 1 || bias->step.size() == channels, call.place, " has ", bias->step.size(),
              " bias steps");
      require(std::abs(expected - stated) <= 0.02 * expected, call.place, " has a bias step of ", stated,
              " in channel ", c, ", input step times weight step is ", expected);
    }
    return encoding;
  }

  // With one constant operand these are a scale or shift per channel.
  template <class Binary>
  void add_binary(const Call& call, Binary op, float sign) {
    const bool first_constant = stored(input(call, 0)).constant();
    const bool second_constant = stored(input(call, 1)).constant();
    if (!first_constant && !second_constant) {
      ValueId a = value_of(input(call, 0));
      ValueId b = value_of(input(call, 1));
      const auto pixels = [&](ValueId value) {
        return model_.graph.extent(value).height * model_.graph.extent(value).width;
      };
      if (pixels(a) < pixels(b)) std::swap(a, b);
      return add_node(call, op, {a, b});
    }
    const Source& constant = stored(input(call, first_constant ? 0 : 1));
    const ValueId value = value_of(input(call, first_constant ? 1 : 0));
    const std::size_t channels = model_.graph.extent(value).channels, count = constant.shape.elements();
    require(count == 1 || (count == channels && constant.shape[constant.shape.rank() - 1] == channels), call.place,
            " has a constant of shape ", constant.shape, "; one number, or one per channel, is supported");
    constexpr bool product = std::is_same_v<Binary, Multiply>;
    if (model_.activations[value].has_value()) {
      const float in_step = model_.activations[value]->step;
      return add_pointwise(call, op.clamp, value,
                           product ? factor_encoding(call, constant, channels)
                                   : shift_encoding(call, constant, channels, sign / in_step));
    }
    const array<float> values = floats(constant);
    require(!op.clamp.active(), call.place, " of a constant has a fused activation, which is not supported");
    BatchNormalization layer{array<float>({channels}, 1.0F), array<float>({channels}, 0.0F),
                             array<float>({channels}, 0.0F), array<float>({channels}, 1.0F), 0.0};
    array<float>& target = product ? layer.scale : layer.shift;
    for (std::size_t c = 0; c != channels; ++c) target[c] = sign * values[count == 1 ? 0 : c];
    add_node(call, std::move(layer), {value});
  }

  // A depthwise convolution of one pixel.
  void add_pointwise(const Call& call, const Clamp& clamp, ValueId in, WeightEncoding encoding) {
    DepthwiseConvolution layer;
    layer.window = {{1, 1}, {1, 1}, {1, 1}, {}};
    layer.clamp = clamp;
    layer.kernel = array<float>{encoding.codes.shape()};
    layer.offset = array<float>{encoding.bias.shape()};
    add_node(call, std::move(layer), {in}, std::move(encoding));
  }

  // The constant's own codes: the same product of integers.
  WeightEncoding factor_encoding(const Call& call, const Source& constant, std::size_t channels) const {
    const WeightEncoding given = constant_encoding(call, constant);
    WeightEncoding encoding{array<std::int8_t>{Shape{1, 1, 1, channels}}, given.step, given.zero_point, 8,
                            array<std::int32_t>{Shape{channels}}};
    for (std::size_t c = 0; c != channels; ++c) encoding.codes[c] = given.codes[given.codes.size() == 1 ? 0 : c];
    return encoding;
  }

  // Weights of one, that is w codes of step 1 / w, and the constant as the bias, in units of the input's step / w: for each
  // channel the w between 64 and 127 that brings it nearest to a whole number. `scale` is 1 / step or -1 / step.
  WeightEncoding shift_encoding(const Call& call, const Source& constant, std::size_t channels, float scale) const {
    const array<float> values = floats(constant);
    WeightEncoding encoding{array<std::int8_t>{Shape{1, 1, 1, channels}},
                            std::vector<float>(channels),
                            std::vector<std::int32_t>(channels),
                            8,
                            array<std::int32_t>{Shape{channels}}};
    for (std::size_t c = 0; c != channels; ++c) {
      const double shift = static_cast<double>(values[values.size() == 1 ? 0 : c]) * static_cast<double>(scale);
      require(std::abs(shift) < 1e6, call.place, " has a constant beyond the range of its input's codes");
      double nearest = 1.0;
      for (int w = 127; w >= 64; --w) {
        const double distance = std::abs(w * shift - std::nearbyint(w * shift)) / w;
        if (distance >= nearest) continue;
        nearest = distance;
        encoding.codes[c] = static_cast<std::int8_t>(w);
        encoding.step[c] = 1.0F / static_cast<float>(w);
        encoding.bias[c] = static_cast<std::int32_t>(std::nearbyint(w * shift));
      }
    }
    return encoding;
  }

  void add_concat(const Call& call) {
    const auto& from = options<schema::ConcatenationOptions>(call);
    require(!clamp(call, from).active(), call.place, " has a fused activation, which is not supported");
    std::vector<ValueId> inputs;
    for (unsigned i = 0; i != call.op.inputs()->size(); ++i) inputs.push_back(value_of(input(call, i)));
    require(!inputs.empty(), call.place, " has no inputs");
    const bool vector = model_.graph.extent(inputs[0]).vector;
    const std::int32_t rank = vector ? 2 : 4;
    const std::int32_t axis = from.axis() < 0 ? from.axis() + rank : from.axis();
    require(axis >= 1 && axis < rank, call.place, " joins along axis ", from.axis(), ", which is not supported");
    add_node(call, Concat{vector ? std::size_t{2} : static_cast<std::size_t>(axis - 1)}, std::move(inputs));
  }

  void add_pool(const Call& call) {
    const auto& from = options<schema::Pool2DOptions>(call);
    Pool pool;
    pool.kind = call.code == OperatorCode::max_pool_2d ? Pool::Kind::max : Pool::Kind::average;
    pool.window.kernel = {positive(call, from.filter_height(), "window"),
                          positive(call, from.filter_width(), "window")};
    pool.window.stride = {positive(call, from.stride_h(), "stride"), positive(call, from.stride_w(), "stride")};
    pool.window.padding = padding(from.padding(), extent_in(call), pool.window);
    require(!clamp(call, from).active(), call.place, " has a fused activation, which is not supported");
    add_node(call, pool, {value_of(input(call, 0))});
  }

  void add_mean(const Call& call) {
    std::vector<std::int64_t> axes = integers(source(input(call, 1)));
    for (std::int64_t& axis : axes) axis += axis < 0 ? 4 : 0;
    std::sort(axes.begin(), axes.end());
    require(axes == std::vector<std::int64_t>{1, 2} && !extent_in(call).vector, call.place,
            " must go over height and width");
    add_node(call, GlobalAveragePool{}, {value_of(input(call, 0))});
  }

  void add_pad(const Call& call) {
    const std::vector<std::int64_t> amounts = integers(source(input(call, 1)));
    require(amounts.size() == 8, call.place, " must pad four axes");
    for (const std::int64_t amount : amounts)
      require(amount >= 0 && amount < (1 << 20), call.place, " pads by ", amount);
    require(amounts[0] == 0 && amounts[1] == 0 && amounts[6] == 0 && amounts[7] == 0, call.place,
            " pads the batch or the channels, which is not supported");
    Pad pad;
    const auto side = [&](std::size_t i) { return static_cast<std::size_t>(amounts[i]); };
    pad.padding = {side(2), side(4), side(3), side(5)};
    if (call.code == OperatorCode::padv2) pad.value = floats(source(input(call, 2)))[0];
    add_node(call, pad, {value_of(input(call, 0))});
  }

  void add_resize(const Call& call) {
    Resize resize;
    const auto coordinates = [&](const auto& from) {
      return from.align_corners()        ? Resize::Coordinates::align_corners
             : from.half_pixel_centers() ? Resize::Coordinates::half_pixel
                                         : Resize::Coordinates::asymmetric;
    };
    if (call.code == OperatorCode::resize_bilinear) {
      resize.kind = Resize::Kind::bilinear;
      resize.coordinates = coordinates(options<schema::ResizeBilinearOptions>(call));
    } else {
      // floor((i + 1/2) in / out), round(i (in - 1) / (out - 1)) with halves up, floor(i in / out)
      resize.coordinates = coordinates(options<schema::ResizeNearestNeighborOptions>(call));
      resize.pixel =
          resize.coordinates == Resize::Coordinates::asymmetric ? NearestPixel::floor : NearestPixel::round_prefer_ceil;
    }
    add_node(call, resize, {value_of(input(call, 0))});
  }

  // QUANTIZE and DEQUANTIZE: of constants, at the model's border, or between two encodings.
  void add_conversion(const Call& call) {
    const std::size_t from = index_of(input(call, 0));
    const std::size_t to = index_of(output(call));
    if (sources_[from].constant()) {
      require(constants_.emplace(to, from).second, "tensor '", sources_[to].name, "' is made twice");
      sources_[to].bytes = {};
      return;
    }
    const ValueId value = value_of(input(call, 0));
    const bool at_input = value == model_.graph.input && !model_.activations[value].has_value();
    const bool at_output = graph_->outputs()->Get(0) == output(call) && !sources_[to].integer();
    if (as_integers_ && (at_input || at_output)) {
      if (at_input) model_.activations[value] = encoding_of(sources_[to]);
      require(values_.emplace(to, value).second, "tensor '", sources_[to].name, "' is made twice");
      return;
    }
    add_node(call, ClampLayer{}, {value});
  }

  void drop_float_weights() {
    for (std::size_t node = 0; node != model_.graph.nodes.size(); ++node)
      if (model_.weights[node].has_value())
        with_weighted(model_.graph.nodes[node].op, [](auto& layer) {
          layer.kernel = {};
          layer.offset = {};
        });
  }

  std::map<std::size_t, ValueId> values_;
  std::map<std::size_t, std::size_t> constants_;
  std::set<std::string> names_;
  std::size_t placed_ = 0;
  bool as_integers_ = false;
  QuantizedModel model_;
};

}  // namespace

Model read(std::span<const char> file, std::string_view name, const ReadOptions& options) {
  std::optional<Importer> importer;
  try {
    importer.emplace(file, name);
  } catch (const error&) {
    // what this importer of one input, one output and few operators refuses is for the general one
  }
  expects(!importer || !importer->quantized(), name, ": holds integer activations; read it as a quantized model");
  if (importer && options.shapes.empty() && options.end_at.empty()) {
    try {
      return std::move(importer->read(false).graph);
    } catch (const error&) {
      // likewise
    }
  }
  return reader::read_graph(file_graph(file, name), options);
}

QuantizedModel read_quantized(std::span<const char> file, std::string_view name) {
  Importer importer{file, name};
  expects(importer.quantized(), name, ": holds float activations; quantize it first");
  return importer.read(true);
}

bool is_quantized(const std::string& path) {
  const std::string file = read_file(path);
  try {
    return Importer{file, path}.quantized();
  } catch (const error&) {
    return false;  // the general reader says what is wrong
  }
}

Model load(const std::string& path, const ReadOptions& options) {
  const std::string file = read_file(path);
  return read(file, path, options);
}

QuantizedModel load_quantized(const std::string& path) {
  const std::string file = read_file(path);
  return read_quantized(file, path);
}

}  // namespace fat::inline FAT_ABI::tflite
