// A quantized network computed by the reference kernels alone, whole image by whole image: the specification of IntegerModel.
#ifndef FAT_TESTS_SUPPORT_REFERENCE_NETWORK_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_REFERENCE_NETWORK_HPP_INCLUDED

#include <fat/kernel/reference/convolution.hpp>
#include <fat/kernel/reference/elementwise.hpp>
#include <fat/kernel/reference/hard_swish.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/kernel/reference/resize.hpp>
#include <fat/kernel/reference/softmax.hpp>
#include <fat/model/float_layer.hpp>
#include <fat/model/integer_stage.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <variant>
#include <vector>

namespace fat::test {

/// Bytes of every value (raised by 128 where signed) for one image of bytes. Rounding is that of every requantization
/// but those of dense layers, DenseRounding theirs; pools, softmax and what TFLite computes in 16 bits have arithmetic of
/// their own.
template <class Rounding = SingleRounding, class DenseRounding = Rounding>
class ReferenceNetwork {
 public:
  using Bytes = std::vector<std::uint8_t>;

  explicit ReferenceNetwork(const QuantizedModel& model) : model_(model) {}

  std::vector<Bytes> run(Bytes image) {
    values_.assign(model_.graph.values.size(), {});
    values_[model_.graph.input] = std::move(image);
    for (const Node& node : model_.graph.nodes) {
      node_ = &node;
      grids_.clear();
      for (const ValueId input : node.inputs) grids_.emplace_back(*model_.activations[input]);
      y_ = detail::ByteGrid{*model_.activations[node.output]};
      weights_ = model_.weights[static_cast<std::size_t>(&node - model_.graph.nodes.data())]
                     ? &*model_.weights[static_cast<std::size_t>(&node - model_.graph.nodes.data())]
                     : nullptr;
      values_[node.output].resize(out().size());
      std::visit([&](const auto& op) { layer(op); }, node.op);
    }
    return std::move(values_);
  }

 private:
  const Bytes& x(std::size_t i = 0) const { return values_[node_->inputs[i]]; }
  std::uint8_t* y() { return values_[node_->output].data(); }
  const Extent& in(std::size_t i = 0) const { return model_.graph.extent(node_->inputs[i]); }
  const Extent& out() const { return model_.graph.extent(node_->output); }
  /// Halves up, away from code 0 of int8 (TFLite), or to even real multiples.
  MeanRounding means() const {
    if constexpr (std::is_same_v<Rounding, SingleHalfEven>) return {y_.zero, true};
    return {std::is_same_v<Rounding, DoubleRounding> ? 128 : -1, false};
  }
  Bytes regridded(std::size_t i) const {
    Bytes codes(x(i).size());
    reference::requantize(x(i).data(), codes.size(), detail::regrid_stage(grids_[i], y_), codes.data(), Rounding{});
    return codes;
  }

  template <class Sums, class Policy = Rounding>
  void product(const Clamp& clamp, const Geometry& g, Sums sums_of, Policy policy = {}) {
    y_.clamp_to(clamp);
    std::vector<FixedPointMultiplier> multipliers;
    std::vector<std::int32_t> zeros, sums(g.rows() * g.out_channels);
    for (std::size_t c = 0; c != g.out_channels; ++c) {
      multipliers.push_back(detail::product_multiplier(grids_[0], *weights_, c, y_));
      zeros.push_back(weights_->channel_zero_point(c));
    }
    sums_of(x().data(), grids_[0].zero, weights_->codes.data(), zeros.data(), weights_->bias.data(), g, sums.data());
    reference::finish(sums.data(), g.rows(), g.out_channels,
                      OutputStage{multipliers.data(), false, y_.zero, y_.low, y_.high}, y(), policy);
  }
  void layer(const Convolution& op) {
    Geometry g = detail::geometry(op.window, in(), out());
    g.groups = op.groups;
    product(op.clamp, g, reference::convolution<std::uint8_t>);
  }
  void layer(const Dense& op) {
    Geometry g;
    g.in_channels = in().size(), g.out_channels = out().channels;
    product(op.clamp, g, reference::convolution<std::uint8_t>, DenseRounding{});
  }
  void layer(const DepthwiseConvolution& op) {
    product(op.clamp, detail::geometry(op.window, in(), out()), reference::depthwise<std::uint8_t>);
  }

