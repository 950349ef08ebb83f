// Shape inference: the output extent of every operator, and the checks that a Model is well formed.
#ifndef FAT_MODEL_EXTENTS_HPP_INCLUDED
#define FAT_MODEL_EXTENTS_HPP_INCLUDED

#include <fat/kernel/float/geometry.hpp>
#include <fat/kernel/taps.hpp>
#include <fat/model/model.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Name of an operator's kind, for messages and tables: "convolution", "add", ...
inline std::string_view kind_name(const Operator& op) {
  static constexpr std::array<std::string_view, 17> names{"convolution",
                                                          "depthwise convolution",
                                                          "dense",
                                                          "batch normalization",
                                                          "add",
                                                          "multiply",
                                                          "concat",
                                                          "pool",
                                                          "global average pool",
                                                          "pad",
                                                          "reshape",
                                                          "resize",
                                                          "softmax",
                                                          "clamp",
                                                          "hard swish",
                                                          "hard sigmoid",
                                                          "sigmoid"};
  return std::visit(
      [&]<class Op>(const Op&) {
        if constexpr (OwnOperator<Op>)
          return Op::kind;
        else
          return names[op.index()];
      },
      op);
}

/// A window over an image of extent `in` that makes `out`, as plain numbers.
inline WindowShape window_shape(const Window& window, const Extent& in, const Extent& out) {
  return {in.height,
          in.width,
          in.channels,
          out.height,
          out.width,
          out.channels,
          window.kernel.height,
          window.kernel.width,
          window.stride.height,
          window.stride.width,
          window.dilation.height,
          window.dilation.width,
          window.padding.top,
          window.padding.left};
}

namespace detail {

/// Extent rules, one overload an operator. `inputs` are the extents read, `declared` what the value already claims.
struct ExtentRule {
  const Node& node;
  std::span<const Extent> inputs;
  const Extent& declared;

  template <class... Parts>
  void require(bool ok, const Parts&... parts) const {
    expects(ok, "model: ", kind_name(node.op), " '", std::string_view{node.name}, "': ", parts...);
  }
  const Extent& in() const { return inputs[0]; }

  std::size_t slide(std::string_view side, std::size_t in_extent, std::size_t before, std::size_t after,
                    std::size_t kernel, std::size_t stride, std::size_t dilation) const {
    require(kernel != 0 && stride != 0 && dilation != 0, "kernel, stride and dilation must be at least 1 along the ",
            side);
    constexpr std::size_t limit = std::size_t{1} << 24;
    require(kernel <= limit && dilation <= limit && stride <= limit && before <= limit && after <= limit,
            "the window's ", side, " is beyond ", limit);
    const std::size_t reach = (kernel - 1) * dilation + 1;
    const std::size_t padded = in_extent + before + after;
    require(reach <= padded, "the window covers ", reach, " along the ", side, ", but the padded input has ", padded);
    return (padded - reach) / stride + 1;
  }
  Extent slide(const Window& w, std::size_t channels) const {
    const Padding& p = w.padding;
    return {slide("height", in().height, p.top, p.bottom, w.kernel.height, w.stride.height, w.dilation.height),
            slide("width", in().width, p.left, p.right, w.kernel.width, w.stride.width, w.dilation.width), channels,
            false};
  }
  template <class Layer>
  void weights(const Layer& layer, const Shape& expected) const {
    require(layer.kernel.shape() == expected, "weights are ", layer.kernel.shape(), ", but its input asks for ",
            expected);
    const std::size_t out = expected[Layer::channel_axis];
    require(layer.offset.size() == out, "bias has ", layer.offset.size(), " values for ", out, " output channels");
  }

