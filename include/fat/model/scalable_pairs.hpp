// scalable_pairs: the pairs of layers of a Model whose channels between can be scaled, and what those channels carry.
#ifndef FAT_MODEL_SCALABLE_PAIRS_HPP_INCLUDED
#define FAT_MODEL_SCALABLE_PAIRS_HPP_INCLUDED

#include <fat/model/forward.hpp>
#include <fat/model/layerwise.hpp>
#include <fat/quantizer/grid.hpp>
#include <fat/transform/rescale_channels.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fat::inline FAT_ABI {

/// Two weighted layers with nothing between them but an activation that can be passed, and padding with zeros; nothing
/// else reads what the first makes.
struct ScalablePair {
  std::size_t first = 0;
  std::size_t second = 0;
  bool operator==(const ScalablePair&) const = default;
};

/// The upper end of a clamp that cuts negative values and those above it, as ReLU6 does; else none.
inline std::optional<double> relu_bound(const Clamp& clamp) {
  if (clamp.low != 0.0F || !(clamp.high > 0.0F) || !std::isfinite(clamp.high)) return std::nullopt;
  return static_cast<double>(clamp.high);
}

/// Calls f(Identity{}), f(ReLU{}) or f(BoundedReLU{bound}) for a clamp that is one of them; returns whether it is.
template <class Function>
bool with_activation(const Clamp& clamp, Function&& f) {
  if (clamp == Clamp{})
    f(Identity{});
  else if (clamp == relu)
    f(ReLU{});
  else if (const auto bound = relu_bound(clamp))
    f(BoundedReLU{*bound});
  else
    return false;
  return true;
}

namespace detail {

inline bool weighted(const Operator& op) {
  return std::holds_alternative<Convolution>(op) || std::holds_alternative<DepthwiseConvolution>(op) ||
         std::holds_alternative<Dense>(op);
}

/// The only node that reads a value, unless the value is the model's output.
inline std::optional<std::size_t> sole_reader(const Model& model, ValueId value) {
  if (consumers(model, value) != 1 || value == model.output) return std::nullopt;
  for (std::size_t n = 0; n != model.nodes.size(); ++n)
    if (std::count(model.nodes[n].inputs.begin(), model.nodes[n].inputs.end(), value) == 1) return n;
  return std::nullopt;
}

/// The weighted layer that alone reads the output of node n, through pads with 0.
inline std::optional<std::size_t> weighted_reader(const Model& model, std::size_t n) {
  std::optional<std::size_t> reader = sole_reader(model, model.nodes[n].output);
  while (reader) {
    const Pad* const pad = std::get_if<Pad>(&model.nodes[*reader].op);
    if (pad == nullptr || pad->value != 0.0F) break;
    reader = sole_reader(model, model.nodes[*reader].output);
  }
  if (!reader || !weighted(model.nodes[*reader].op)) return std::nullopt;
  // A dense layer on an image reads every channel at every place; only a vector's channels are its inputs.
  const Extent& extent = model.extent(model.nodes[n].output);
  if (std::holds_alternative<Dense>(model.nodes[*reader].op) && extent.size() != extent.channels) return std::nullopt;
  return reader;
}

/// The model with the clamps of some nodes as layers of their own. made[i] is the value of nodes[i] before its clamp.
inline Model with_open_clamps(Model model, std::span<const std::size_t> nodes, std::vector<ValueId>& made) {
  std::vector<Node> rebuilt;
  made.assign(nodes.size(), 0);
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    Node node = model.nodes[n];
    const auto at = std::find(nodes.begin(), nodes.end(), n);
    if (at == nodes.end()) {
      rebuilt.push_back(std::move(node));
      continue;
    }
    const ValueId after = node.output;
    const ValueId before = model.add_value(node.name + "/before_clamp", model.extent(after));
    made[static_cast<std::size_t>(at - nodes.begin())] = before;
    const Clamp clamp = clamp_of(node.op);
    const std::string name = node.name + "/clamp";
    rebuilt.push_back({node.name, with_clamp(std::move(node.op), {}), node.inputs, before});
    rebuilt.push_back({name, ClampLayer{clamp}, {before}, after});
  }
  model.nodes = std::move(rebuilt);
  return model;
}

