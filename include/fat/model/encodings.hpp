// Encodings: which tensors of a model get a grid, which of them share one, and how ranges and weights become codes.
#ifndef FAT_MODEL_ENCODINGS_HPP_INCLUDED
#define FAT_MODEL_ENCODINGS_HPP_INCLUDED

#include <fat/core/span_tensor.hpp>
#include <fat/model/options.hpp>
#include <fat/model/quantized_model.hpp>
#include <fat/model/sums.hpp>
#include <fat/quantizer/bias.hpp>
#include <fat/quantizer/run.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

/// Which values are quantized, and which share one grid because the operator between them moves codes without changing
/// them (max and average pools, pad, reshape, resize, concat): integer kernels and TFLite need equal encodings there. A concat of
/// softmax or sigmoid outputs with others is the exception: the former have a fixed grid, and are converted.
struct TensorPlan {
  /// Smallest id of the values that share this value's grid.
  std::vector<ValueId> group;
  std::vector<bool> quantized;
  /// Softmax and sigmoid outputs (and what shares their grid): [0, 1) in steps of 1/256, whatever was observed.
  std::vector<bool> unit;

  bool leads(ValueId value) const { return quantized[value] && group[value] == value; }
};

namespace detail {

inline bool keeps_codes(const Operator& op) {
  return std::visit(
      []<class Op>(const Op&) {
        if constexpr (OwnOperator<Op>)
          return Op::moves_only;
        else
          return std::is_same_v<Op, Pool> || std::is_same_v<Op, Pad> || std::is_same_v<Op, Reshape> ||
                 std::is_same_v<Op, Resize> || std::is_same_v<Op, Concat>;
      },
      op);
}

/// The value of this name or of the layer of this name; `option` is what asks for it.
inline ValueId value_named(const Model& model, std::string_view name, std::string_view option) {
  for (ValueId value = 0; value != model.values.size(); ++value)
    if (model.values[value].name == name) return value;
  for (const Node& node : model.nodes)
    if (node.name == name) return node.output;
  fail("quantize_model: ", option, " names '", name,
       "', which is no tensor or layer of the model; `fat inspect` lists them");
}

}  // namespace detail

/// Every value is quantized but those named in `keep_float` (and what shares their grid). A name is a value's or, for
/// the output of a layer, the layer's. Errors: a name that the model does not have.
inline TensorPlan plan_tensors(const Model& model, std::span<const std::string> keep_float = {}) {
  const std::size_t count = model.values.size();
  TensorPlan plan{std::vector<ValueId>(count), std::vector<bool>(count, true), std::vector<bool>(count, true)};
  std::iota(plan.group.begin(), plan.group.end(), ValueId{0});
  const auto join = [&](ValueId a, ValueId b) {
    const ValueId from = std::max(plan.group[a], plan.group[b]);
    const ValueId to = std::min(plan.group[a], plan.group[b]);
    std::replace(plan.group.begin(), plan.group.end(), from, to);
  };
  const auto spoil = [&](std::vector<bool>& flags, ValueId value) {
    for (ValueId other = 0; other != count; ++other)
      if (plan.group[other] == plan.group[value]) flags[other] = false;
  };
  plan.unit[model.input] = false;
  for (const Node& node : model.nodes) {
    const bool keeps = detail::keeps_codes(node.op);
    plan.unit[node.output] =
        keeps ? std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) { return plan.unit[input]; })
              : std::holds_alternative<Softmax>(node.op) || std::holds_alternative<Sigmoid>(node.op);
    // Joined with other tensors, a fixed grid stays as it is: its codes are converted there.
    for (const ValueId input : node.inputs)
      if (keeps && plan.unit[input] == plan.unit[node.output]) join(input, node.output);
  }
  for (const Node& node : model.nodes)
    if (std::holds_alternative<JoinedOutputs>(node.op)) plan.quantized[node.output] = false;
  if (model.inputs.size() > 1) plan.quantized[model.input] = false;
  for (const std::string& name : keep_float) spoil(plan.quantized, detail::value_named(model, name, "keep_float"));
  return plan;
}

