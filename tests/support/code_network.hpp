// Quantized networks of random codes, built layer by layer: for tests that compare ways to compute the same integers.
#ifndef FAT_TESTS_SUPPORT_CODE_NETWORK_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_CODE_NETWORK_HPP_INCLUDED

#include <fat/model/extents.hpp>
#include <fat/model/quantized_model.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fat::test {

/// What the codes of a network look like.
struct CodeStyle {
  bool is_signed = true;            ///< activations: int8 or uint8
  bool per_channel = true;          ///< one weight step a channel, or one a layer
  bool asymmetric_weights = false;  ///< weight zero points other than 0
  std::uint32_t seed = 1;
  Requantization requantize = Requantization::half_up;
  bool power_of_two = false;  ///< every step: results often lie half-way between two codes
};

/// Steps are chosen so that outputs spread over the codes: weights of about 73 and activations of about 74 codes (the
/// deviation of uniform bytes) give sums of 5400 * sqrt(depth), which are brought to about 60 codes.
class CodeNetwork {
 public:
  explicit CodeNetwork(const Extent& input, const CodeStyle& style = {}) : style_(style), random_(style.seed) {
    result_.graph.name = "codes";
    result_.requantize = style.requantize;
    result_.graph.input = result_.graph.add_value("input", input);
    result_.activations.push_back(encoding(0.02F));
  }

  ValueId input() const { return result_.graph.input; }
  const Extent& extent(ValueId value) const { return result_.graph.extent(value); }
  const ActivationEncoding& grid(ValueId value) const { return *result_.activations[value]; }
  std::mt19937& random() { return random_; }
  std::size_t below(std::size_t limit) { return random_() % limit; }

  /// Any grid of 8 bits with this step.
  ActivationEncoding encoding(float step) {
    ActivationEncoding e;
    e.step = step_near(step);
    if (!style_.is_signed) e.code_min = 0, e.code_max = 255;
    e.zero_point = static_cast<std::int32_t>(below(60)) - 30 + (style_.is_signed ? 0 : 128);
    return e;
  }

  ValueId convolution(ValueId x, std::size_t channels, const Window& window, std::size_t groups = 1,
                      const Clamp& clamp = {}) {
    Convolution op;
    op.window = window, op.groups = groups, op.clamp = clamp;
    return weighted(x, op, {channels, window.kernel.height, window.kernel.width, extent(x).channels / groups});
  }
  ValueId depthwise(ValueId x, const Window& window, std::size_t multiplier = 1, const Clamp& clamp = {}) {
    DepthwiseConvolution op;
    op.window = window, op.multiplier = multiplier, op.clamp = clamp;
    return weighted(x, op, {1, window.kernel.height, window.kernel.width, extent(x).channels * multiplier});
  }
  ValueId dense(ValueId x, std::size_t channels, const Clamp& clamp = {}) {
    Dense op;
    op.clamp = clamp;
    return weighted(x, op, {channels, extent(x).size()});
  }

  /// A layer without weights. The output's grid: `grid`, or one near the first input's, or what the operator
  /// prescribes.
  ValueId add(Operator op, std::vector<ValueId> inputs, const Extent& declared = {},
              std::optional<ActivationEncoding> grid = {}) {
    const ActivationEncoding& first = this->grid(inputs[0]);
    const float step = first.step * (0.8F + 0.01F * static_cast<float>(below(40)));
    ActivationEncoding e = encoding(step);
    const Resize* const resize = std::get_if<Resize>(&op);
    if (std::holds_alternative<Pool>(op) || (resize != nullptr && resize->kind == Resize::Kind::bilinear)) e = first;
    if (std::holds_alternative<Add>(op)) e.step += this->grid(inputs.back()).step;
    if (std::holds_alternative<Multiply>(op)) e.step *= this->grid(inputs.back()).step * 25.0F;
    if (std::holds_alternative<Sigmoid>(op) || std::holds_alternative<HardSigmoid>(op) ||
        std::holds_alternative<Softmax>(op))
      e.step = 1.0F / 256.0F, e.zero_point = e.code_min;
    e.step = step_near(e.step);
    return append(std::move(op), std::move(inputs), declared, grid.value_or(e), std::nullopt);
  }

  QuantizedModel finish(ValueId output) {
    result_.graph.output = output;
    return std::move(result_);
  }

 private:
  float step_near(float step) const { return style_.power_of_two ? std::exp2(std::round(std::log2(step))) : step; }