/// Calls f(first layer, second layer) with the types of a pair of weighted nodes.
template <class Function>
void with_pair(Model& model, const ScalablePair& pair, Function&& f) {
  with_weighted(model.nodes[pair.first].op, [&](auto& first) {
    with_weighted(model.nodes[pair.second].op, [&](auto& second) { f(first, second); });
  });
}

}  // namespace detail

/// Every pair whose first layer is depthwise (or, with `all`, any weighted layer) and whose activation is none, ReLU or
/// ReLU with a bound (ReLU6). Batch normalization is folded and clamps are fused before.
inline std::vector<ScalablePair> scalable_pairs(const Model& model, bool all = false) {
  std::vector<ScalablePair> pairs;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Operator& op = model.nodes[n].op;
    if (!(all ? detail::weighted(op) : std::holds_alternative<DepthwiseConvolution>(op))) continue;
    if (!with_activation(clamp_of(op), [](auto) {})) continue;
    const auto reader = detail::weighted_reader(model, n);
    if (!reader || (!all && !std::holds_alternative<Convolution>(model.nodes[*reader].op))) continue;
    pairs.push_back({n, *reader});
  }
  return pairs;
}

/// Range of every channel of the outputs of some nodes before their clamps, over images [count, input extent].
/// Errors: images of another size, of values that are not finite, or none.
inline std::vector<std::vector<Interval<float>>> channel_ranges(const Model& model, std::span<const std::size_t> nodes,
                                                                std::span<const float> images, Threads& threads) {
  std::vector<ValueId> made;
  const Model open = detail::with_open_clamps(model, nodes, made);
  const std::size_t batch = detail::whole_images(model, images, "channel_ranges"), in = images.size() / batch;
  for (std::size_t i = 0; i != images.size(); ++i)
    expects(std::isfinite(images[i]), "channel_ranges: value ", i % in, " of image ", i / in, " is ", images[i]);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<std::vector<Interval<float>>> start;
  start.reserve(made.size());
  for (const ValueId value : made)
    start.emplace_back(open.extent(value).channels, Interval<float>{infinity, -infinity});
  std::vector<std::vector<std::vector<Interval<float>>>> found(threads.size(), start);
  FloatRunner runner{open, {threads.size()}};
  std::vector<float> outputs(batch * open.output_extent().size());
  runner.run(images, batch, outputs, [&](ValueId value, std::size_t, std::size_t worker, std::span<float> data) {
    const auto at = std::find(made.begin(), made.end(), value);
    if (at == made.end()) return;
    std::vector<Interval<float>>& range = found[worker][static_cast<std::size_t>(at - made.begin())];
    for (std::size_t i = 0; i != data.size(); i += range.size())
      for (std::size_t c = 0; c != range.size(); ++c) {
        range[c].low = std::min(range[c].low, data[i + c]);
        range[c].high = std::max(range[c].high, data[i + c]);
      }
  });
  for (const auto& of_worker : found)
    for (std::size_t i = 0; i != start.size(); ++i)
      for (std::size_t c = 0; c != start[i].size(); ++c) {
        start[i][c].low = std::min(start[i][c].low, of_worker[i][c].low);
        start[i][c].high = std::max(start[i][c].high, of_worker[i][c].high);
      }
  return start;
}

/// Largest pre-activation of every channel, the upper ends of channel_ranges; behind layers without an activation the
/// largest magnitude.
inline std::vector<std::vector<double>> channel_maxima(const Model& model, std::span<const std::size_t> nodes,
                                                       std::span<const float> images, Threads& threads) {
  std::vector<std::vector<double>> maxima;
  const auto ranges = channel_ranges(model, nodes, images, threads);
  for (std::size_t i = 0; i != nodes.size(); ++i) {
    const bool open = clamp_of(model.nodes[nodes[i]].op) == Clamp{};
    std::vector<double>& top = maxima.emplace_back();
    for (const Interval<float>& range : ranges[i])
      top.push_back(static_cast<double>(open ? std::max(range.high, -range.low) : range.high));
  }
  return maxima;
}

}  // namespace fat::inline FAT_ABI

#endif
