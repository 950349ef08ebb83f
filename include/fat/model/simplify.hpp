// Rewrites of a Model that leave its function as it is: fused clamps, folded batch normalization, depthwise layers, no idle nodes.
#ifndef FAT_MODEL_SIMPLIFY_HPP_INCLUDED
#define FAT_MODEL_SIMPLIFY_HPP_INCLUDED

#include <fat/model/extents.hpp>
#include <fat/transform/fold_batch_norm.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// Who makes each value and how often it is read, counted once; kept up as nodes take over the work of others.
class ModelUses {
 public:
  explicit ModelUses(const Model& model)
      : readers_(model.values.size(), 0), producers_(model.values.size(), none), dropped_(model.nodes.size(), false) {
    ++readers_[model.output];
    for (std::size_t n = 0; n != model.nodes.size(); ++n) {
      producers_[model.nodes[n].output] = n;
      for (const ValueId input : model.nodes[n].inputs) ++readers_[input];
    }
  }

  /// As consumers(model, value).
  std::size_t readers(ValueId value) const { return readers_[value]; }
  /// The node that makes a value, if the value is read by one node only; else none.
  std::optional<std::size_t> sole_producer(ValueId value) const {
    return readers_[value] == 1 && producers_[value] != none ? std::optional{producers_[value]} : std::nullopt;
  }
  bool dropped(std::size_t n) const { return dropped_[n]; }

  /// Node n goes, because `producer` has taken over its work: the producer now makes n's output.
  void absorb(Model& model, std::size_t producer, std::size_t n) {
    model.nodes[producer].output = model.nodes[n].output;
    producers_[model.nodes[n].output] = producer;
    drop(model, n);
  }
  void drop(const Model& model, std::size_t n) {
    for (const ValueId input : model.nodes[n].inputs) --readers_[input];
    dropped_[n] = true;
  }
  /// Takes the dropped nodes out of the model, and what stands beside them out of `beside`.
  template <class... Beside>
  void remove_dropped(Model& model, std::vector<Beside>&... beside) const {
    const auto compact = [&](auto& list) {
      std::size_t kept = 0;
      for (std::size_t n = 0; n != list.size(); ++n)
        if (!dropped_[n] && kept++ != n) list[kept - 1] = std::move(list[n]);
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(kept), list.end());
    };
    compact(model.nodes);
    (compact(beside), ...);
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::vector<std::size_t> readers_, producers_;
  std::vector<bool> dropped_;
};

inline bool identity(const Model& model, const Node& node) {
  if (node.inputs.empty()) return false;
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
/// same extent, concatenation of one), but one that is all between the model's input and its output.
inline void drop_idle_nodes(Model& model) {
  detail::ModelUses uses{model};
  for (std::size_t n = model.nodes.size(); n-- != 0;)
    if (uses.readers(model.nodes[n].output) == 0) uses.drop(model, n);
  std::vector<ValueId> source(model.values.size());  // what the readers of a value read at last
  std::iota(source.begin(), source.end(), ValueId{0});
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    if (uses.dropped(n)) continue;
    Node& node = model.nodes[n];
    for (ValueId& input : node.inputs) input = source[input];
    const bool whole = node.inputs.size() == 1 && node.inputs[0] == model.input && node.output == model.output;
    if (whole || !detail::identity(model, node)) continue;  // the output keeps a name of its own
    source[node.output] = node.inputs[0];
    uses.drop(model, n);
  }
  model.output = source[model.output];
  uses.remove_dropped(model);
  drop_unused_values(model);
}

/// Moves each ClampLayer into the layer before it, where that layer has no other reader and takes a clamp. Two clamps
/// in a row become one.
inline void fuse_clamps(Model& model) {
  detail::ModelUses uses{model};
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const auto* layer = std::get_if<ClampLayer>(&model.nodes[n].op);
    const auto producer = layer != nullptr ? uses.sole_producer(model.nodes[n].inputs[0]) : std::nullopt;
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
    if (fused) uses.absorb(model, *producer, n);
  }
  uses.remove_dropped(model);
  drop_unused_values(model);
}

/// Writes every average pool of one window over its whole image as the GlobalAveragePool that it is: a mean, which has a
/// grid of its own, where a pool has to keep the grid of the far larger pixels.
inline void name_global_means(Model& model) {
  for (Node& node : model.nodes) {
    const auto* const pool = std::get_if<Pool>(&node.op);
    if (pool == nullptr || pool->kind != Pool::Kind::average || pool->window.dilation != Pair{}) continue;
    const Extent &in = model.extent(node.inputs[0]), &out = model.extent(node.output);
    const Window& w = pool->window;
    const bool whole = w.kernel.height >= w.padding.top + in.height && w.kernel.width >= w.padding.left + in.width;
    const bool larger = w.kernel != Pair{in.height, in.width};
    if (out.height * out.width == 1 && !out.vector && whole && !(pool->count_padding && larger))
      node.op = GlobalAveragePool{};
  }
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
  detail::ModelUses uses{model};
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    Node& node = model.nodes[n];
    const auto* norm = std::get_if<BatchNormalization>(&node.op);
    if (norm == nullptr) continue;
    const std::string name = "batch normalization '" + node.name + "'";
    const auto producer = uses.sole_producer(node.inputs[0]);
    bool folded = false;
    if (producer)
      with_weighted(model.nodes[*producer].op, [&](auto& before) {
        if (before.clamp.active()) return;
        fold_batch_norm(before, *norm, name);
        folded = true;
      });
    if (folded) {
      uses.absorb(model, *producer, n);
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
  }
  uses.remove_dropped(model);
  infer_extents(model);
  drop_unused_values(model);
}

}  // namespace fat::inline FAT_ABI

#endif