/// The grid of an activation from its observed range. Symmetric: unsigned codes where nothing negative was observed,
/// unless all have to be signed. Asymmetric: the range is widened to hold 0.
inline Grid<float> activation_grid(const Interval<float>& observed, Scheme scheme, int bits, bool all_signed = false) {
  if (scheme == Scheme::symmetric)
    return symmetric_grid(threshold_of(observed), symmetric_codes(bits, all_signed || observed.low < 0.0F));
  const Interval<float> range = with_zero(observed);
  return asymmetric_grid(range.low, range.high - range.low, asymmetric_codes(bits, true));
}

/// The fixed grid of outputs in [0, 1), of 8 bits whatever the others have: integer softmax and the formats know no
/// other. Step 1/256, twice that where half of the codes are negative.
inline Grid<float> unit_grid(Scheme scheme, bool all_signed = false) {
  constexpr int bits = 8;
  const Codes codes = scheme == Scheme::symmetric ? symmetric_codes(bits, all_signed) : asymmetric_codes(bits, true);
  if (scheme == Scheme::symmetric && all_signed) {
    const auto positive = static_cast<float>(1 << (bits - 1));
    return {positive, 1.0F / positive, 0, codes.min, codes.max};
  }
  const auto levels = static_cast<float>(1 << bits);
  return {levels, 1.0F / levels, codes.min, codes.min, codes.max};
}

/// What a model file says of an activation; a dead grid gets step 1.
inline ActivationEncoding encoding_of(const Grid<float>& grid, Scheme scheme) {
  int bits = 2;
  while (grid.code_max - grid.code_min >= 1 << bits) ++bits;
  return {grid.dead() ? 1.0F : grid.step, grid.zero_point, grid.code_min, grid.code_max, bits,
          scheme == Scheme::symmetric};
}

/// The grid that an encoding stands for.
inline Grid<float> grid_of(const ActivationEncoding& encoding) {
  return {1.0F / encoding.step, encoding.step, encoding.zero_point, encoding.code_min, encoding.code_max};
}

/// Smallest and largest weight of every output channel, or of the layer (one entry).
template <WeightedLayer Layer>
std::vector<Interval<float>> weight_ranges(const Layer& layer, Granularity granularity) {
  const array<float>& weights = layer.weights();
  const Partition parts = partition(weights.shape(), Layer::channel_axis);
  std::vector<Interval<float>> ranges(granularity == Granularity::scalar ? 1 : parts.channels);
  std::vector<bool> seen(ranges.size(), false);
  for (std::size_t i = 0; i != weights.size(); ++i) {
    const std::size_t c = granularity == Granularity::scalar ? 0 : parts.channel(i);
    if (!seen[c]) ranges[c] = {weights[i], weights[i]};
    seen[c] = true;
    ranges[c] = {std::min(ranges[c].low, weights[i]), std::max(ranges[c].high, weights[i])};
  }
  return ranges;
}

/// The grid of weights in a range: narrow codes around 0, or all codes over the range widened to hold 0.
inline Grid<float> weight_grid(const Interval<float>& range, Scheme scheme, int bits) {
  if (scheme == Scheme::symmetric) return symmetric_grid(threshold_of(range), symmetric_codes(bits, true));
  const Interval<float> wide = with_zero(range);
  return asymmetric_grid(wide.low, wide.high - wide.low, asymmetric_codes(bits, true));
}

/// What encode_layer had to do.
struct EncodingNotes {
  std::size_t dead_channels = 0;    ///< weights all zero; they take the layer's largest step, or the one of their bias
  std::size_t raised_channels = 0;  ///< weight step raised so that bias and sums fit 32 bits
};

/// Sums of a layer are multiplied by input step * weight step / output step on their way to codes; runtimes refuse this
/// number and more.
inline constexpr double least_refused_multiplier = 256.0;

