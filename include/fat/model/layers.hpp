// Layers: the operators of a Model, each a plain struct of its attributes and weights (activations NHWC).
#ifndef FAT_MODEL_LAYERS_HPP_INCLUDED
#define FAT_MODEL_LAYERS_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/kernel/reference/resize.hpp>
#include <fat/model/extent.hpp>
#include <fat/model/operators/binary.hpp>
#include <fat/model/operators/constant.hpp>
#include <fat/model/operators/function.hpp>
#include <fat/model/operators/gather.hpp>
#include <fat/model/operators/joined_outputs.hpp>
#include <fat/model/operators/matmul.hpp>
#include <fat/model/operators/normalize.hpp>
#include <fat/model/operators/prelu.hpp>
#include <fat/model/operators/view.hpp>
#include <fat/model/operators/where.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <variant>

namespace fat::inline FAT_ABI {

/// Convolution, grouped where groups > 1. Weights [out, kernel height, kernel width, in / groups], bias [out].
struct Convolution {
  static constexpr std::size_t channel_axis = 0;
  static constexpr std::size_t input_axis = 3;
  Window window;
  std::size_t groups = 1;
  Clamp clamp;
  array<float> kernel;
  array<float> offset;
  array<float>& weights() noexcept { return kernel; }
  const array<float>& weights() const noexcept { return kernel; }
  array<float>& bias() noexcept { return offset; }
  const array<float>& bias() const noexcept { return offset; }
};

/// Depthwise convolution: output channel c reads input channel c / multiplier, multiplier = out / in.
/// Weights [1, kernel height, kernel width, out], bias [out].
struct DepthwiseConvolution {
  static constexpr std::size_t channel_axis = 3;
  static constexpr std::size_t input_axis = 0;
  Window window;
  std::size_t multiplier = 1;
  Clamp clamp;
  array<float> kernel;
  array<float> offset;
  array<float>& weights() noexcept { return kernel; }
  const array<float>& weights() const noexcept { return kernel; }
  array<float>& bias() noexcept { return offset; }
  const array<float>& bias() const noexcept { return offset; }
};

/// Fully connected layer on the flattened (NHWC order) input. Weights [out, in], bias [out].
struct Dense {
  static constexpr std::size_t channel_axis = 0;
  static constexpr std::size_t input_axis = 1;
  Clamp clamp;
  array<float> kernel;
  array<float> offset;
  array<float>& weights() noexcept { return kernel; }
  const array<float>& weights() const noexcept { return kernel; }
  array<float>& bias() noexcept { return offset; }
  const array<float>& bias() const noexcept { return offset; }
};

/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, one of each per channel.
struct BatchNormalization {
  array<float> scale;
  array<float> shift;
  array<float> center;
  array<float> spread;
  double epsilon_value = 1e-5;
  const array<float>& gamma() const noexcept { return scale; }
  const array<float>& beta() const noexcept { return shift; }
  const array<float>& mean() const noexcept { return center; }
  const array<float>& variance() const noexcept { return spread; }
  double epsilon() const noexcept { return epsilon_value; }
};

/// Sum or product of two tensors; the second may be [1, 1, channels] and is then broadcast over height and width.
struct Add {
  Clamp clamp;
};
struct Multiply {
  Clamp clamp;
};

/// Joins any number of tensors. axis: 0 height, 1 width, 2 channels.
struct Concat {
  std::size_t axis = 2;
};

/// Max or average pooling. Averages divide by the taps inside the image, or by all taps where count_padding.
struct Pool {
  enum class Kind { max, average };
  Kind kind = Kind::max;
  Window window;
  bool count_padding = false;
};

/// Mean over height and width; keeps [1, 1, channels] or drops to a vector, as the output extent says.
struct GlobalAveragePool {};

/// Constant padding.
struct Pad {
  Padding padding;
  float value = 0.0F;
};

/// New extent, same elements. channels_first: the file counts elements in CHW order, so non-trivial images are
/// permuted.
struct Reshape {
  bool channels_first = false;
};

/// Interpolation to the output extent.
struct Resize {
  enum class Kind { nearest, bilinear };
  using Coordinates = ResizeCoordinates;
  Kind kind = Kind::nearest;
  Coordinates coordinates = Coordinates::half_pixel;
  /// Which pixel is the nearest; of no meaning in a bilinear resize.
  NearestPixel pixel = NearestPixel::round_prefer_floor;
  /// Bilinear, by places in steps of 1/1024 of a pixel, as integers take them: simulation_model sets it between codes.
  bool in_steps = false;
};

struct Softmax {};

/// A clamp that could not be fused (its input has another consumer, or the layer before it takes none).
struct ClampLayer {
  Clamp clamp;
};
/// x * min(max(x / 6 + 0.5, 0), 1)
struct HardSwish {};
/// min(max(slope * x + intercept, 0), 1)
struct HardSigmoid {
  float slope = 1.0F / 6.0F;
  float intercept = 0.5F;
};
struct Sigmoid {};

using Operator =
    std::variant<Convolution, DepthwiseConvolution, Dense, BatchNormalization, Add, Multiply, Concat, Pool,
                 GlobalAveragePool, Pad, Reshape, Resize, Softmax, ClampLayer, HardSwish, HardSigmoid, Sigmoid, View,
                 Gather, Function, PRelu, Binary, Where, Constant, Normalize, MatMul, JoinedOutputs>;

/// Operators that say everything about themselves in a header of their own, model/operators/<name>.hpp:
///   kind, attributes(self, f), extent(in, declared), forward(in, out, x, y), backward(which, in, out, x, y, dy, dx)
///   which adds to dx, moves_only (every output is an input's element: in integers codes are moved),
///   gradient_reads_inputs, and at(x) where it is a function of single elements (in integers a table).
template <class Op>
concept OwnOperator = requires {
  { Op::kind } -> std::convertible_to<std::string_view>;
};

/// Whether an operator is computed with integers where its inputs and output are quantized; else it runs in float, its
/// codes converted at its borders.
inline bool has_integer_form(const Operator& op) {
  return std::visit(
      []<class Op>(const Op&) {
        if constexpr (OwnOperator<Op>)
          return Op::moves_only || std::is_same_v<Op, Function>;
        else
          return true;
      },
      op);
}

/// Layers with weights() and bias(): what is quantized per output channel.
template <class Layer>
concept WeightedLayer =
    std::is_same_v<Layer, Convolution> || std::is_same_v<Layer, DepthwiseConvolution> || std::is_same_v<Layer, Dense>;
/// Layers that can take a fused clamp.
template <class Layer>
concept ClampedLayer = requires(Layer& layer) {
  layer.clamp;
};

/// Calls f with the weighted layer that an operator is, in its own type. Returns false, calling nothing, for other
/// operators.
template <class Op, class Function>
  requires std::is_same_v<std::remove_const_t<Op>, Operator>
bool with_weighted(Op& op, Function&& f) {
  if (auto* const convolution = std::get_if<Convolution>(&op))
    f(*convolution);
  else if (auto* const depthwise = std::get_if<DepthwiseConvolution>(&op))
    f(*depthwise);
  else if (auto* const dense = std::get_if<Dense>(&op))
    f(*dense);
  else
    return false;
  return true;
}

}  // namespace fat::inline FAT_ABI

#endif
