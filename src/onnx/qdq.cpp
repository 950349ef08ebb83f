// QuantizeLinear and DequantizeLinear: encodings of values, codes of weights and biases.
#include "importer.hpp"

#include <fat/core/partition.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace fat::inline FAT_ABI::onnx {

namespace {

using ::onnx::TensorProto;

bool is_code_type(std::int32_t type) { return type == TensorProto::INT8 || type == TensorProto::UINT8; }
std::string type_name(std::int32_t type) {
  return TensorProto::DataType_IsValid(type) ? TensorProto::DataType_Name(type) : std::to_string(type);
}

/// Whether codes of the one encoding are codes of the other, for the same reals; uint8 ones may be 128 higher.
bool within(const ActivationEncoding& inner, const ActivationEncoding& outer) {
  const std::int32_t higher = outer.zero_point - inner.zero_point;
  return inner.step == outer.step && (higher == 0 || higher == 128 || higher == -128) &&
         inner.code_min + higher >= outer.code_min && inner.code_max + higher <= outer.code_max;
}

/// Number of steps between two elements that follow each other along the axis of the steps.
std::size_t inner_size(const Constant& codes) {
  std::size_t inner = 1;
  if (codes.steps->step.size() == 1) return inner;
  for (auto axis = static_cast<std::size_t>(codes.steps->axis) + 1; axis < codes.dims.size(); ++axis)
    inner *= static_cast<std::size_t>(codes.dims[axis]);
  return inner;
}

}  // namespace

/// How often each tensor is read. The second and later QuantizeLinear of a tensor do what the first one does.
void Importer::count_uses() {
  std::unordered_set<std::string> quantized;
  for (const Node& node : file_.graph().node()) {
    for (const std::string& output : node.output()) makers_.emplace(output, &node);
    const bool again =
        node.op_type() == "QuantizeLinear" && node.input_size() != 0 && !quantized.insert(node.input(0)).second;
    for (int i = again ? 1 : 0; i < node.input_size(); ++i) ++uses_[node.input(i)];
  }
  for (const auto& output : file_.graph().output()) ++uses_[output.name()];
}

/// Steps and zero points that the node gives for a tensor of shape `dims`.
Steps Importer::steps(const Integers& dims) const {
  const Constant& step = plain_constant(1, "the step");
  Steps result;
  require(!step.integral && step.size() != 0 && step.dims.size() <= 1,
          "the step must be one number, or one for each channel");
  for (std::size_t i = 0; i != step.size(); ++i) {
    require(std::isfinite(step.reals[i]) && step.reals[i] > 0.0F, "a step of ", step.reals[i], "; it must be positive");
    result.step.push_back(step.reals[i]);
  }
  result.zero_point.assign(step.size(), 0);
  if (has(2)) {
    const Constant& zero = plain_constant(2, "the zero point");
    require(zero.integral && zero.size() == step.size(), zero.size(), " zero points for ", step.size(), " steps");
    result.zero_point = zero.integers;
  }
  if (step.size() == 1) return result;
  const auto rank = static_cast<std::int64_t>(dims.size());
  const std::int64_t axis = Attributes{*node_}.integer("axis", 1);
  result.axis = axis < 0 ? axis + rank : axis;
  require(result.axis >= 0 && result.axis < rank &&
              dims[static_cast<std::size_t>(result.axis)] == static_cast<std::int64_t>(step.size()),
          step.size(), " steps along axis ", axis, " of a tensor that has another extent there");
  return result;
}

/// The encoding of an activation that the node states.
ActivationEncoding Importer::encoding() const {
  const Steps found = steps({});
  require(found.step.size() == 1, "an activation with ", found.step.size(), " steps; one is supported");
  std::int32_t type = TensorProto::UINT8;
  if (has(2)) type = plain_constant(2, "the zero point").type;
  require(is_code_type(type), "codes of type ", type_name(type),
          "; int8 and uint8 are supported, quantize to one of them");
  const bool is_signed = type == TensorProto::INT8;
  const std::int64_t zero = found.zero_point[0];
  require(zero >= (is_signed ? -128 : 0) && zero <= (is_signed ? 127 : 255), "the zero point ", zero, " is no code");
  return encoding_of_type(found.step[0], static_cast<std::int32_t>(zero), is_signed);
}

