// QuantizedModel: the integer network as data; codes, steps and zero points, nothing that depends on a machine.
#ifndef FAT_MODEL_QUANTIZED_MODEL_HPP_INCLUDED
#define FAT_MODEL_QUANTIZED_MODEL_HPP_INCLUDED

#include <fat/core/tensor.hpp>
#include <fat/kernel/requantize.hpp>
#include <fat/model/model.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace fat::inline FAT_ABI {

/// Codes of one activation tensor: real = step * (code - zero_point), code_min <= code <= code_max.
struct ActivationEncoding {
  float step = 1.0F;
  std::int32_t zero_point = 0;
  std::int32_t code_min = -128;
  std::int32_t code_max = 127;
  int bits = 8;
  bool symmetric = false;
  bool is_signed() const noexcept { return code_min < 0; }
  bool operator==(const ActivationEncoding&) const = default;
};

/// Codes of one layer's weights, in the layer's own layout. step and zero_point have one entry, or one per output
/// channel. Bias codes have step (input step * weight step[c]) and zero point 0. A layer kept in float has no encoding.
struct WeightEncoding {
  array<std::int8_t> codes;
  std::vector<float> step;
  std::vector<std::int32_t> zero_point;
  int bits = 8;
  array<std::int32_t> bias;
  float channel_step(std::size_t channel) const { return step[step.size() == 1 ? 0 : channel]; }
  std::int32_t channel_zero_point(std::size_t channel) const {
    return zero_point[zero_point.size() == 1 ? 0 : channel];
  }
  bool operator==(const WeightEncoding&) const = default;
};

/// A quantized network. `graph` has no batch normalization left; layers with an encoding hold empty weight and bias
/// arrays (their codes are in `weights`), layers kept in float hold theirs. Values without an encoding are float.
/// Invariants (checked by validate): activations.size() == graph.values.size(), weights.size() == graph.nodes.size();
/// a node with a weight encoding has a quantized input.
struct QuantizedModel {
  Model graph;
  std::vector<std::optional<ActivationEncoding>> activations;
  std::vector<std::optional<WeightEncoding>> weights;
  /// How results become codes; everything that runs or writes the network follows it.
  Requantization requantize = Requantization::half_up;

  /// Integer-only inference on NHWC images of floats or codes, any batch; defined in model/integer.hpp. Packs the
  /// weights at every call: keep an IntegerModel to run often. Errors: a model that is not valid, sizes that do not
  /// match.
  template <Tensor In, MutableTensor Out>
  void run(const In& input, Out&& output) const;
};

}  // namespace fat::inline FAT_ABI

#endif
