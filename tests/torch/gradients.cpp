// gradients: what gradients.py repeats in PyTorch. Writes FOLDER/cases.json, which says what was computed, and
// FOLDER/arrays.npz: for every operator of a Model inputs, weights, the output, an upstream gradient and the gradients
// that follow; and the same for fake quantization with trained thresholds.
#include <fat/gradient/adjustable_threshold.hpp>
#include <fat/gradient/pointwise_scale.hpp>
#include <fat/io/npz.hpp>

#include "../support/operator_cases.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace {

using Json = nlohmann::json;
using fat::test::Values;

/// Arrays of one case under its number.
class Writer {
 public:
  Writer(fat::NpyArrays& arrays, std::size_t number) : arrays_(arrays), prefix_(std::to_string(number) + "/") {}
  template <class Range>
  void operator()(const std::string& name, const Range& values) {
    arrays_[prefix_ + name] = fat::NpyArray{fat::Shape{std::size(values)}, std::data(values)};
  }

 private:
  fat::NpyArrays& arrays_;
  std::string prefix_;
};

/// An operator's name and its attributes; padding in the order top, left, bottom, right.
struct Describe {
  static Json pair(const fat::Pair& p) { return {p.height, p.width}; }
  static void put(Json& json, const fat::Window& w) {
    const fat::Padding& p = w.padding;
    json["kernel"] = pair(w.kernel);
    json["stride"] = pair(w.stride);
    json["dilation"] = pair(w.dilation);
    json["padding"] = {p.top, p.left, p.bottom, p.right};
  }
  Json operator()(const fat::Convolution& op) const {
    Json json{{"op", "convolution"}, {"groups", op.groups}};
    put(json, op.window);
    return json;
  }
  Json operator()(const fat::DepthwiseConvolution& op) const {
    Json json{{"op", "depthwise"}, {"multiplier", op.multiplier}};
    put(json, op.window);
    return json;
  }
  Json operator()(const fat::Dense&) const { return {{"op", "dense"}}; }
  Json operator()(const fat::BatchNormalization& op) const {
    const auto list = [](const fat::array<float>& values) { return std::vector<float>(values.begin(), values.end()); };
    return {{"op", "batch_normalization"}, {"gamma", list(op.scale)},     {"beta", list(op.shift)},
            {"mean", list(op.center)},     {"variance", list(op.spread)}, {"epsilon", op.epsilon_value}};
  }
  Json operator()(const fat::Add&) const { return {{"op", "add"}}; }
  Json operator()(const fat::Multiply&) const { return {{"op", "multiply"}}; }
  Json operator()(const fat::Concat& op) const { return {{"op", "concat"}, {"axis", op.axis}}; }
  Json operator()(const fat::Pool& op) const {
    Json json{{"op", op.kind == fat::Pool::Kind::max ? "max_pool" : "average_pool"}, {"counted", op.count_padding}};
    put(json, op.window);
    return json;
  }
  Json operator()(const fat::GlobalAveragePool&) const { return {{"op", "global_average_pool"}}; }
  Json operator()(const fat::Pad& op) const {
    const fat::Padding& p = op.padding;
    return {{"op", "pad"}, {"padding", {p.top, p.left, p.bottom, p.right}}, {"value", op.value}};
  }
  Json operator()(const fat::Reshape& op) const { return {{"op", "reshape"}, {"channels_first", op.channels_first}}; }
  Json operator()(const fat::Resize& op) const {
    constexpr std::array lattices{"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"};
    return {{"op", "resize"},
            {"nearest", op.kind == fat::Resize::Kind::nearest},
            {"lattice", lattices[static_cast<std::size_t>(op.coordinates)]}};
  }
  Json operator()(const fat::Softmax&) const { return {{"op", "softmax"}}; }
  Json operator()(const fat::ClampLayer&) const { return {{"op", "clamp"}}; }
  Json operator()(const fat::HardSwish&) const { return {{"op", "hard_swish"}}; }
  Json operator()(const fat::HardSigmoid& op) const {
    return {{"op", "hard_sigmoid"}, {"slope", op.slope}, {"intercept", op.intercept}};
  }
  Json operator()(const fat::Sigmoid&) const { return {{"op", "sigmoid"}}; }
  /// No case has one; law/layer_gradient checks their gradients.
  template <fat::OwnOperator Op>
  Json operator()(const Op&) const {
    throw std::invalid_argument{"gradients: an operator that gradients.py does not repeat"};
  }
};