  Extent operator()(const Convolution& op) const {
    require(op.kernel.dimension() == 4, "weights must be [out, height, width, in / groups], they are ",
            op.kernel.shape());
    require(op.groups != 0 && in().channels % op.groups == 0 && op.kernel.shape(0) % op.groups == 0, op.groups,
            " groups do not divide ", in().channels, " input and ", op.kernel.shape(0), " output channels");
    const Pair& k = op.window.kernel;
    weights(op, {op.kernel.shape(0), k.height, k.width, in().channels / op.groups});
    return slide(op.window, op.kernel.shape(0));
  }
  Extent operator()(const DepthwiseConvolution& op) const {
    require(op.multiplier != 0, "the channel multiplier is 0");
    const std::size_t channels = in().channels * op.multiplier;
    weights(op, {1, op.window.kernel.height, op.window.kernel.width, channels});
    return slide(op.window, channels);
  }
  Extent operator()(const Dense& op) const {
    require(op.kernel.dimension() == 2, "weights must be [out, in], they are ", op.kernel.shape());
    weights(op, {op.kernel.shape(0), in().size()});
    return {1, 1, op.kernel.shape(0), true};
  }
  Extent operator()(const BatchNormalization& op) const {
    for (const array<float>* each : {&op.scale, &op.shift, &op.center, &op.spread})
      require(each->size() == in().channels, each->size(), " values for ", in().channels, " channels");
    return in();
  }
  Extent pair() const {
    const Extent& a = inputs[0];
    const Extent& b = inputs[1];
    require(
        b.channels == a.channels && ((b.height == a.height && b.width == a.width) || (b.height == 1 && b.width == 1)),
        "the inputs have extents ", extents(a), " and ", extents(b),
        "; the second must be equal or one value for each channel");
    return a;
  }
  Extent operator()(const Add&) const { return pair(); }
  Extent operator()(const Multiply&) const { return pair(); }
  Extent operator()(const Concat& op) const {
    require(op.axis < 3, "axis ", op.axis, " is not 0 (height), 1 (width) or 2 (channels)");
    std::array<std::size_t, 3> sum = extents(in());
    for (const Extent& each : inputs.subspan(1)) {
      const std::array<std::size_t, 3> other = extents(each);
      for (std::size_t axis = 0; axis != 3; ++axis)
        require(axis == op.axis || other[axis] == sum[axis], "inputs ", extents(in()), " and ", other,
                " differ along another axis than ", op.axis);
      sum[op.axis] += other[op.axis];
    }
    return {sum[0], sum[1], sum[2], in().vector && op.axis == 2};
  }
  Extent operator()(const Pool& op) const {
    const Window& w = op.window;
    const Extent out = slide(w, in().channels);
    // every row and every column of windows has to reach the image, between the gaps of a dilated window too
    const auto reaches = [](std::size_t count, std::size_t stride, std::size_t before, std::size_t taps,
                            std::size_t dilation, std::size_t size) {
      for (std::size_t at = 0; at != count; ++at)
        if (taps_inside(static_cast<std::ptrdiff_t>(at * stride - before), taps, dilation, size).count() == 0)
          return false;
      return true;
    };
    require(reaches(out.height, w.stride.height, w.padding.top, w.kernel.height, w.dilation.height, in().height) &&
                reaches(out.width, w.stride.width, w.padding.left, w.kernel.width, w.dilation.width, in().width),
            "the padding is larger than the window, so that some windows hold no pixel");
    return out;
  }
  Extent operator()(const GlobalAveragePool&) const { return {1, 1, in().channels, declared.vector}; }
  Extent operator()(const Pad& op) const {
    const Padding& p = op.padding;
    return {in().height + p.top + p.bottom, in().width + p.left + p.right, in().channels, in().vector};
  }
  Extent operator()(const Reshape&) const {
    require(in().size() == declared.size(), extents(in()), " has ", in().size(), " elements and cannot become ",
            extents(declared));
    return declared;
  }
  Extent operator()(const Resize&) const {
    require(declared.channels == in().channels && declared.height != 0 && declared.width != 0, extents(in()),
            " cannot be resized to ", extents(declared));
    return declared;
  }
  Extent operator()(const Softmax&) const { return in(); }
  Extent operator()(const ClampLayer&) const { return in(); }
  Extent operator()(const HardSwish&) const { return in(); }
  Extent operator()(const HardSigmoid&) const { return in(); }
  Extent operator()(const Sigmoid&) const { return in(); }
  template <OwnOperator Op>
  Extent operator()(const Op& op) const {
    return op.extent(inputs, declared);
  }

  static std::array<std::size_t, 3> extents(const Extent& e) { return {e.height, e.width, e.channels}; }
};

/// Errors of an operator's own rule get the node's kind and name in front.
template <class Rule>
Extent named_after(const Node& node, bool own, Rule&& rule) {
  if (!own) return rule();
#if defined(FAT_ERRORS_THROW)
  try {
    return rule();
  } catch (const error& problem) {
    fail("model: ", kind_name(node.op), " '", std::string_view{node.name}, "': ", std::string_view{problem.what()});
  }
#else
  return rule();
#endif
}

}  // namespace detail