namespace detail {

inline void set_step(Grid<float>& grid, float step) {
  grid.step = step;
  grid.codes_per_unit = 1.0F / step;
}

/// Where no weight gives a step (NUMERICS 1): the one that makes a multiplier of about 1, so that biases lie on the
/// grid of the output. `output_step` is 0 for a float output, which is taken for one of 8 bits that holds the biases.
inline float step_of_biases(const array<float>& bias, float input_step, float output_step) {
  auto step = static_cast<double>(output_step);
  for (std::size_t c = 0; output_step == 0.0F && c != bias.size(); ++c)
    step = std::max(step, std::abs(static_cast<double>(bias[c])) / 127.0);
  if (step == 0.0) step = 1.0;
  return static_cast<float>(std::clamp(step / static_cast<double>(input_step),
                                       static_cast<double>(std::numeric_limits<float>::min()),
                                       static_cast<double>(std::numeric_limits<float>::max())));
}

/// Gives dead grids the largest live step, or step_of_biases where that is finer or none lives, and zero point 0; raises
/// steps whose bias would overflow (NUMERICS 1, 5).
inline EncodingNotes settle_grids(std::vector<Grid<float>>& grids, const array<float>& bias, float input_step,
                                  float output_step) {
  EncodingNotes notes;
  float largest = 0.0F;
  for (const Grid<float>& grid : grids) largest = std::max(largest, grid.step);
  for (Grid<float>& grid : grids)
    if (grid.dead()) {
      ++notes.dead_channels;
      const float of_biases = step_of_biases(bias, input_step, output_step);
      set_step(grid, largest == 0.0F ? of_biases : std::min(largest, of_biases));
      grid.zero_point = 0;
    }
  for (std::size_t c = 0; c != bias.size(); ++c) {
    Grid<float>& grid = grids[grids.size() == 1 ? 0 : c];
    const auto before = static_cast<double>(grid.step);
    const double after = safe_weight_step(static_cast<double>(bias[c]), static_cast<double>(input_step), before);
    if (after <= before) continue;
    ++notes.raised_channels;
    set_step(grid, static_cast<float>(after));
  }
  return notes;
}

}  // namespace detail

/// Codes of a layer's weights and bias. `grids` has one entry or one per output channel; `input` encodes the tensor that
/// the layer reads, `output_step` is the step of the one it makes, 0 where that stays float. The bias is rounded to
/// multiples of input step * weight step in double. Steps are raised where sums could pass 32 bits otherwise.
template <WeightedLayer Layer>
WeightEncoding encode_layer(const Layer& layer, std::vector<Grid<float>> grids, const ActivationEncoding& input,
                            float output_step, int bits, EncodingNotes* notes = nullptr) {
  const array<float>& weights = layer.weights();
  const Partition parts = partition(weights.shape(), Layer::channel_axis);
  EncodingNotes done = detail::settle_grids(grids, layer.bias(), input.step, output_step);
  WeightEncoding encoding{array<std::int8_t>{weights.shape()}, {}, {}, bits, {}};
  std::vector<bool> raised(grids.size(), false);
  for (bool fits = false; !fits;) {
    if (grids.size() == 1) {
      quantize_run(weights.data(), encoding.codes.data(), weights.size(), grids[0]);
    } else {
      GridTable<float> table{parts.channels};
      for (std::size_t c = 0; c != parts.channels; ++c) table.set(c, grids[c]);
      quantize_channels(weights.data(), encoding.codes.data(), parts, table);
    }
    encoding.step.clear();
    encoding.zero_point.clear();
    for (const Grid<float>& grid : grids) {
      encoding.step.push_back(grid.step);
      encoding.zero_point.push_back(grid.zero_point);
    }
    encoding.bias = quantize_bias(layer.bias(), static_cast<double>(input.step),
                                  span_tensor{encoding.step.data(), {encoding.step.size()}});
    const std::vector<std::int64_t> sums = largest_sums(encoding, parts, input);
    std::vector<double> times(grids.size(), 1.0);
    for (std::size_t c = 0; c != sums.size(); ++c) {
      double& needed = times[grids.size() == 1 ? 0 : c];
      // a little more, for rounding does not shrink with the step
      if (sums[c] > largest_int32)
        needed = std::max(needed, 1.001 * static_cast<double>(sums[c]) / static_cast<double>(largest_int32));
    }
    fits = true;
    for (std::size_t g = 0; g != grids.size(); ++g) {
      if (times[g] == 1.0) continue;
      detail::set_step(grids[g], static_cast<float>(times[g] * static_cast<double>(grids[g].step)));
      done.raised_channels += raised[g] ? 0 : 1;
      raised[g] = true;
      fits = false;
    }
  }
  if (notes != nullptr) *notes = done;
  return encoding;
}

}  // namespace fat::inline FAT_ABI

#endif
