// Sums: how far the sums of a layer in integers can go, and whether 32 bits hold them.
#ifndef FAT_MODEL_SUMS_HPP_INCLUDED
#define FAT_MODEL_SUMS_HPP_INCLUDED

#include <fat/core/partition.hpp>
#include <fat/model/quantized_model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// The most products that one sum of the integer kernels takes: they count groups of four in 16 bits.
inline constexpr std::size_t deepest_sum = 262140;

/// For every output channel the largest magnitude of its sums, on any input and at any point on the way: sum of |weight|
/// times the largest |byte - zero|, and |bias|. zero: the byte of the input's real 0.
inline std::vector<std::int64_t> largest_sums(const WeightEncoding& w, const Partition& parts, std::int64_t zero) {
  const std::int64_t farthest = std::max(zero, 255 - zero);
  std::vector<std::int64_t> sums(parts.channels);
  for (std::size_t i = 0; i != w.codes.size(); ++i) {
    const std::size_t c = parts.channel(i);
    sums[c] += std::abs(std::int64_t{w.codes[i]} - w.channel_zero_point(c));
  }
  for (std::size_t c = 0; c != sums.size(); ++c) sums[c] = sums[c] * farthest + std::abs(std::int64_t{w.bias[c]});
  return sums;
}

inline std::vector<std::int64_t> largest_sums(const WeightEncoding& w, const Partition& parts,
                                              const ActivationEncoding& input) {
  return largest_sums(w, parts, std::int64_t{input.zero_point + (input.is_signed() ? 128 : 0)});
}

inline constexpr std::int64_t largest_int32 = std::numeric_limits<std::int32_t>::max();

/// Errors: a channel whose sums can pass 32 bits. `who` begins the message.
inline void expect_sums_fit(const WeightEncoding& w, const Partition& parts, const ActivationEncoding& input,
                            std::string_view who, std::string_view layer) {
  const std::vector<std::int64_t> sums = largest_sums(w, parts, input);
  for (std::size_t c = 0; c != sums.size(); ++c)
    expects(sums[c] <= largest_int32, who, ": the sums of layer '", layer, "', channel ", c,
            ", can pass 32 bits, its bias is ", w.bias[c], "; keep the layer float or quantize it again");
}

/// The same for every layer of a network that runs in integers. Precondition: the network is valid.
inline void expect_sums_fit(const QuantizedModel& model, std::string_view who) {
  for (std::size_t n = 0; n != model.graph.nodes.size(); ++n) {
    const Node& node = model.graph.nodes[n];
    if (!model.weights[n] || !model.activations[node.output]) continue;
    with_weighted(node.op, [&]<class Layer>(const Layer&) {
      const WeightEncoding& w = *model.weights[n];
      expect_sums_fit(w, partition(w.codes.shape(), Layer::channel_axis), *model.activations[node.inputs[0]], who,
                      node.name);
    });
  }
}

}  // namespace fat::inline FAT_ABI

#endif
