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

/// A weighted layer that reads some channels of another one: its input index i reads channel i / area % modulus - offset.
struct ChannelReader {
  std::size_t node = 0;
  std::size_t area = 1;
  std::size_t modulus = 1;
  std::size_t offset = 0;
  bool operator==(const ChannelReader&) const = default;
};

/// A weighted layer and what reads its channels, with nothing between them that does not commute with positive factors:
/// activations that can be passed, padding with zeros, pools, means, resizes, reshapes, concatenations.
struct ScalablePair {
  std::size_t first = 0;
  std::size_t second = 0;  ///< the only reader, or the first of them
  /// All readers where there are several, or where the only one reads more than these channels at one place.
  std::vector<ChannelReader> readers{};
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

/// All weighted layers that read the channels of a value, however many there are; none where anything else reads them.
/// channel: how the value's elements are counted. `why` gets what stands in the way.
inline bool collect_readers(const Model& model, ValueId value, const ChannelReader& channel,
                            std::vector<ChannelReader>& readers, std::string& why) {
  if (value == model.output) {
    why = "it is the network's output";
    return false;
  }
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Node& node = model.nodes[n];
    if (std::find(node.inputs.begin(), node.inputs.end(), value) == node.inputs.end()) continue;
    ChannelReader next = channel;
    const auto passes = [&] { return collect_readers(model, node.output, next, readers, why); };
    const bool image = channel.area == 1 && channel.modulus == model.extent(value).channels;
    const auto* const pad = std::get_if<Pad>(&node.op);
    const auto* const clamp = std::get_if<ClampLayer>(&node.op);
    const auto* const reshape = std::get_if<Reshape>(&node.op);
    if (std::holds_alternative<Dense>(node.op) || (weighted(node.op) && image)) {
      next.node = n;
      readers.push_back(next);
    } else if ((image && (std::holds_alternative<Pool>(node.op) || std::holds_alternative<GlobalAveragePool>(node.op) ||
                          std::holds_alternative<Resize>(node.op) || (pad != nullptr && pad->value == 0.0F))) ||
               (clamp != nullptr && clamp->clamp == relu)) {
      if (!passes()) return false;
    } else if (reshape != nullptr && (image || !reshape->channels_first)) {
      if (reshape->channels_first) next.area = model.extent(value).height * model.extent(value).width;
      if (!passes()) return false;
    } else if (const auto* const concat = std::get_if<Concat>(&node.op); concat != nullptr && image) {
      if (concat->axis == 2) {
        next.modulus = model.extent(node.output).channels;
        for (std::size_t i = 0; node.inputs[i] != value; ++i) next.offset += model.extent(node.inputs[i]).channels;
        if (std::count(node.inputs.begin(), node.inputs.end(), value) != 1) {
          why = "'" + node.name + "' joins it with itself";
          return false;
        }
      }
      if (!passes()) return false;
    } else {
      why = "'" + node.name + "' (" + std::string{kind_name(node.op)} + ") reads it";
      return false;
    }
  }
  return true;
}

/// The readers of a layer's channels; none where they cannot be scaled.
inline std::vector<ChannelReader> channel_readers(const Model& model, std::size_t n, std::string& why) {
  const Node& node = model.nodes[n];
  std::vector<ChannelReader> readers;
  ChannelReader start;
  start.modulus = model.extent(node.output).channels;
  if (!collect_readers(model, node.output, start, readers, why)) readers.clear();
  return readers;
}

/// Calls f(weight, channel) for every weight of a reader that reads one of `channels` channels, in a fixed order.
template <class Function>
void for_each_read(Model& model, const ChannelReader& reader, std::size_t channels, Function&& f) {
  with_weighted(model.nodes[reader.node].op, [&](auto& layer) {
    for_each_weight(layer, [&](auto& weight, std::size_t, std::size_t input) {
      const std::size_t channel = input / reader.area % reader.modulus;
      if (channel >= reader.offset && channel - reader.offset < channels) f(weight, channel - reader.offset);
    });
  });
}

/// What several layers do with some channels, as one dense layer: a column for each channel.
inline Dense joined_readers(Model& model, std::span<const ChannelReader> readers, std::size_t channels) {
  std::vector<std::vector<float>> columns(channels);
  for (const ChannelReader& reader : readers)
    for_each_read(model, reader, channels, [&](float weight, std::size_t k) { columns[k].push_back(weight); });
  const std::size_t rows = columns.empty() ? 0 : columns[0].size();
  Dense joined{{}, array<float>{Shape{rows, channels}}, array<float>{Shape{rows}}};
  for (std::size_t k = 0; k != channels; ++k)
    for (std::size_t row = 0; row != rows; ++row) joined.kernel[row * channels + k] = columns[k][row];
  return joined;
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

/// Calls f(first layer, second layer) with the types of a pair of weighted nodes. Several readers are one dense layer,
/// whose changes they take over.
template <class Function>
void with_pair(Model& model, const ScalablePair& pair, Function&& f) {
  with_weighted(model.nodes[pair.first].op, [&](auto& first) {
    if (pair.readers.empty()) {
      with_weighted(model.nodes[pair.second].op, [&](auto& second) { f(first, second); });
      return;
    }
    const std::size_t channels = first.bias().size();
    Dense joined = joined_readers(model, pair.readers, channels);
    f(first, joined);
    std::vector<std::size_t> row(channels, 0);
    for (const ChannelReader& reader : pair.readers)
      for_each_read(model, reader, channels,
                    [&](float& weight, std::size_t k) { weight = joined.kernel[row[k]++ * channels + k]; });
  });
}

}  // namespace detail

/// Every pair whose first layer is depthwise (or, with `all`, any weighted layer) and whose activation is none, ReLU or
/// ReLU with a bound (ReLU6). Batch normalization is folded and clamps are fused before. `refused`, where given, gets a
/// line for each layer whose channels cannot be scaled: its name and why.
inline std::vector<ScalablePair> scalable_pairs(const Model& model, bool all = false,
                                                std::vector<std::string>* refused = nullptr) {
  std::vector<ScalablePair> pairs;
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Operator& op = model.nodes[n].op;
    if (!(all ? detail::weighted(op) : std::holds_alternative<DepthwiseConvolution>(op))) continue;
    if (!with_activation(clamp_of(op), [](auto) {})) continue;
    if (const auto reader = detail::weighted_reader(model, n)) {
      if (all || std::holds_alternative<Convolution>(model.nodes[*reader].op)) pairs.push_back({n, *reader});
      continue;
    }
    std::string why;
    std::vector<ChannelReader> readers = detail::channel_readers(model, n, why);
    if (readers.empty()) {
      if (refused != nullptr && model.nodes[n].output != model.output)
        refused->push_back("'" + model.nodes[n].name + "': " + why);
      continue;
    }
    const std::size_t second = readers[0].node;
    pairs.push_back({n, second, std::move(readers)});
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
