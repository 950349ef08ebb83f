// LayerGradient: the backward pass of one node of a Model on one image: gradients of inputs, weights and bias.
#ifndef FAT_MODEL_LAYER_GRADIENT_HPP_INCLUDED
#define FAT_MODEL_LAYER_GRADIENT_HPP_INCLUDED

#include <fat/model/float_layer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

/// The clamp that is fused into a node; that of a ClampLayer is its whole work.
inline Clamp fused_clamp(const Operator& op) {
  return std::visit(
      []<class Layer>(const Layer& layer) {
        if constexpr (ClampedLayer<Layer>) return layer.clamp;
        return Clamp{};
      },
      op);
}

/// Whether the gradient of a node's inputs depends on the inputs' values (else on the output's at most).
inline bool gradient_reads_inputs(const Operator& op) {
  if (const auto* pool = std::get_if<Pool>(&op)) return pool->kind == Pool::Kind::max;
  return std::visit(
      []<class Op>(const Op&) {
        if constexpr (OwnOperator<Op>)
          return Op::gradient_reads_inputs;
        else
          return std::is_same_v<Op, Multiply> || std::is_same_v<Op, HardSwish>;
      },
      op);
}

/// One node, prepared. Everywhere dy is the gradient of the output before the fused clamp: the caller sets it to 0
/// where the clamp holds, and where a value is fake-quantized that is one pass with it. The node must outlive this.
class LayerGradient {
 public:
  LayerGradient(const Model& model, const Node& node) : node_(&node), out_(model.extent(node.output)) {
    for (const ValueId input : node.inputs) in_.push_back(model.extent(input));
    if (const auto* op = std::get_if<Convolution>(&node.op))
      convolution_ = {window_shape(op->window, in_[0], out_), op->groups};
    if (std::holds_alternative<Dense>(node.op)) {
      WindowShape s;
      s.in_channels = in_[0].size();
      s.out_channels = out_.channels;
      convolution_ = {s, 1};
    }
    if (products()) packed_.resize(convolution_.packed_transposed_size());
    refresh();
  }

  /// True for convolutions and dense layers, whose gradients are matrix products.
  bool products() const noexcept {
    return std::holds_alternative<Convolution>(node_->op) || std::holds_alternative<Dense>(node_->op);
  }
  /// Floats of scratch memory that every function here needs.
  std::size_t scratch() const noexcept { return products() ? convolution_.scratch() : 0; }
  /// Reads the weights again after they have changed.
  void refresh() {
    if (!products()) return;
    convolution_.pack_transposed(kernel().data(), packed_.data());
  }

  /// dx = (accumulate: +=) gradient of input number `which`. `x` are the inputs where gradient_reads_inputs, `y` is the
  /// output.
  void input(std::size_t which, std::span<const float* const> x, const float* y, const float* dy, float* dx,
             bool accumulate, float* scratch) const {
    std::visit([&](const auto& op) { input(op, Call{which, x, y, dy, dx, accumulate, scratch}); }, node_->op);
  }

  /// dw += gradient of the weights.
  void weights(const float* x, const float* dy, float* dw, float* scratch) const {
    if (products()) return convolution_.weight_gradient(x, dy, dw, scratch);
    const auto& op = std::get<DepthwiseConvolution>(node_->op);
    const WindowShape s = window_shape(op.window, in_[0], out_);
    if (op.multiplier == 1)
      float_kernels::native().depthwise_weights({s, x, nullptr, dy, dw});
    else
      float_reference::convolution_backward<float>(s, 0, x, op.kernel.data(), dy, nullptr, dw, nullptr);
  }
  /// db += gradient of the bias.
  void bias(const float* dy, float* db) const {
    float_kernels::native().column_sums(dy, out_.height * out_.width, out_.channels, 1.0F, db);
  }

  /// Floats of a packed direction of the weights.
  std::size_t direction_size() const { return convolution_.packed_size(); }
  void pack_direction(const float* direction, float* packed) const { convolution_.pack(direction, packed); }
  /// slopes[c] += derivative of the loss along the direction of output channel c's weights (products() only): what a
  /// threshold needs, without the gradient of every weight.
  void along(const float* direction, const float* x, const float* dy, float* slopes, float* scratch) const {
    convolution_.dot(x, direction, dy, slopes, scratch);
  }

 private:
  struct Call {
    std::size_t which;
    std::span<const float* const> x;
    const float *y, *dy;
    float* dx;
    bool accumulate;
    float* scratch;
  };

  const array<float>& kernel() const {
    const auto* op = std::get_if<Convolution>(&node_->op);
    return op != nullptr ? op->kernel : std::get<Dense>(node_->op).kernel;
  }
  /// For gradients that only add.
  void clear(const Call& call) const {
    if (!call.accumulate) std::fill_n(call.dx, in_[call.which].size(), 0.0F);
  }
  void pass(const Call& call) const {
    if (call.accumulate)
      float_kernels::native().accumulate(call.dx, call.dy, out_.size());
    else
      std::copy_n(call.dy, out_.size(), call.dx);
  }
  template <class Function>
  void each(const Call& call, Function&& slope) const {
    clear(call);
    for (std::size_t at = 0; at != out_.size(); ++at) call.dx[at] += call.dy[at] * slope(at);
  }