Json extent(const fat::Extent& e) { return {e.height, e.width, e.channels}; }

Json write_operator(fat::test::OperatorCase c, Writer write) {
  const fat::Clamp clamp = fat::fused_clamp(c.node().op);
  Json json = std::visit(Describe{}, c.node().op);
  if (std::isfinite(clamp.low)) json["low"] = clamp.low;
  if (std::isfinite(clamp.high)) json["high"] = clamp.high;
  for (const fat::ValueId input : c.node().inputs) json["in"].push_back(extent(c.model.extent(input)));
  json["out"] = extent(c.model.output_extent());

  const std::vector<Values> x = fat::test::inputs_of(c);
  const Values y = fat::test::forward(c, x);
  Values dy = fat::test::noise(y.size(), 3);
  write("y", y);
  write("dy", dy);
  fat::float_kernels::native().mask(y.data(), dy.data(), dy.size(), clamp.low, clamp.high);
  const fat::LayerGradient layer{c.model, c.node()};
  Values scratch(layer.scratch());
  for (std::size_t which = 0; which != x.size(); ++which) {
    Values dx(x[which].size());
    layer.input(which, fat::test::pointers(x), y.data(), dy.data(), dx.data(), false, scratch.data());
    write("x" + std::to_string(which), x[which]);
    write("dx" + std::to_string(which), dx);
  }
  fat::with_weighted(c.node().op, [&](const auto& op) {
    Values dw(op.kernel.size());
    Values db(op.offset.size());
    layer.weights(x[0].data(), dy.data(), dw.data(), scratch.data());
    layer.bias(dy.data(), db.data());
    write("w", std::vector<float>(op.kernel.begin(), op.kernel.end()));
    write("b", std::vector<float>(op.offset.begin(), op.offset.end()));
    write("dw", dw);
    write("db", db);
  });
  return json;
}

const fat::Shape shape{4, 6, 5, 3};

template <class Quantizer>
Json describe_quantizer() {
  Json json{{"shape", {4, 6, 5, 3}}, {"low", Quantizer::codes.min}, {"high", Quantizer::codes.max}};
  json["steps"] = Quantizer::codes.steps;
  if constexpr (requires { Quantizer::granularity::axis; }) json["axis"] = Quantizer::granularity::axis;
  return json;
}

/// Reals inside and outside the grids of their channels, none nearer than a tenth of a step to where rounding changes
/// its mind, which other libraries do at slightly other reals.
fat::array<float> reals(const fat::Partition& parts, const std::vector<fat::Grid<float>>& grids) {
  std::mt19937 random{17};
  std::uniform_real_distribution<float> beside{-0.4F, 0.4F};
  fat::array<float> x{shape};
  for (std::size_t i = 0; i != x.size(); ++i) {
    const fat::Grid<float>& grid = grids[parts.channel(i)];
    std::uniform_int_distribution<int> codes{grid.code_min - 4, grid.code_max + 4};
    x[i] = grid.step * (static_cast<float>(codes(random) - grid.zero_point) + beside(random));
  }
  return x;
}

/// A threshold over intervals [low, high + 0.1 c] whose factors stand where an optimizer may have brought them.
template <class Quantizer, class... Policies>
Json write_threshold(float low, float high, Writer write) {
  const fat::Partition parts = Quantizer::partition(shape);
  std::vector<fat::Interval<float>> ranges;
  for (std::size_t c = 0; c != parts.channels; ++c) ranges.push_back({low, high + 0.1F * static_cast<float>(c)});
  Json json = describe_quantizer<Quantizer>();
  constexpr bool offset = (std::is_same_v<Policies, fat::OffsetZeroPoint> || ...);
  json["op"] = offset ? "offset_threshold" : Quantizer::symmetric ? "symmetric_threshold" : "asymmetric_threshold";
  for (const auto& range : ranges) json["ranges"].push_back({range.low, range.high});

  fat::AdjustableThreshold<Quantizer, float, Policies...> threshold{fat::Ranges<float>{ranges}};
  const auto factors = threshold.parameters();
  for (std::size_t i = 0; i != factors.size(); ++i)
    factors[i] = (factors[i] == 0.0F ? 0.08F : 0.9F) - 0.01F * static_cast<float>(i % parts.channels);
  std::vector<fat::Grid<float>> grids;
  for (std::size_t c = 0; c != parts.channels; ++c) grids.push_back(threshold.grid(c));
  fat::array<float> x = reals(parts, grids);
  if constexpr (offset)
    for (float& value : x) value += low + factors[0] * (high - low);  // such a grid counts from the left limit
  const fat::array<float> dy = fat::test::weights(shape, 5);
  const auto gradients = threshold.backward(x, dy);
  write("x0", x);
  write("y", threshold.forward(x));
  write("dy", dy);
  write("dx0", gradients.input);
  write("factors", factors);
  write("dfactors", gradients.parameters);
  return json;
}

