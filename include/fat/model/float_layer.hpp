// FloatLayer: one node ready to run in float on one image, its weights packed for this machine; work split in parts.
#ifndef FAT_MODEL_FLOAT_LAYER_HPP_INCLUDED
#define FAT_MODEL_FLOAT_LAYER_HPP_INCLUDED

#include <fat/kernel/float/convolution.hpp>
#include <fat/kernel/float/operators.hpp>
#include <fat/kernel/float/reference.hpp>
#include <fat/model/extents.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// Places an input of a Concat, or the input of a Pad, inside the output: rows, elements a row, top row, left element.
struct Placement {
  std::size_t rows, width, whole, top, left;
};

inline Placement padded_placement(const Pad& op, const Extent& in, const Extent& out) {
  return {in.height, in.width * in.channels, out.width * out.channels, op.padding.top, op.padding.left * out.channels};
}

/// `before` is the sum of the extents along the axis of the inputs before this one.
inline Placement joined_placement(const Concat& op, const Extent& in, const Extent& out, std::size_t before) {
  if (op.axis == 0) return {in.height, in.width * in.channels, out.width * out.channels, before, 0};
  if (op.axis == 1) return {in.height, in.width * in.channels, out.width * out.channels, 0, before * out.channels};
  return {in.height * in.width, in.channels, out.channels, 0, before};
}

inline std::size_t along(const Extent& extent, std::size_t axis) {
  return axis == 0 ? extent.height : axis == 1 ? extent.width : extent.channels;
}

inline float_operators::ResizeRule resize_rule(const Resize& op) {
  using float_operators::Sampling;
  const Sampling linear = op.in_steps ? Sampling::in_steps : Sampling::linear;
  return {op.coordinates, op.kind == Resize::Kind::nearest ? Sampling::nearest : linear, op.pixel};
}

}  // namespace detail

/// One node of a model, prepared. The node and its weights are read at construction and must outlive the layer.
class FloatLayer {
 public:
  FloatLayer(const Model& model, const Node& node) : node_(&node), out_(model.extent(node.output)) {
    for (const ValueId input : node.inputs) in_.push_back(model.extent(input));
    std::visit([&](const auto& op) { prepare(op); }, node.op);
  }

  /// How many parts of work the layer falls into; results do not depend on which parts run together.
  std::size_t parts() const noexcept { return parts_; }
  /// Floats of scratch memory that run needs.
  std::size_t scratch() const noexcept { return scratch_; }
  /// Reads the weights again after they have changed.
  void refresh() {
    if (packed_.empty()) return;
    const auto* op = std::get_if<Convolution>(&node_->op);
    convolution_.pack(op != nullptr ? op->kernel.data() : std::get<Dense>(node_->op).kernel.data(), packed_.data());
  }

  /// Runs parts [first, last) on one image.
  void run(std::span<const float* const> inputs, float* output, std::size_t first, std::size_t last,
           float* scratch) const {
    std::visit([&](const auto& op) { run(op, inputs, output, first, last, scratch); }, node_->op);
  }

 private:
  using Inputs = std::span<const float* const>;

  template <class Layer>
  void prepare(const Layer&) {
    constexpr bool whole =
        std::is_same_v<Layer, Concat> || std::is_same_v<Layer, Pad> || std::is_same_v<Layer, Reshape> ||
        OwnOperator<Layer>;
    parts_ = whole ? 1 : out_.height;
  }
  void prepare(const Convolution& op) { prepare(window_shape(op.window, in_[0], out_), op.groups, op.kernel); }
  void prepare(const Dense& op) {
    WindowShape s;
    s.in_channels = in_[0].size();
    s.out_channels = out_.channels;
    prepare(s, 1, op.kernel);
  }
  void prepare(const DepthwiseConvolution& op) { parts_ = op.multiplier == 1 ? out_.height : 1; }
  void prepare(const WindowShape& s, std::size_t groups, const array<float>& kernel) {
    convolution_ = {s, groups};
    packed_.resize(convolution_.packed_size());
    convolution_.pack(kernel.data(), packed_.data());
    parts_ = convolution_.parts();
    scratch_ = convolution_.scratch();
  }

  template <class Layer>
    requires std::is_same_v<Layer, Convolution> || std::is_same_v<Layer, Dense>
  void run(const Layer& op, Inputs x, float* y, std::size_t first, std::size_t last, float* scratch) const {
    convolution_.forward(x[0], packed_.data(), op.offset.data(), op.clamp.low, op.clamp.high, y, first, last, scratch);
  }
  void run(const DepthwiseConvolution& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    const WindowShape s = window_shape(op.window, in_[0], out_);
    if (op.multiplier == 1) {
      const float_kernels::Depthwise call{s, x[0],  op.kernel.data(), op.offset.data(),
                                          y, false, op.clamp.low,     op.clamp.high};
      float_kernels::native().depthwise(call, first, last);
      return;
    }
    float_reference::convolution(s, 0, x[0], op.kernel.data(), op.offset.data(), y);
    for (std::size_t at = 0; at != s.out_size(); ++at)
      y[at] = float_operators::clamp(y[at], op.clamp.low, op.clamp.high);
  }

  std::size_t row() const noexcept { return out_.width * out_.channels; }