  template <class Layer>
    requires std::is_same_v<Layer, Convolution> || std::is_same_v<Layer, Dense>
  void input(const Layer&, const Call& call) const {
    convolution_.input_gradient(call.dy, packed_.data(), call.dx, call.accumulate, call.scratch);
  }
  void input(const DepthwiseConvolution& op, const Call& call) const {
    const WindowShape s = window_shape(op.window, in_[0], out_);
    if (op.multiplier == 1) {
      float_kernels::native().depthwise_input({s, call.dy, op.kernel.data(), nullptr, call.dx, call.accumulate});
      return;
    }
    clear(call);
    float_reference::convolution_backward<float>(s, 0, nullptr, op.kernel.data(), call.dy, call.dx, nullptr, nullptr);
  }
  void input(const BatchNormalization& op, const Call& call) const {
    each(call, [&](std::size_t at) {
      const std::size_t k = at % out_.channels;
      return static_cast<float>(op.scale[k] / std::sqrt(op.spread[k] + op.epsilon_value));
    });
  }
  /// Sums over height and width what goes to an operand that was broadcast over them.
  template <class Function>
  void operand(const Call& call, Function&& gradient) const {
    clear(call);
    const std::size_t size = in_[call.which].size();
    for (std::size_t at = 0; at != out_.size(); ++at) call.dx[size == out_.size() ? at : at % size] += gradient(at);
  }
  void input(const Add&, const Call& call) const {
    if (in_[call.which].size() == out_.size()) return pass(call);
    operand(call, [&](std::size_t at) { return call.dy[at]; });
  }
  void input(const Multiply&, const Call& call) const {
    const std::size_t other = 1 - call.which;
    const std::size_t size = in_[other].size();
    operand(call, [&](std::size_t at) { return call.dy[at] * call.x[other][size == out_.size() ? at : at % size]; });
  }
  void collect(const Call& call, const detail::Placement& p) const {
    clear(call);
    float_operators::for_each_run(p.rows, p.width, p.whole, p.top, p.left,
                                  [&](std::size_t from, std::size_t to, std::size_t n) {
                                    float_kernels::native().accumulate(call.dx + to, call.dy + from, n);
                                  });
  }
  void input(const Concat& op, const Call& call) const {
    std::size_t before = 0;
    for (std::size_t each = 0; each != call.which; ++each) before += detail::along(in_[each], op.axis);
    collect(call, detail::joined_placement(op, in_[call.which], out_, before));
  }
  void input(const Pad& op, const Call& call) const { collect(call, detail::padded_placement(op, in_[0], out_)); }
  void input(const Pool& op, const Call& call) const {
    clear(call);
    float_operators::pool_backward(window_shape(op.window, in_[0], out_), op.kind == Pool::Kind::max, op.count_padding,
                                   call.x.empty() ? nullptr : call.x[0], call.y, call.dy, call.dx);
  }
  void input(const GlobalAveragePool&, const Call& call) const {
    clear(call);
    float_operators::global_average_backward(in_[0].height * in_[0].width, out_.channels, call.dy, call.dx);
  }
  void input(const Reshape& op, const Call& call) const {
    if (!op.channels_first) return pass(call);
    clear(call);
    const std::size_t in_pixels = in_[0].height * in_[0].width;
    float_operators::for_each_transposed(out_.height, out_.width, out_.channels, [&](std::size_t n, std::size_t from) {
      call.dx[n % in_pixels * in_[0].channels + n / in_pixels] += call.dy[from];
    });
  }
  void input(const Resize& op, const Call& call) const {
    clear(call);
    float_operators::resize_backward(window_shape({}, in_[0], out_), detail::resize_rule(op), call.dy, call.dx);
  }
  void input(const Softmax&, const Call& call) const {
    clear(call);
    float_operators::softmax_backward(out_.height * out_.width, out_.channels, call.y, call.dy, call.dx);
  }
  template <OwnOperator Op>
  void input(const Op& op, const Call& call) const {
    clear(call);
    op.backward(call.which, in_, out_, call.x, call.y, call.dy, call.dx);
  }
  void input(const ClampLayer&, const Call& call) const { pass(call); }
  void input(const HardSwish&, const Call& call) const {
    each(call, [&](std::size_t at) { return float_operators::hard_swish_slope(call.x[0][at]); });
  }
  void input(const HardSigmoid& op, const Call& call) const {
    each(call, [&](std::size_t at) { return op.slope * float_operators::clamp_slope(call.y[at], 0.0F, 1.0F); });
  }
  void input(const Sigmoid&, const Call& call) const {
    each(call, [&](std::size_t at) { return call.y[at] * (1.0F - call.y[at]); });
  }

  const Node* node_;
  std::vector<Extent> in_;
  Extent out_;
  float_kernels::Convolution convolution_;
  aligned_vector<float> packed_;
};

}  // namespace fat::inline FAT_ABI

#endif