void Importer::quantize_linear() {
  if (tensor(0).constant != nullptr) {
    const Constant& reals = plain_constant(0, "the tensor");
    Constant codes;
    codes.dims = reals.dims;
    codes.integral = true;
    codes.type = has(2) ? plain_constant(2, "the zero point").type : TensorProto::UINT8;
    require(is_code_type(codes.type), "codes of type ", type_name(codes.type),
            "; int8 and uint8 are supported, quantize to one of them");
    codes.steps = steps(reals.dims);
    const double low = codes.type == TensorProto::INT8 ? -128 : 0;
    const std::size_t inner = inner_size(codes);
    for (std::size_t i = 0; i != reals.size(); ++i) {
      const std::size_t c = i / inner % codes.steps->step.size();
      const double code = static_cast<double>(std::nearbyint(reals.real(i) / codes.steps->step[c])) +
                          static_cast<double>(codes.steps->zero_point[c]);
      require(!std::isnan(code), "a weight is NaN");
      codes.integers.push_back(static_cast<std::int64_t>(std::clamp(code, low, low + 255.0)));
    }
    codes.steps.reset();
    return set_output({std::make_shared<const Constant>(std::move(codes))});
  }
  require(quantized_, "the model is quantized; load it as a quantized model");
  Tensor x = activation(0);
  if (x.layout == Layout::flat_first || x.layout == Layout::flat_last) {
    // A Flatten in front of a dense layer is part of that layer; a Reshape is a layer of its own.
    const auto known = encodings.find(x.value);
    const Node* const maker = makers_.at(node_->input(0));
    if (maker->op_type() != "Flatten" || known == encodings.end() || !within(known->second, encoding())) {
      const Node* const here = std::exchange(node_, maker);
      x = materialized(x, "");
      node_ = here;
    }
  }
  encode(x);
}

/// Whether the node is the end of the only chain of readers of a value.
bool Importer::read_by_this_node_only(ValueId value) const {
  const auto reads = reads_.find(value);
  return reads == reads_.end() || reads->second.uses <= reads->second.tensors;
}

/// Gives the value of a tensor the encoding that the node states; a value that has another one, or that is read as it
/// is too, gets a layer that changes its encoding.
void Importer::encode(Tensor x) {
  ActivationEncoding wanted = encoding();
  const bool narrow = read_code_range(metadata_, name_, node_->output(0), wanted);
  require(wanted.zero_point >= wanted.code_min && wanted.zero_point <= wanted.code_max, "the zero point ",
          wanted.zero_point, " lies outside the codes ", wanted.code_min, "..", wanted.code_max);
  const auto [before, first] = quantized_tensors_.emplace(node_->input(0), wanted);
  require(first || before->second == wanted, "'", node_->input(0),
          "' is quantized twice with different steps, zero points or types; quantize it once");
  const auto known = encodings.find(x.value);
  if (known == encodings.end() && read_by_this_node_only(x.value)) {
    encodings.emplace(x.value, wanted);
    lines_.erase(x.value);
  } else if (known == encodings.end() || !within(known->second, wanted)) {
    x = materialized(x);
    x.value = emit(ClampLayer{}, {x.value});
    const std::string& name = node_->output(0);
    constexpr std::string_view ending = ":codes";
    if (name.size() > ending.size() && name.ends_with(ending))
      model_.values[x.value].name = fresh_name(name.substr(0, name.size() - ending.size()));
    encodings.emplace(x.value, wanted);
  }
  if (narrow) narrowed.insert(x.value);
  x.codes = true;
  set_output(x);
}

void Importer::dequantize_linear() {
  Tensor x = tensor(0);
  if (x.constant != nullptr) {
    const Constant& from = plain_constant(0, "the tensor");
    require(from.integral && (is_code_type(from.type) || from.type == TensorProto::INT32), "codes of type ",
            type_name(from.type), "; int8, uint8 and int32 are supported, quantize to one of them");
    require(!has(2) || plain_constant(2, "the zero point").type == from.type,
            "the zero point has another type than the codes");
    Constant codes = from;
    codes.steps = steps(from.dims);
    return set_output({std::make_shared<const Constant>(quantized_ ? std::move(codes) : dequantized(codes))});
  }
  const ActivationEncoding stated = encoding();
  if (bytes_input_ && x.value == model_.input && !quantized_)
    return scale_and_shift(x, stated.step, -stated.step * static_cast<float>(stated.zero_point));
  if (bytes_input_ && x.value == model_.input) {  // the input's codes: the model reads their reals
    encodings.emplace(x.value, stated);
    x.codes = true;
  }
  require(x.codes, "reads '", node_->input(0), "', which holds no codes");
  const ActivationEncoding& known = encodings.at(x.value);
  require(within(known, stated), "the step ", stated.step, " and zero point ", stated.zero_point,
          " are not those of the QuantizeLinear before it, ", known.step, " and ", known.zero_point);
  x.codes = false;
  set_output(x);
}