  template <class Function>
  void each(std::size_t first, std::size_t last, const float* x, float* y, Function&& function) const {
    for (std::size_t at = first * row(); at != last * row(); ++at) y[at] = function(x[at]);
  }
  template <class Function>
  void each_pair(Inputs x, float* y, std::size_t first, std::size_t last, const Clamp& clamp,
                 Function&& function) const {
    const bool same = in_[1].size() == in_[0].size();
    const std::size_t run = same ? (last - first) * row() : out_.channels;
    const std::size_t runs = same ? 1 : (last - first) * out_.width;
    for (std::size_t each = 0; each != runs; ++each) {
      const float* a = x[0] + first * row() + each * run;
      const float* b = same ? x[1] + first * row() : x[1];
      float* to = y + first * row() + each * run;
      for (std::size_t k = 0; k != run; ++k)
        to[k] = float_operators::clamp(function(a[k], b[k]), clamp.low, clamp.high);
    }
  }
  void run(const Add& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    if (in_[1].size() == in_[0].size()) {
      const std::size_t at = first * row();
      float_kernels::native().add(x[0] + at, x[1] + at, y + at, last * row() - at, op.clamp.low, op.clamp.high);
      return;
    }
    each_pair(x, y, first, last, op.clamp, [](float a, float b) { return a + b; });
  }
  void run(const Multiply& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    each_pair(x, y, first, last, op.clamp, [](float a, float b) { return a * b; });
  }
  void run(const BatchNormalization& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    for (std::size_t k = 0; k != out_.channels; ++k) {
      const double scale = op.scale[k] / std::sqrt(op.spread[k] + op.epsilon_value);
      const double shift = op.shift[k] - op.center[k] * scale;
      for (std::size_t at = first * row() + k; at < last * row(); at += out_.channels)
        y[at] = static_cast<float>(x[0][at] * scale + shift);
    }
  }
  static void place(const detail::Placement& p, const float* x, float* y) {
    float_operators::for_each_run(
        p.rows, p.width, p.whole, p.top, p.left,
        [&](std::size_t to, std::size_t from, std::size_t n) { std::copy_n(x + from, n, y + to); });
  }
  void run(const Concat& op, Inputs x, float* y, std::size_t, std::size_t, float*) const {
    std::size_t before = 0;
    for (std::size_t each = 0; each != x.size(); ++each) {
      place(detail::joined_placement(op, in_[each], out_, before), x[each], y);
      before += detail::along(in_[each], op.axis);
    }
  }
  void run(const Pad& op, Inputs x, float* y, std::size_t, std::size_t, float*) const {
    std::fill_n(y, out_.size(), op.value);
    place(detail::padded_placement(op, in_[0], out_), x[0], y);
  }
  void run(const Pool& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    float_operators::pool(window_shape(op.window, in_[0], out_), op.kind == Pool::Kind::max, op.count_padding, first,
                          last, x[0], y);
  }
  void run(const GlobalAveragePool&, Inputs x, float* y, std::size_t, std::size_t, float*) const {
    const std::size_t pixels = in_[0].height * in_[0].width;
    std::fill_n(y, out_.channels, 0.0F);
    float_kernels::native().column_sums(x[0], pixels, out_.channels, 1.0F / static_cast<float>(pixels), y);
  }
  void run(const Reshape& op, Inputs x, float* y, std::size_t, std::size_t, float*) const;
  void run(const Resize& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    const WindowShape s = window_shape({}, in_[0], out_);
    float_operators::resize(s, detail::resize_rule(op), first, last, x[0], y);
  }
  void run(const Softmax&, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    float_operators::softmax((last - first) * out_.width, out_.channels, x[0] + first * row(), y + first * row());
  }
  void run(const ClampLayer& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    each(first, last, x[0], y, [&](float v) { return float_operators::clamp(v, op.clamp.low, op.clamp.high); });
  }
  void run(const HardSwish&, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    each(first, last, x[0], y, [](float v) { return float_operators::hard_swish(v); });
  }
  void run(const HardSigmoid& op, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    each(first, last, x[0], y,
         [&](float v) { return float_operators::clamp(op.slope * v + op.intercept, 0.0F, 1.0F); });
  }
  template <OwnOperator Op>
  void run(const Op& op, Inputs x, float* y, std::size_t, std::size_t, float*) const {
    op.forward(in_, out_, x, y);
  }
  void run(const Sigmoid&, Inputs x, float* y, std::size_t first, std::size_t last, float*) const {
    each(first, last, x[0], y, [](float v) { return float_operators::sigmoid(v); });
  }

  const Node* node_;
  std::vector<Extent> in_;
  Extent out_;
  float_kernels::Convolution convolution_;
  aligned_vector<float> packed_;
  std::size_t parts_ = 1;
  std::size_t scratch_ = 0;
};

inline void FloatLayer::run(const Reshape& op, Inputs x, float* y, std::size_t, std::size_t, float*) const {
  if (!op.channels_first) {
    std::copy_n(x[0], out_.size(), y);
    return;
  }
  // Walk both images in CHW order together: element n of one is element n of the other.
  const std::size_t in_pixels = in_[0].height * in_[0].width;
  float_operators::for_each_transposed(out_.height, out_.width, out_.channels, [&](std::size_t n, std::size_t to) {
    y[to] = x[0][n % in_pixels * in_[0].channels + n / in_pixels];
  });
}

}  // namespace fat::inline FAT_ABI

#endif