/// The output extent of a node whose inputs have these extents. `declared` is used where the operator leaves the extent
/// open: Reshape, Resize, and whether a GlobalAveragePool makes a vector. Errors: wrong number of inputs, shapes of
/// weights that do not fit, windows larger than the padded image, all named after the node.
inline Extent infer_extent(const Node& node, std::span<const Extent> inputs, const Extent& declared = {}) {
  const bool two = std::holds_alternative<Add>(node.op) || std::holds_alternative<Multiply>(node.op);
  const bool many = std::holds_alternative<Concat>(node.op);
  const bool own = std::visit([]<class Op>(const Op&) { return OwnOperator<Op>; }, node.op);
  expects(own || (many ? !inputs.empty() : inputs.size() == (two ? 2U : 1U)), "model: ", kind_name(node.op), " '",
          std::string_view{node.name}, "' has ", inputs.size(), " inputs");
  for (const Extent& each : inputs)
    expects(each.height != 0 && each.width != 0 && each.channels != 0, "model: '", std::string_view{node.name},
            "' has an empty input");
  const Extent out = detail::named_after(node, own, [&] {
    return std::visit(detail::ExtentRule{node, inputs, declared}, node.op);
  });
  constexpr std::size_t limit = std::size_t{1} << 31;
  expects(out.height < limit && out.width < limit && out.channels < limit && out.height * out.width < limit &&
              out.height * out.width * out.channels < limit,
          "model: the output of '", std::string_view{node.name}, "' has more than ", limit, " elements");
  return out;
}

/// Sets the extent of every value from the input's. Errors: those of infer_extent.
inline void infer_extents(Model& model) {
  std::vector<Extent> inputs;
  for (const Node& node : model.nodes) {
    inputs.clear();
    for (const ValueId input : node.inputs) inputs.push_back(model.extent(input));
    model.values[node.output].extent = infer_extent(node, inputs, model.extent(node.output));
  }
}

/// Checks that every value is made once and before it is read, that all extents are what infer_extent says and that all
/// weights are finite. Errors: the first violation, by name.
inline void validate(const Model& model) {
  expects(model.input < model.values.size() && model.output < model.values.size(), "model '",
          std::string_view{model.name}, "': its input or output is not one of its ", model.values.size(), " values");
  std::vector<bool> made(model.values.size(), false);
  made[model.input] = true;
  std::vector<Extent> inputs;
  const auto finite = [](const array<float>& values, const Node& node, std::string_view what) {
    for (std::size_t at = 0; at != values.size(); ++at)
      expects(std::isfinite(values[at]), "model: ", what, " ", at, " of '", std::string_view{node.name}, "' is ",
              values[at], "; the file is damaged or the training has diverged");
  };
  for (const Node& node : model.nodes) {
    inputs.clear();
    for (const ValueId input : node.inputs) {
      expects(input < model.values.size() && made[input], "model: '", std::string_view{node.name},
              "' reads a value that no earlier node makes");
      inputs.push_back(model.extent(input));
    }
    expects(node.output < model.values.size() && !made[node.output], "model: '", std::string_view{node.name},
            "' makes a value that exists already");
    made[node.output] = true;
    const Extent& declared = model.extent(node.output);
    const Extent out = infer_extent(node, inputs, declared);
    expects(out == declared, "model: the output of '", std::string_view{node.name}, "' is declared as ",
            detail::ExtentRule::extents(declared), ", but its inputs make ", detail::ExtentRule::extents(out));
    with_weighted(node.op, [&](const auto& layer) {
      finite(layer.kernel, node, "weight");
      finite(layer.offset, node, "bias");
    });
  }
  const auto inside = [&](const std::vector<Port>& ports, ValueId value) {
    for (const Port& port : ports) {
      std::size_t room = model.extent(value).size();
      for (const std::size_t dim : port.dims) {
        expects(dim != 0 && dim <= room, "model: '", std::string_view{port.name}, "' does not fit its value");
        room /= dim;
      }
      expects(port.offset + port.size() <= model.extent(value).size() &&
                  (!port.channels_first || port.dims.size() == 4),
              "model: '", std::string_view{port.name}, "' does not fit its value");
    }
  };
  inside(model.inputs, model.input);
  inside(model.outputs, model.output);
  expects(made[model.output], "model '", std::string_view{model.name}, "': no node makes its output");
}

}  // namespace fat::inline FAT_ABI

#endif
