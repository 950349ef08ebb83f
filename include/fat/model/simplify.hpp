// Rewrites of a Model that leave its function as it is: fused clamps, folded batch normalization, depthwise layers, no idle nodes.
#ifndef FAT_MODEL_SIMPLIFY_HPP_INCLUDED
#define FAT_MODEL_SIMPLIFY_HPP_INCLUDED

#include <fat/model/extents.hpp>
#include <fat/transform/fold_batch_norm.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// The node that makes a value, if the value is read by one node only; else none.
inline std::optional<std::size_t> sole_producer(const Model& model, ValueId value) {
  if (consumers(model, value) != 1) return std::nullopt;
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    if (model.nodes[n].output == value) return n;
  return std::nullopt;
}

/// Removes node n, whose work node `producer` has taken over: the producer now makes n's output.
inline void absorb(Model& model, std::size_t producer, std::size_t n) {
  model.nodes[producer].output = model.nodes[n].output;
  model.nodes.erase(model.nodes.begin() + static_cast<std::ptrdiff_t>(n));
}

/// Removes node n, which passes its input on unchanged.
inline void bypass(Model& model, std::size_t n) {
  const ValueId from = model.nodes[n].inputs[0];
  const ValueId to = model.nodes[n].output;
  for (Node& node : model.nodes) std::replace(node.inputs.begin(), node.inputs.end(), to, from);
  if (model.output == to) model.output = from;
  model.nodes.erase(model.nodes.begin() + static_cast<std::ptrdiff_t>(n));
}

inline bool identity(const Model& model, const Node& node) {
  const bool same = model.extent(node.inputs[0]) == model.extent(node.output);
  if (std::holds_alternative<Reshape>(node.op)) return same;
  if (const auto* pad = std::get_if<Pad>(&node.op)) return pad->padding == Padding{};
  if (const auto* clamp = std::get_if<ClampLayer>(&node.op)) return !clamp->clamp.active();
  if (std::holds_alternative<Concat>(node.op)) return node.inputs.size() == 1;
  return false;
}

}  // namespace detail

/// Drops the values that no node makes or reads and renumbers the rest.
inline void drop_unused_values(Model& model) {
  std::vector<bool> used(model.values.size(), false);
  used[model.input] = used[model.output] = true;
  for (const Node& node : model.nodes) {
    used[node.output] = true;
    for (const ValueId input : node.inputs) used[input] = true;
  }
  std::vector<ValueId> renamed(model.values.size(), 0);
  std::vector<Value> kept;
  for (ValueId value = 0; value != used.size(); ++value)
    if (used[value]) {
      renamed[value] = kept.size();
      kept.push_back(std::move(model.values[value]));
    }
  model.values = std::move(kept);
  model.input = renamed[model.input];
  model.output = renamed[model.output];
  for (Node& node : model.nodes) {
    node.output = renamed[node.output];
    for (ValueId& input : node.inputs) input = renamed[input];
  }
}

/// Removes nodes whose output nothing reads, and nodes that change nothing (empty padding, open clamp, reshape to the
/// same extent, concatenation of one).
inline void drop_idle_nodes(Model& model) {
  for (std::size_t n = model.nodes.size(); n-- != 0;)
    if (consumers(model, model.nodes[n].output) == 0)
      model.nodes.erase(model.nodes.begin() + static_cast<std::ptrdiff_t>(n));
  for (std::size_t n = model.nodes.size(); n-- != 0;)
    if (detail::identity(model, model.nodes[n])) detail::bypass(model, n);
  drop_unused_values(model);
}

/// Moves each ClampLayer into the layer before it, where that layer has no other reader and takes a clamp. Two clamps
/// in a row become one.
inline void fuse_clamps(Model& model) {
  for (std::size_t n = 0; n != model.nodes.size();) {
    const auto* layer = std::get_if<ClampLayer>(&model.nodes[n].op);
    const auto producer = layer != nullptr ? detail::sole_producer(model, model.nodes[n].inputs[0]) : std::nullopt;
    bool fused = false;
    if (producer)
      fused = std::visit(
          [&]<class Before>(Before& before) {
            if constexpr (ClampedLayer<Before>) {
              Clamp& clamp = before.clamp;
              const Clamp& next = layer->clamp;
              clamp = {std::min(std::max(clamp.low, next.low), next.high),
                       std::min(std::max(clamp.high, next.low), next.high)};
              return true;
            }
            return false;
          },
          model.nodes[*producer].op);
    fused ? detail::absorb(model, *producer, n) : static_cast<void>(++n);
  }
  drop_unused_values(model);
}

/// Writes every convolution with one input channel a group as the depthwise convolution that it is, which rescaling and
/// the kernels know better.
inline void name_depthwise(Model& model) {
  for (Node& node : model.nodes) {
    auto* const grouped = std::get_if<Convolution>(&node.op);
    if (grouped == nullptr || grouped->groups == 1 || grouped->kernel.shape()[3] != 1) continue;
    const std::size_t outputs = grouped->kernel.shape()[0], taps = grouped->kernel.size() / outputs;
    DepthwiseConvolution depthwise;
    depthwise.window = grouped->window;
    depthwise.multiplier = outputs / grouped->groups;
    depthwise.clamp = grouped->clamp;
    depthwise.kernel = array<float>{{1, grouped->kernel.shape()[1], grouped->kernel.shape()[2], outputs}};
    for (std::size_t c = 0; c != outputs; ++c)
      for (std::size_t tap = 0; tap != taps; ++tap)
        depthwise.kernel[tap * outputs + c] = grouped->kernel[c * taps + tap];
    depthwise.offset = std::move(grouped->offset);
    node.op = std::move(depthwise);
  }
}

/// Folds every BatchNormalization into the convolution or dense layer before it; where there is none to take it
/// (another reader, a clamp in between, another operator), it becomes a 1x1 depthwise convolution. No
/// BatchNormalization is left. Errors: those of fat::fold_batch_norm(layer, normalization), with the node's name.
inline void fold_batch_norm(Model& model) {
  for (std::size_t n = 0; n != model.nodes.size();) {
    Node& node = model.nodes[n];
    const auto* norm = std::get_if<BatchNormalization>(&node.op);
    if (norm == nullptr) {
      ++n;
      continue;
    }
    const std::string name = "batch normalization '" + node.name + "'";
    const auto producer = detail::sole_producer(model, node.inputs[0]);
    bool folded = false;
    if (producer)
      with_weighted(model.nodes[*producer].op, [&](auto& before) {
        if (before.clamp.active()) return;
        fold_batch_norm(before, *norm, name);
        folded = true;
      });
    if (folded) {
      detail::absorb(model, *producer, n);
      continue;
    }
    const ChannelAffine affine = channel_affine(*norm, name);
    const std::size_t channels = affine.scale.size();
    DepthwiseConvolution scale;
    scale.kernel = array<float>{{1, 1, 1, channels}, {affine.scale.begin(), affine.scale.end()}};
    scale.offset = array<float>{{channels}, {affine.shift.begin(), affine.shift.end()}};
    Extent& extent = model.values[node.output].extent;
    extent.vector = false;
    node.op = std::move(scale);
    ++n;
  }
  infer_extents(model);
  drop_unused_values(model);
}

}  // namespace fat::inline FAT_ABI

#endif