Constant Importer::dequantized(const Constant& codes) const {
  Constant result;
  result.dims = codes.dims;
  const std::size_t inner = inner_size(codes);
  for (std::size_t i = 0; i != codes.size(); ++i) {
    const std::size_t c = i / inner % codes.steps->step.size();
    result.reals.push_back(static_cast<float>(codes.integers[i] - codes.steps->zero_point[c]) * codes.steps->step[c]);
  }
  return result;
}

/// Turns the codes that the last layer was given as weights into its encoding, or into floats where its input is float.
/// `output_axis`: of the output channels in the file's weights.
void Importer::keep_codes(const Constant& w, const Constant* bias, std::size_t output_axis) {
  ::fat::Node& node = model_.nodes.back();
  if (!w.steps && (bias == nullptr || !bias->steps)) return;
  const auto input = encodings.find(node.inputs[0]);
  with_weighted(node.op, [&](auto& layer) {
    keep_codes(layer, w, bias, output_axis, input == encodings.end() ? 0.0F : input->second.step);
  });
}

template <WeightedLayer Layer>
void Importer::keep_codes(Layer& layer, const Constant& w, const Constant* bias, std::size_t output_axis,
                          float input_step) {
  const Partition parts = partition(layer.kernel.shape(), Layer::channel_axis);
  const std::size_t channels = layer.offset.size();
  const auto bias_real = [&](std::size_t c) {
    if (bias == nullptr) return 0.0;
    if (!bias->steps) return static_cast<double>(bias->real(c));
    const std::size_t at = bias->steps->step.size() == 1 ? 0 : c;
    return static_cast<double>(bias->integers[c] - bias->steps->zero_point[at]) *
           static_cast<double>(bias->steps->step[at]);
  };
  require(bias == nullptr || bias->size() == channels, "the bias has ", bias == nullptr ? 0 : bias->size(),
          " values for ", channels, " channels");
  if (!w.steps || input_step == 0.0F) {
    for (std::size_t i = 0; w.steps && i != layer.kernel.size(); ++i) {
      const std::size_t c = w.steps->step.size() == 1 ? 0 : parts.channel(i);
      layer.kernel[i] = (layer.kernel[i] - static_cast<float>(w.steps->zero_point[c])) * w.steps->step[c];
    }
    for (std::size_t c = 0; c != channels; ++c) layer.offset[c] = static_cast<float>(bias_real(c));
    return;
  }
  const std::string& name = model_.nodes.back().name;
  require(is_code_type(w.type), "the weights have codes of type ", type_name(w.type),
          "; int8 and uint8 are supported, quantize to one of them");
  const std::size_t steps = w.steps->step.size();
  require(steps == 1 || (steps == channels && static_cast<std::size_t>(w.steps->axis) == output_axis),
          "the weights have ", steps, " steps along axis ", w.steps->axis, ", which is not that of the ", channels,
          " output channels");
  const std::int64_t lowered = w.type == TensorProto::UINT8 ? 128 : 0;
  WeightEncoding encoding;
  encoding.codes = array<std::int8_t>{layer.kernel.shape()};
  for (std::size_t i = 0; i != layer.kernel.size(); ++i)
    encoding.codes[i] = static_cast<std::int8_t>(static_cast<std::int64_t>(layer.kernel[i]) - lowered);
  encoding.step = w.steps->step;
  for (const std::int64_t zero : w.steps->zero_point) {
    require(zero - lowered >= -128 && zero - lowered <= 127, "the zero point ", zero, " of the weights is no code");
    encoding.zero_point.push_back(static_cast<std::int32_t>(zero - lowered));
  }
  encoding.bits = read_weight_bits(metadata_, name_, name);
  encoding.bias = array<std::int32_t>{Shape{channels}};
  for (std::size_t c = 0; c != channels; ++c) {
    const double step = static_cast<double>(input_step) * static_cast<double>(encoding.channel_step(c));
    if (bias != nullptr && bias->steps && bias->type == TensorProto::INT32) {
      const std::size_t at = bias->steps->step.size() == 1 ? 0 : c;
      const auto stated = static_cast<double>(bias->steps->step[at]);
      if (std::abs(stated - step) <= 1e-4 * step && bias->steps->zero_point[at] == 0) {
        encoding.bias[c] = static_cast<std::int32_t>(bias->integers[c]);
        continue;
      }
    }
    // Other codes are a constant that is encoded again.
    const double code = std::nearbyint(bias_real(c) / step);
    require(std::abs(code) <= 2147483647.0, "bias ", c, " does not fit 32 bits in steps of ", step);
    encoding.bias[c] = static_cast<std::int32_t>(code);
  }
  layer.kernel = {};
  layer.offset = {};
  weight_codes.emplace(name, std::move(encoding));
}

}  // namespace fat::inline FAT_ABI::onnx
