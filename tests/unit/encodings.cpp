// Steps of weights where weights say nothing of them: dead channels, dead layers, biases that do not fit, multipliers.
#include <support/quantized_network.hpp>
#include <support/small_model.hpp>

#include <fat/io/c_source.hpp>
#include <fat/io/onnx.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using fat::test::Builder;
using fat::test::normal;

enum class Kind { convolution, depthwise, dense };
constexpr Kind kinds[] = {Kind::convolution, Kind::depthwise, Kind::dense};
constexpr std::size_t channels = 4;

/// Images that are `size` times normal noise.
class ScaledImages {
 public:
  ScaledImages(const fat::Extent& extent, float size) : noise_(extent, 6), scale_(size) {}
  std::size_t size() const noexcept { return noise_.size(); }
  void load(std::size_t index, std::span<float> nhwc) const {
    noise_.load(index, nhwc);
    for (float& value : nhwc) value *= scale_;
  }

 private:
  fat::test::RandomImages noise_;
  float scale_;
};

/// One layer on 5x5x4 images, its weights of deviation `size`.
fat::Model one_layer(Kind kind, float size, const fat::array<float>& bias, const fat::Clamp& clamp = {}) {
  std::mt19937 random{3};
  Builder b{{5, 5, channels}};
  const fat::Window window{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  if (kind == Kind::convolution)
    b.add("layer", fat::Convolution{window, 1, clamp, normal({channels, 3, 3, channels}, random, size), bias}, {0});
  else if (kind == Kind::depthwise)
    b.add("layer", fat::DepthwiseConvolution{window, 1, clamp, normal({1, 3, 3, channels}, random, size), bias}, {0});
  else
    b.add("layer", fat::Dense{clamp, normal({channels, 25 * channels}, random, size), bias}, {0});
  return b.take();
}

fat::array<float> biases(std::initializer_list<float> values) {
  fat::array<float> all{fat::Shape{values.size()}};
  std::copy(values.begin(), values.end(), all.begin());
  return all;
}

/// Multiplies the weights of one output channel.
void scale_channel(fat::Model& model, std::size_t channel, float times) {
  fat::with_weighted(model.nodes[0].op, [&]<class Layer>(Layer& layer) {
    const fat::Partition parts = fat::partition(layer.kernel.shape(), Layer::channel_axis);
    for (std::size_t i = 0; i != layer.kernel.size(); ++i)
      if (parts.channel(i) == channel) layer.kernel[i] *= times;
  });
}

/// Largest distance of the engine's outputs from `wanted(channel)` in one channel, in steps of the output.
template <class Wanted>
double distance(const fat::QuantizedModel& model, const ScaledImages& images, std::size_t channel, Wanted&& wanted) {
  const std::size_t in = model.graph.input_extent().size(), out = model.graph.output_extent().size();
  std::vector<float> image(in), result(out);
  fat::IntegerModel engine{model};
  double largest = 0.0;
  for (std::size_t i = 0; i != images.size(); ++i) {
    images.load(i, image);
    engine.run(std::span<const float>{image}, 1, std::span{result});
    for (std::size_t at = channel; at < out; at += channels)
      largest = std::max(largest, std::abs(static_cast<double>(result[at]) - wanted(i, at)));
  }
  return largest / static_cast<double>(model.activations[model.graph.output]->step);
}

double multiplier(const fat::QuantizedModel& model, std::size_t channel = 0) {
  return static_cast<double>(model.activations[model.graph.input]->step) *
         static_cast<double>(model.weights[0]->channel_step(channel)) /
         static_cast<double>(model.activations[model.graph.output]->step);
}

template <class Function>
void for_every_option(Function&& f) {
  for (const Kind kind : kinds)
    for (const fat::Scheme scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
      for (const fat::Scheme weights : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
        for (const fat::Granularity granularity : {fat::Granularity::scalar, fat::Granularity::per_channel})
          for (const float size : {1e-4F, 1.0F, 3e3F}) {
            fat::QuantizeOptions options;
            options.scheme = scheme, options.weight_scheme = weights, options.granularity = granularity;
            BOOST_TEST_CONTEXT("kind " << static_cast<int>(kind) << ", scheme " << static_cast<int>(scheme)
                                       << ", weights " << static_cast<int>(weights) << ", granularity "
                                       << static_cast<int>(granularity) << ", inputs of " << size)
            f(kind, options, size);
          }
}

std::string message_of(auto&& work) {
  try {
    work();
  } catch (const fat::error& problem) {
    return problem.what();
  }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_encodings)

BOOST_AUTO_TEST_CASE(a_layer_of_zeros_keeps_its_biases) {
  for_every_option([](Kind kind, const fat::QuantizeOptions& options, float size) {
    for (const float scale : {1e-3F, 1.0F, 40.0F}) {
      const fat::array<float> bias = biases({0.3F * scale, -1.7F * scale, 0.0F, 2.4F * scale});
      for (const fat::Clamp& clamp : {fat::Clamp{}, fat::relu}) {
        const fat::Model model = one_layer(kind, 0.0F, bias, clamp);
        const ScaledImages images{model.input_extent(), size};
        const fat::QuantizedModel quantized = fat::quantize_model(model, images, options);
        for (std::size_t c = 0; c != channels; ++c) {
          BOOST_TEST(multiplier(quantized, c) == 1.0, boost::test_tools::tolerance(1e-5));
          const double wanted = static_cast<double>(std::max(bias[c], clamp.low));
          BOOST_TEST(distance(quantized, images, c, [&](std::size_t, std::size_t) { return wanted; }) <= 0.501);
        }
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(a_dead_channel_takes_the_largest_live_step_and_keeps_its_bias) {
  for_every_option([](Kind kind, fat::QuantizeOptions options, float size) {
    options.granularity = fat::Granularity::per_channel;
    fat::Model model = one_layer(kind, 1.0F / size, biases({0.3F, -1.7F, 0.0F, 2.4F}));
    scale_channel(model, 1, 0.0F);
    scale_channel(model, 2, 0.01F);
    const ScaledImages images{model.input_extent(), size};
    fat::QuantizeReport report;
    const fat::QuantizedModel quantized = fat::quantize_model(model, images, options, {}, &report);
    const fat::WeightEncoding& weights = *quantized.weights[0];
    BOOST_TEST(report.layers[0].notes.dead_channels == 1U);
    BOOST_TEST(weights.step[1] == std::max(weights.step[0], weights.step[3]));
    BOOST_TEST(weights.step[1] > 20.0F * weights.step[2]);
    BOOST_TEST(weights.zero_point[1] == 0);
    BOOST_TEST(multiplier(quantized, 1) < 1.0);
    BOOST_TEST(distance(quantized, images, 1, [](std::size_t, std::size_t) { return -1.7; }) <= 1.001);
  });
}

/// Large weights on inputs that are 0: the step that they need would lose the bias of a channel without any.
BOOST_AUTO_TEST_CASE(a_dead_channel_beside_idle_weights_keeps_its_bias) {
  for (const Kind kind : {Kind::convolution, Kind::dense}) {
    fat::Model model = one_layer(kind, 1e5F, biases({0.3F, -1.7F, 0.0F, 2.4F}));
    scale_channel(model, 1, 0.0F);
    for (const std::size_t c : {0U, 2U, 3U}) scale_channel(model, c, 1.0F);
    const ScaledImages images{model.input_extent(), 0.0F};
    const fat::QuantizedModel quantized = fat::quantize_model(model, images, {});
    BOOST_TEST(distance(quantized, images, 1, [](std::size_t, std::size_t) { return -1.7; }) <= 0.501);
  }
}

/// A bias that weight step and input step cannot reach with 32 bits raises the step of its channel, and no other.
BOOST_AUTO_TEST_CASE(the_guard_raises_the_step_of_a_bias_that_does_not_fit) {
  for_every_option([](Kind kind, const fat::QuantizeOptions& options, float size) {
    const bool each = options.granularity == fat::Granularity::per_channel;
    fat::Model model = one_layer(kind, 1.0F / size, biases({0.3F, -1.7F, 0.0F, 2.4F}));
    // below 2^-31 of the bias; the rest of the layer as well where it has one step
    for (std::size_t c = 0; c != channels; ++c)
      if (c == 1 || !each) scale_channel(model, c, 1e-12F);
    const ScaledImages images{model.input_extent(), size};
    fat::QuantizeReport report;
    const fat::QuantizedModel quantized = fat::quantize_model(model, images, options, {}, &report);
    const fat::WeightEncoding& weights = *quantized.weights[0];
    BOOST_TEST(report.layers[0].notes.raised_channels == (each ? 1U : 3U));  // the one step by 0.3, -1.7 and 2.4
    for (const std::int32_t code : weights.bias)
      BOOST_TEST(std::abs(std::int64_t{code}) < (1 << 30) + 1000);  // a float step
    BOOST_TEST(std::abs(weights.bias[each ? 1 : 3]) > (1 << 29));
    for (std::size_t c = 0; c != channels; ++c) {
      const double bias = std::vector<double>{0.3, -1.7, 0.0, 2.4}[c];
      if (c == 1 || !each)
        BOOST_TEST(distance(quantized, images, c, [&](std::size_t, std::size_t) { return bias; }) <= 0.501);
      else
        BOOST_TEST(std::abs(weights.bias[c]) < (1 << 20));
    }
  });
}

BOOST_AUTO_TEST_CASE(the_guard_leaves_half_of_the_bias_codes_to_the_sums) {
  const double step = 1e-3, input = 1e-2, limit = 0.5 * step * input * fat::largest_bias_code;
  BOOST_TEST(fat::safe_weight_step(0.999 * limit, input, step) == step);
  for (const double bias : {1.001 * limit, -1.001 * limit, 1e6 * limit}) {
    const double raised = fat::safe_weight_step(bias, input, step);
    BOOST_TEST(raised > step);
    BOOST_TEST(std::abs(bias) / (input * raised) == 0.5 * fat::largest_bias_code, boost::test_tools::tolerance(1e-12));
  }
}

/// A ReLU that lets almost nothing pass makes outputs far smaller than the steps of the sums.
BOOST_AUTO_TEST_CASE(no_multiplier_is_one_that_runtimes_refuse) {
  for_every_option([](Kind kind, const fat::QuantizeOptions& options, float size) {
    for (const float passes : {1e-6F, 1e-3F, 0.0F}) {
      fat::Model model =
          one_layer(kind, 1000.0F, biases({passes, -1.0F, 0.0F, 0.5F * passes}), fat::Clamp{0.0F, passes});
      if (passes == 0.0F) fat::with_weighted(model.nodes[0].op, [](auto& layer) { layer.clamp.high = 0.0F; });
      const ScaledImages images{model.input_extent(), size};
      const fat::QuantizedModel quantized = fat::quantize_model(model, images, options);
      for (std::size_t c = 0; c != channels; ++c) BOOST_TEST(multiplier(quantized, c) < fat::least_refused_multiplier);
      fat::IntegerModel{quantized};
    }
  });
}

/// Widening one output raises the multipliers of what reads it, in chains and where grids are shared.
BOOST_AUTO_TEST_CASE(multipliers_are_limited_in_chains_and_across_shared_grids) {
  std::mt19937 random{4};
  Builder b{{6, 6, channels}};
  const auto pointwise = [&](float size, float most) {
    return fat::Convolution{
        {}, 1, fat::Clamp{0.0F, most}, normal({channels, 1, 1, channels}, random, size), biases({0, 0, 0, 0})};
  };
  const fat::ValueId first = b.add("first", pointwise(1e3F, 1e-4F), {0});
  const fat::ValueId second = b.add("second", pointwise(1e3F, 1e-3F), {first});
  const fat::ValueId pool =
      b.add("pool", fat::Pool{fat::Pool::Kind::max, {{2, 2}, {2, 2}, {1, 1}, {}}, false}, {second});
  const fat::ValueId third = b.add("third", pointwise(1e3F, 1e-3F), {pool});
  const fat::ValueId joined = b.add("join", fat::Concat{2}, {third, pool});
  b.add("last", fat::Convolution{{}, 1, {}, normal({2, 1, 1, 2 * channels}, random, 1.0F), biases({1.0F, -1.0F})},
        {joined});
  const fat::Model model = b.take();
  const fat::test::RandomImages images{model.input_extent(), 4};
  const auto largest = [&](const fat::QuantizedModel& quantized) {
    double most = 0.0;
    for (std::size_t n = 0; n != model.nodes.size(); ++n)
      if (const auto& w = quantized.weights[n])
        for (const float step : w->step)
          most = std::max(most, static_cast<double>(quantized.activations[model.nodes[n].inputs[0]]->step) *
                                    static_cast<double>(step) /
                                    static_cast<double>(quantized.activations[model.nodes[n].output]->step));
    return most;
  };
  const fat::QuantizedModel quantized = fat::quantize_model(model, images);
  BOOST_TEST(largest(quantized) < fat::least_refused_multiplier);
  fat::IntegerModel{quantized};
}

/// Reads and makes one grid, with weights that multiply by thousands: no grid helps, which has to be said by name.
BOOST_AUTO_TEST_CASE(a_multiplier_that_no_grid_helps_is_refused_by_name) {
  Builder b{{4, 4, 1}};
  fat::array<float> large{fat::Shape{1, 1, 1, 1}};
  large[0] = 1e5F;
  const fat::ValueId big = b.add("big", fat::Convolution{{}, 1, fat::Clamp{-1.0F, 1.0F}, large, biases({0.0F})}, {0});
  b.add("join", fat::Concat{2}, {0, big});
  const fat::Model model = b.take();
  const fat::test::RandomImages images{model.input_extent(), 2};
  const std::string said = message_of([&] { fat::quantize_model(model, images); });
  BOOST_TEST(said.find("layer 'big'") != std::string::npos, said);
  BOOST_TEST(said.find("256") != std::string::npos, said);
}

BOOST_AUTO_TEST_CASE(tensorflow_lite_files_have_no_multiplier_that_runtimes_refuse) {
  const fat::Model model = one_layer(Kind::convolution, 1.0F, biases({0.3F, -1.7F, 0.0F, 2.4F}));
  const ScaledImages images{model.input_extent(), 1.0F};
  fat::QuantizedModel quantized = fat::quantize_model(model, images);
  quantized.weights[0]->step[2] = 1e6F;
  const std::string said = message_of([&] { fat::tflite::write(quantized); });
  BOOST_TEST(said.find("layer 'layer' multiplies its sums by") != std::string::npos, said);
}

namespace {

/// A softmax, a sigmoid, both behind operators that move codes, and both joined with a tensor of another grid.
fat::Model fixed_grids() {
  fat::test::NetworkBuilder b{{6, 6, 3, false}, false};
  const auto pointwise = [&] { return b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), {}); };
  const fat::ValueId real = b.add("conv", pointwise(), {b.model.input});
  const fat::ValueId soft = b.add("softmax", fat::Softmax{}, {real});
  const fat::ValueId gate = b.add("sigmoid", fat::Sigmoid{}, {real});
  const fat::ValueId both = b.add("units", fat::Concat{2}, {soft, gate});
  const fat::ValueId less =
      b.add("pool", fat::Pool{fat::Pool::Kind::max, fat::test::window_of(2, 2, {}), false}, {both});
  const fat::ValueId small =
      b.add("reals", fat::Pool{fat::Pool::Kind::average, fat::test::window_of(2, 2, {}), false}, {real});
  b.add("join", fat::Concat{2}, {less, small, b.add("soft again", fat::Softmax{}, {small})});
  const fat::ValueId dense =
      b.add("dense", fat::Dense{{}, b.random({5, 144}, 0.5F), b.random({5}, 0.1F)}, {b.model.output});
  b.add("last", fat::Softmax{}, {dense});
  return b.model;
}

/// Largest distance of the engine's outputs from the simulation's, in steps of the output.
double off_simulation(const fat::QuantizedModel& model) {
  const std::size_t in = model.graph.input_extent().size(), out = model.graph.output_extent().size(), images = 4;
  std::vector<float> from(images * in), engine(images * out), simulated(images * out);
  const fat::test::NoiseImages source{images};
  for (std::size_t i = 0; i != images; ++i) source.load(i, std::span{from}.subspan(i * in, in));
  fat::IntegerModel{model}.run(std::span<const float>{from}, images, std::span{engine});
  fat::Simulation{model}.run(from, images, simulated);
  double largest = 0.0;
  for (std::size_t i = 0; i != engine.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(engine[i] - simulated[i])));
  const auto& encoding = model.activations[model.graph.output];
  return largest / (encoding ? static_cast<double>(encoding->step) : 1.0 / 256.0);
}

fat::QuantizeOptions fixed_options(int bits, fat::Scheme scheme, bool all_signed) {
  fat::QuantizeOptions options;
  options.scheme = scheme, options.activation_bits = bits, options.signed_activations = all_signed;
  return options;
}

}  // namespace

/// What the integer engine and the formats prescribe stays whatever the other activations have.
BOOST_AUTO_TEST_CASE(fixed_grids_have_8_bits_beside_activations_of_any) {
  const fat::Model model = fixed_grids();
  for (int bits = 2; bits <= 8; ++bits)
    for (const auto& [scheme, all_signed] :
         {std::pair{fat::Scheme::asymmetric, false}, {fat::Scheme::symmetric, false}, {fat::Scheme::symmetric, true}}) {
      BOOST_TEST_CONTEXT(bits << " bits, scheme " << static_cast<int>(scheme) << (all_signed ? ", signed" : "")) {
        const fat::QuantizedModel quantized = fat::test::quantized(model, fixed_options(bits, scheme, all_signed));
        for (const fat::Node& node : model.nodes) {
          const auto& encoding = quantized.activations[node.output];
          const bool unit = std::holds_alternative<fat::Softmax>(node.op) ||
                            std::holds_alternative<fat::Sigmoid>(node.op) || node.name == "units" ||
                            node.name == "pool";
          if (all_signed && unit) {  // softmax stays float, and what shares its grid
            BOOST_TEST(!encoding.has_value(), node.name);
            continue;
          }
          BOOST_REQUIRE(encoding);
          BOOST_TEST(encoding->bits == (unit ? 8 : bits), node.name << " has " << encoding->bits << " bits");
          if (unit) BOOST_TEST(encoding->step == 1.0F / 256.0F);
        }
        // narrow grids turn a sum that rounds the other way into a large step
        BOOST_TEST(off_simulation(quantized) <= (bits == 8 ? 4.0 : 256.0));
        const fat::QuantizedModel again = fat::onnx::read_quantized(fat::onnx::write(quantized), "again");
        BOOST_TEST(fat::test::outputs(again) == fat::test::outputs(quantized), boost::test_tools::per_element());
        if (!all_signed) BOOST_TEST(!fat::c_source(quantized, "network").empty());
        if (bits == 8 && !all_signed) BOOST_TEST(!fat::tflite::write(quantized).empty());
      }
    }
}

/// One dense layer of `depth` inputs and one output.
fat::Model deep_layer(std::size_t depth, const std::vector<float>& weights) {
  Builder b{{1, 1, depth, true}};
  fat::array<float> kernel{fat::Shape{weights.size() / depth, depth}};
  std::copy(weights.begin(), weights.end(), kernel.begin());
  fat::array<float> bias{fat::Shape{weights.size() / depth}};
  b.add("deep", fat::Dense{{}, kernel, bias}, {0});
  return b.take();
}

/// Images all of whose values are between 0 and 1.
class PositiveImages {
 public:
  std::size_t size() const noexcept { return 3; }
  void load(std::size_t index, std::span<float> values) const {
    std::mt19937 random{static_cast<std::uint32_t>(index + 1)};
    for (float& value : values) value = index == 0 ? 1.0F : static_cast<float>(random() % 256U) / 255.0F;
  }
};

/// Sums of the codes in 64 bits, requantized: what the engine has to give.
std::vector<float> exact_outputs(const fat::QuantizedModel& model, const std::vector<float>& image) {
  const fat::ActivationEncoding &x = *model.activations[model.graph.input], &y = *model.activations[model.graph.output];
  const fat::WeightEncoding& w = *model.weights[0];
  std::vector<float> outputs;
  for (std::size_t c = 0; c != w.bias.size(); ++c) {
    std::int64_t sum = w.bias[c];
    for (std::size_t k = 0; k != image.size(); ++k)
      sum += std::int64_t{fat::quantize_one(image[k], fat::grid_of(x)) - x.zero_point} *
             (w.codes[c * image.size() + k] - w.channel_zero_point(c));
    BOOST_TEST(std::abs(sum) <= fat::largest_int32);
    const double multiplier =
        static_cast<double>(x.step) * static_cast<double>(w.channel_step(c)) / static_cast<double>(y.step);
    const double code = std::floor(static_cast<double>(sum) * multiplier + 0.5) + y.zero_point;
    outputs.push_back(static_cast<float>(std::clamp<double>(code, y.code_min, y.code_max) - y.zero_point) * y.step);
  }
  return outputs;
}

BOOST_AUTO_TEST_CASE(sums_of_any_depth_are_exact_and_fit) {
  // At a depth where all codes at their largest just fit, at one where they do not, and at the deepest.
  for (const std::size_t depth : {std::size_t{65793}, std::size_t{66048}, std::size_t{100003}, fat::deepest_sum})
    for (const double live : {0.5, 1.0})
      for (const fat::Scheme scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
        for (const fat::Scheme weight_scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
          BOOST_TEST_CONTEXT(depth << " products, " << live << " of them live, scheme " << static_cast<int>(scheme)
                                   << ", weights " << static_cast<int>(weight_scheme)) {
            std::vector<float> weights(2 * depth, 0.0F);
            for (std::size_t k = 0; k != depth; ++k) {
              if (static_cast<double>(k) < live * static_cast<double>(depth)) weights[k] = 0.01F;
              weights[depth + k] = k % 2 == 0 ? 0.01F : -0.01F;
            }
            const fat::Model model = deep_layer(depth, weights);
            fat::QuantizeOptions options;
            options.scheme = scheme, options.weight_scheme = weight_scheme;
            fat::QuantizeReport report;
            const fat::QuantizedModel quantized = fat::quantize_model(model, PositiveImages{}, options, {}, &report);
            // nothing is raised that fits as it is
            const bool fits =
                static_cast<double>(depth) * live * 255 * (weight_scheme == fat::Scheme::symmetric ? 127 : 255) <
                    2147483647.0 &&
                static_cast<double>(depth) * 255 * 128 < 2147483647.0;
            if (fits) BOOST_TEST(report.layers[0].notes.raised_channels == 0U);
            for (const char* const kernels : {"generic", static_cast<const char*>(nullptr)}) {
              fat::IntegerModel engine{quantized, {.kernels = kernels}};
              for (std::size_t i = 0; i != 3; ++i) {
                std::vector<float> image(depth), found(2);
                PositiveImages{}.load(i, image);
                engine.run(std::span<const float>{image}, 1, std::span{found});
                BOOST_TEST(found == exact_outputs(quantized, image), boost::test_tools::per_element());
              }
            }
            BOOST_TEST(!fat::onnx::write(quantized).empty());
            if (weight_scheme == fat::Scheme::symmetric) BOOST_TEST(!fat::tflite::write(quantized).empty());
          }
}

BOOST_AUTO_TEST_CASE(layers_deeper_than_the_kernels_are_refused_before_any_work) {
  struct Unread {
    std::size_t size() const noexcept { return 1; }
    void load(std::size_t, std::span<float>) const { throw std::logic_error{"an image was read"}; }
  };
  const std::size_t depth = fat::deepest_sum + 1;
  const fat::Model model = deep_layer(depth, std::vector<float>(depth, 1.0F));
  const std::string said = message_of([&] { fat::quantize_model(model, Unread{}); });
  BOOST_TEST(said.find("layer 'deep' sums 262141 products") != std::string::npos, said);
  // kept in float it is no matter
  fat::QuantizeOptions options;
  options.keep_float = {"input", "deep"};
  fat::IntegerModel{fat::quantize_model(model, PositiveImages{}, options)};
}

BOOST_AUTO_TEST_CASE(no_file_has_sums_that_pass_32_bits) {
  const std::size_t depth = 66500;
  const fat::Model model = deep_layer(depth, std::vector<float>(depth, 1.0F));
  fat::QuantizedModel quantized = fat::quantize_model(model, PositiveImages{});
  quantized.weights[0]->codes = fat::array<std::int8_t>{fat::Shape{1, depth}};
  for (std::int8_t& code : quantized.weights[0]->codes) code = 127;
  const auto refused = [&](auto&& work) {
    const std::string said = message_of(work);
    BOOST_TEST(said.find("sums of layer 'deep', channel 0, can pass 32 bits") != std::string::npos, said);
  };
  refused([&] { fat::IntegerModel{quantized}; });
  refused([&] { fat::onnx::write(quantized); });
  refused([&] { fat::tflite::write(quantized); });
  refused([&] { fat::c_source(quantized, "network"); });
}

BOOST_AUTO_TEST_SUITE_END()