  template <class Layer>
  ValueId weighted(ValueId x, Layer op, const Shape& shape) {
    const std::size_t channels = shape[Layer::channel_axis], depth = shape.elements() / channels;
    WeightEncoding w;
    w.codes = array<std::int8_t>(shape);
    for (std::int8_t& code : w.codes) code = static_cast<std::int8_t>(static_cast<int>(below(255)) - 127);
    for (std::size_t c = 0; c != (style_.per_channel ? channels : 1); ++c) {
      w.step.push_back(step_near(0.001F * (1.0F + static_cast<float>(below(100)) / 100.0F)));
      w.zero_point.push_back(style_.asymmetric_weights ? static_cast<std::int32_t>(below(40)) - 20 : 0);
    }
    w.bias = array<std::int32_t>(Shape{channels});
    for (std::int32_t& bias : w.bias) bias = static_cast<std::int32_t>(below(8001)) - 4000;
    const float step = grid(x).step * 0.0015F * 90.0F * std::sqrt(static_cast<float>(depth));
    op.kernel = array<float>(shape), op.offset = array<float>(Shape{channels});
    return append(std::move(op), {x}, {}, encoding(step), std::move(w));
  }

  ValueId append(Operator op, std::vector<ValueId> inputs, const Extent& declared, const ActivationEncoding& e,
                 std::optional<WeightEncoding> w) {
    Node node;
    node.name = std::string{kind_name(op)} + " " + std::to_string(result_.graph.nodes.size());
    node.op = std::move(op), node.inputs = std::move(inputs);
    std::vector<Extent> extents;
    for (const ValueId input : node.inputs) extents.push_back(extent(input));
    node.output = result_.graph.add_value(node.name, infer_extent(node, extents, declared));
    std::visit(
        []<class Layer>(Layer& layer) {
          if constexpr (WeightedLayer<Layer>) layer.kernel = {}, layer.offset = {};
        },
        node.op);
    result_.activations.push_back(e);
    result_.weights.push_back(std::move(w));
    result_.graph.nodes.push_back(std::move(node));
    return result_.graph.nodes.back().output;
  }

  CodeStyle style_;
  std::mt19937 random_;
  QuantizedModel result_;
};

/// A network with every operator that integers can run, most in several forms.
inline QuantizedModel every_operator(const CodeStyle& style) {
  CodeNetwork net{{11, 9, 3}, style};
  const auto window = [](std::size_t kernel, std::size_t stride, Padding padding, std::size_t dilation = 1) {
    return Window{{kernel, kernel}, {stride, stride}, {dilation, dilation}, padding};
  };
  const ValueId given = net.add(ClampLayer{}, {net.input()});
  ValueId x = net.convolution(given, 8, window(3, 2, {0, 1, 1, 1}), 1, relu);   // 5x5x8
  x = net.convolution(x, 12, window(3, 1, {2, 2, 2, 2}, 2), 2, {-0.5F, 0.5F});  // dilated, 2 groups
  const ValueId wide = net.depthwise(x, window(3, 1, {1, 1, 1, 1}), 2);         // 5x5x24
  const ValueId deep = net.depthwise(wide, window(5, 1, {2, 2, 2, 2}), 1, relu6);
  ValueId y = net.add(Add{}, {wide, deep});
  const ValueId gate = net.convolution(net.add(GlobalAveragePool{}, {y}), 24, window(1, 1, {}));
  y = net.add(Multiply{relu}, {y, gate});
  y = net.add(Multiply{}, {y, net.add(HardSigmoid{1.0F, 0.5F}, {deep})});
  y = net.add(Add{relu}, {net.add(Sigmoid{}, {wide}), y}, {}, net.encoding(0.01F));
  y = net.add(Add{}, {y, gate});
  y = net.add(HardSwish{}, {y});
  const ValueId max = net.add(Pool{Pool::Kind::max, window(3, 2, {1, 1, 1, 1}), false}, {y});  // 3x3x24
  const ValueId mean = net.add(Pool{Pool::Kind::average, window(3, 2, {1, 1, 1, 1}), false}, {y});
  const ValueId whole = net.add(Pool{Pool::Kind::average, window(3, 2, {1, 1, 1, 1}), true}, {y});
  y = net.add(Concat{2}, {max, net.add(ClampLayer{relu}, {mean}), whole});  // 3x3x72
  y = net.add(Pad{{1, 0, 0, 2}, 0.03F}, {y});                               // 4x5x72
  y = net.add(Concat{0}, {y, net.add(Resize{Resize::Kind::nearest, Resize::Coordinates::asymmetric}, {y}, {2, 5, 72})});
  y = net.add(Concat{1},
              {y, net.add(Resize{Resize::Kind::nearest, Resize::Coordinates::half_pixel}, {y}, {6, 3, 72})});  // 6x8x72
  for (const auto coordinates : {Resize::Coordinates::half_pixel, Resize::Coordinates::asymmetric,
                                 Resize::Coordinates::align_corners, Resize::Coordinates::pytorch_half_pixel}) {
    y = net.add(Resize{Resize::Kind::bilinear, coordinates}, {y}, {7, 11, 72});
    y = net.add(Resize{Resize::Kind::bilinear, coordinates}, {y}, {6, 8, 72});
  }
  y = net.convolution(y, 5, window(1, 1, {}));
  y = net.add(Reshape{true}, {y}, {5, 6, 8});
  y = net.add(Reshape{false}, {y}, {1, 1, 240, true});
  y = net.dense(y, 20);
  return net.finish(net.add(Softmax{}, {y}));
}

}  // namespace fat::test

#endif