  void layer(const Add& op) {
    y_.clamp_to(op.clamp);
    reference::add(x(0).data(), x(1).data(), x(0).size(), x(1).size(), detail::add_stage(grids_[0], grids_[1], y_), y(),
                   Rounding{});
  }
  void layer(const Multiply& op) {
    y_.clamp_to(op.clamp);
    reference::multiply(x(0).data(), x(1).data(), x(0).size(), x(1).size(),
                        detail::multiply_stage(grids_[0], grids_[1], y_), y(), Rounding{});
  }
  void layer(const ClampLayer& op) {
    y_.clamp_to(op.clamp);
    values_[node_->output] = regridded(0);
  }
  template <class Tabulated>
  void layer(const Tabulated& op) {
    const detail::ByteTable table = detail::function_table<Tabulated>(op, grids_[0], y_, Requantization::half_up);
    for (std::size_t i = 0; i != x().size(); ++i) y()[i] = table[x()[i]];
  }
  void layer(const HardSwish& op) {
    if constexpr (!std::is_same_v<Rounding, DoubleRounding>) {
      layer<HardSwish>(op);
    } else {  // as the runtime that rounds twice does it: in 16 bits
      HardSwishStage stage = HardSwishStage::from_steps(grids_[0].step, y_.step);
      stage.zero_in = grids_[0].zero, stage.zero_out = y_.zero;
      stage.low = y_.low, stage.high = y_.high;
      reference::hard_swish(x().data(), x().size(), stage, y());
    }
  }
  void layer(const BatchNormalization&) { fail("a reference network has no batch normalization"); }
  void layer(const Softmax&) {
    const SoftmaxStage stage = detail::softmax_stage(grids_[0], y_, node_->name);
    for (std::size_t at = 0; at != x().size(); at += out().channels)
      reference::softmax(x().data() + at, out().channels, stage, 0, y() + at);
  }
  void layer(const Pool& op) {
    const Geometry g = detail::geometry(op.window, in(), out());
    if (op.kind == Pool::Kind::max) {
      reference::max_pool(x().data(), g, y_.low, y_.high, y());
      return;
    }
    reference::average_pool(x().data(), g, op.count_padding, grids_[0].zero, y_.low, y_.high, y(), means());
  }
  void layer(const GlobalAveragePool&) {
    reference::mean(x().data(), in().height * in().width, in().channels, detail::regrid_stage(grids_[0], y_), y(),
                    Rounding{});
  }
  void layer(const Concat& op) {
    const auto inner = [&](const Extent& e) {
      return op.axis == 0 ? e.size() : op.axis == 1 ? e.width * e.channels : e.channels;
    };
    std::size_t before = 0;
    for (std::size_t i = 0; i != node_->inputs.size(); ++i) {
      const std::size_t width = inner(in(i));
      reference::concat(x(i).data(), x(i).size() / width, width, inner(out()), before,
                        detail::regrid_stage(grids_[i], y_), y(), Rounding{});
      before += width;
    }
  }
  void layer(const Pad& op) {
    reference::pad(regridded(0).data(), in().height, in().width, in().channels, op.padding.top, op.padding.left,
                   out().height, out().width, static_cast<std::uint8_t>(y_.nearest(static_cast<double>(op.value))),
                   y());
  }
  void layer(const View& op) {
    const Bytes codes = regridded(0);
    op.for_each([&](std::size_t from, std::size_t to) { y()[to] = codes[from]; });
  }
  void layer(const Gather& op) {
    const Bytes codes = regridded(0);
    for (std::size_t i = 0; i != out().size(); ++i) {
      const std::size_t k = i % op.inner, at = i / op.inner % op.indices.size(), outer = i / op.inner / op.indices.size();
      y()[i] = codes[(outer * op.axis + op.indices[at]) * op.inner + k];
    }
  }
  template <OwnOperator Op>
    requires(!Op::moves_only && !std::is_same_v<Op, Function>)
  void layer(const Op&) { fail("ReferenceNetwork: a ", Op::kind, " has no form in integers"); }
  void layer(const Reshape& op) {
    const Bytes codes = regridded(0);
    const std::size_t from = in().height * in().width, to = out().height * out().width;
    for (std::size_t n = 0; n != codes.size(); ++n) {
      if (op.channels_first)
        y()[n % to * out().channels + n / to] = codes[n % from * in().channels + n / from];
      else
        y()[n] = codes[n];
    }
  }
  void layer(const Resize& op) {
    const Bytes codes = regridded(0);
    const auto rows = detail::resize_samples(op, in().height, out().height);
    const auto columns = detail::resize_samples(op, in().width, out().width);
    if (op.kind == Resize::Kind::nearest)
      reference::resize_nearest(codes.data(), in().width, in().channels, rows.data(), rows.size(), columns.data(),
                                columns.size(), y());
    else
      reference::resize_bilinear(codes.data(), in().width, in().channels, rows.data(), rows.size(), columns.data(),
                                 columns.size(), means(), y());
  }

  const QuantizedModel& model_;
  const Node* node_ = nullptr;
  const WeightEncoding* weights_ = nullptr;
  std::vector<detail::ByteGrid> grids_;
  detail::ByteGrid y_;
  std::vector<Bytes> values_;
};

}  // namespace fat::test

#endif