/// A factor for every weight, some of them beyond the bounds.
Json write_pointwise(Writer write) {
  using Quantizer = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>>;
  const Quantizer quantizer{};
  const fat::Partition parts = quantizer.partition(shape);
  const fat::Ranges<float> ranges{{-1.0F, 1.0F}, {-2.0F, 1.5F}, {-0.5F, 0.5F}, {0.0F, 3.0F}};
  const auto params = Quantizer::params(ranges);
  std::vector<fat::Grid<float>> grids;
  Json json = describe_quantizer<Quantizer>();
  json["op"] = "pointwise";
  for (std::size_t c = 0; c != parts.channels; ++c) grids.push_back(Quantizer::grid(ranges[c]));
  for (const auto& grid : grids) json["scales"].push_back(grid.step);

  fat::PointwiseScale<float> scale{shape.elements()};
  fat::array<float> w = reals(parts, grids);
  const Values steps = fat::test::noise(w.size(), 23);
  for (std::size_t i = 0; i != w.size(); ++i) {
    scale.parameters()[i] = 1.0F + 0.3F * steps[i];
    w[i] /= fat::PointwiseScale<float>::limits.clip(scale.parameters()[i]);  // the product is what rounds
  }
  const fat::array<float> dy = fat::test::weights(shape, 5);
  const auto gradients = scale.backward(quantizer, w, dy, params);
  write("x0", w);
  write("y", scale.forward(quantizer, w, params));
  write("dy", dy);
  write("dx0", gradients.input);
  write("factors", scale.parameters());
  write("dfactors", gradients.parameters);
  return json;
}

void write_all(const std::string& folder) {
  fat::NpyArrays arrays;
  Json cases;
  const auto next = [&] { return Writer{arrays, cases.size()}; };
  for (const fat::test::OperatorCase& each : fat::test::operator_cases()) cases.push_back(write_operator(each, next()));

  using fat::Asymmetric;
  using fat::Bits;
  using fat::PerChannel;
  using fat::Quantizer;
  using fat::Scalar;
  using fat::Signed;
  using fat::Symmetric;
  using fat::Unsigned;
  using Bytes = Quantizer<Asymmetric, Scalar, Unsigned>;
  cases.push_back(write_threshold<Quantizer<Symmetric, Scalar, Signed>>(-2.0F, 1.0F, next()));
  cases.push_back(write_threshold<Quantizer<Symmetric, Scalar, Unsigned>>(0.0F, 3.0F, next()));
  cases.push_back(write_threshold<Quantizer<Symmetric, PerChannel<0>, Bits<4>>>(-1.0F, 1.0F, next()));
  cases.push_back(write_threshold<Quantizer<Symmetric, PerChannel<3>, Signed>>(-0.5F, 1.0F, next()));
  cases.push_back(write_threshold<Bytes>(-0.7F, 2.0F, next()));
  cases.push_back(write_threshold<Quantizer<Asymmetric, Scalar, Signed, Bits<4>>>(-1.5F, 0.5F, next()));
  cases.push_back(write_threshold<Quantizer<Asymmetric, PerChannel<1>, Unsigned>>(-1.0F, 1.0F, next()));
  cases.push_back(write_threshold<Quantizer<Asymmetric, PerChannel<2>, Signed>>(-0.3F, 1.0F, next()));
  cases.push_back(write_threshold<Bytes>(0.4F, 1.5F, next()));  // the left limit stays at 0
  cases.push_back(write_threshold<Bytes, fat::FreeLeft>(0.4F, 1.5F, next()));
  cases.push_back(write_threshold<Bytes, fat::OffsetZeroPoint>(-0.7F, 2.0F, next()));
  cases.push_back(write_pointwise(next()));

  fat::write_npz(folder + "/arrays.npz", arrays);
  fat::write_file_atomically(folder + "/cases.json", cases.dump());
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: torch_gradients FOLDER\n");
    return 2;
  }
  try {
    write_all(words[1]);
    return 0;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "torch_gradients: %s\n", problem.what());
    return 1;
  }
}
