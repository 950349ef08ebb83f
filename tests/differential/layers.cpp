// Integer layers of random shapes on every path of this processor against the reference kernels, code by code; bad input.
#include <fat/model/code_differences.hpp>
#include <fat/model/integer.hpp>

#include "support/code_network.hpp"
#include "support/kernels.hpp"
#include "support/reference_network.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using fat::test::CodeNetwork;
using fat::test::CodeStyle;

/// By the reference kernels, with the roundings that the model's requantization stands for.
std::vector<std::vector<std::uint8_t>> reference_values(const fat::QuantizedModel& model,
                                                        const std::vector<std::uint8_t>& image) {
  using fat::test::ReferenceNetwork;
  if (model.requantize == fat::Requantization::half_even)
    return ReferenceNetwork<fat::SingleHalfEven>{model}.run(image);
  if (model.requantize == fat::Requantization::tflite)
    return ReferenceNetwork<fat::DoubleRounding, fat::SingleRounding>{model}.run(image);
  return ReferenceNetwork<>{model}.run(image);
}

/// All values of one image on every path, with one thread and with three that share each layer, against the reference.
void compare(const fat::QuantizedModel& model, std::uint32_t seed) {
  const bool is_signed = model.activations[model.graph.input]->is_signed();
  std::mt19937 random{seed};
  std::vector<std::uint8_t> image(model.graph.input_extent().size());
  for (std::uint8_t& byte : image) byte = static_cast<std::uint8_t>(random());
  const auto expected = reference_values(model, image);
  for (const fat::kernel::Kernels* kernels : fat::test::every_kernel())
    for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
      fat::IntegerModel engine{model, {.threads = threads, .set = kernels}};
      const auto check = [&](fat::ValueId v, std::size_t, std::size_t, const std::uint8_t* bytes) {
        std::size_t differing = 0;
        for (std::size_t i = 0; i != expected[v].size(); ++i) differing += bytes[i] != expected[v][i] ? 1 : 0;
        BOOST_TEST(differing == 0U, kernels->name << ", " << threads << " threads, seed " << seed << ": " << differing
                                                  << " of " << expected[v].size() << " codes of "
                                                  << model.graph.values[v].name << " differ");
      };
      if (is_signed) {
        std::vector<std::int8_t> codes, out(model.graph.output_extent().size());
        for (const std::uint8_t byte : image) codes.push_back(static_cast<std::int8_t>(byte - 128));
        engine.run(std::span<const std::int8_t>{codes}, 1, std::span{out}, check);
      } else {
        std::vector<std::uint8_t> out(model.graph.output_extent().size());
        engine.run(std::span<const std::uint8_t>{image}, 1, std::span{out}, check);
      }
    }
}

/// Odd numbers, tails of vectors and whole ones.
std::size_t some_channels(CodeNetwork& net) {
  static constexpr std::size_t often[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 40, 64, 65};
  return often[net.below(std::size(often))];
}

/// A window with every extent, stride, dilation and padding at random that fits at least once.
fat::Window some_window(CodeNetwork& net, const fat::Extent& in, bool pooling) {
  for (;;) {
    fat::Window w;
    w.kernel = {1 + net.below(5), 1 + net.below(5)};
    w.stride = {1 + net.below(3), 1 + net.below(3)};
    w.dilation = {1 + net.below(2), 1 + net.below(2)};
    const fat::Pair reach{(w.kernel.height - 1) * w.dilation.height, (w.kernel.width - 1) * w.dilation.width};
    // every window of a pool has to hold a pixel: padding on one side only, and none that a dilated one can jump over
    w.padding = {net.below(reach.height + 1), net.below(reach.width + 1), pooling ? 0 : net.below(3),
                 pooling ? 0 : net.below(3)};
    if (pooling && (in.height < 2 || in.width < 2))
      w.dilation = {1, 1}, w.padding.top = std::min(w.padding.top, w.kernel.height - 1),
      w.padding.left = std::min(w.padding.left, w.kernel.width - 1);
    if (reach.height + 1 <= in.height + w.padding.top + w.padding.bottom &&
        reach.width + 1 <= in.width + w.padding.left + w.padding.right)
      return w;
  }
}

fat::Clamp some_clamp(CodeNetwork& net) {
  const fat::Clamp all[] = {{}, fat::relu, {-0.4F, 0.3F}};
  return all[net.below(3)];
}

using Builder = std::function<fat::ValueId(CodeNetwork&, fat::ValueId)>;

void fuzz(const Builder& add_layer, std::size_t rounds = 40) {
  for (std::uint32_t seed = 1; seed <= rounds; ++seed) {
    std::mt19937 random{seed * 7919};
    const auto below = [&](std::size_t limit) { return random() % limit; };
    CodeStyle style{below(2) == 0, below(2) == 0, below(4) == 0, seed};
    const fat::Extent extent{1 + below(12), 1 + below(12), 1};
    // halves up, and one of the others
    for (const auto how :
         {fat::Requantization::half_up, below(2) == 0 ? fat::Requantization::half_even : fat::Requantization::tflite}) {
      style.requantize = how;
      CodeNetwork net{extent, style};
      // channels first, by a layer that itself has an odd shape
      const fat::ValueId x = net.convolution(net.input(), some_channels(net), {});
      compare(net.finish(add_layer(net, x)), seed);
      style.power_of_two = below(3) != 0;
    }
  }
}

template <class Call>
void rejects(Call call, const std::string& part) {
  try {
    call();
    BOOST_ERROR("no error; expected one with: " << part);
  } catch (const fat::error& e) {
    BOOST_TEST(std::string{e.what()}.find(part) != std::string::npos, e.what());
  }
}

fat::QuantizedModel dense(std::size_t in, std::size_t out) {
  CodeNetwork net{{1, 1, in}};
  return net.finish(net.dense(net.input(), out));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(differential_layers)

BOOST_AUTO_TEST_CASE(convolutions) {
  fuzz([](CodeNetwork& net, fat::ValueId x) {
    const std::size_t in = net.extent(x).channels, groups = in % 4 == 0 && net.below(3) == 0 ? 4 : 1;
    return net.convolution(x, groups * some_channels(net), some_window(net, net.extent(x), false), groups,
                           some_clamp(net));
  });
}

/// Kernels that saturate widen the rows of groups with large weights, and of those alone.
BOOST_AUTO_TEST_CASE(groups_of_small_and_of_large_weights) {
  for (const bool large_first : {false, true}) {
    CodeNetwork net{{30, 30, 8}};
    fat::QuantizedModel model = net.finish(net.convolution(net.input(), 4, {{3, 3}, {1, 1}, {1, 1}, {}}, 2));
    fat::array<std::int8_t>& codes = model.weights.back()->codes;
    for (std::size_t i = 0; i != codes.size(); ++i)
      codes[i] = static_cast<std::int8_t>((i < codes.size() / 2) == large_first ? 127 : codes[i] / 8);
    compare(model, 1);
  }
}

BOOST_AUTO_TEST_CASE(pointwise_convolutions) {
  fuzz([](CodeNetwork& net, fat::ValueId x) { return net.convolution(x, 1 + net.below(150), {}, 1, some_clamp(net)); });
}

BOOST_AUTO_TEST_CASE(depthwise_convolutions) {
  fuzz(
      [](CodeNetwork& net, fat::ValueId x) {
        return net.depthwise(x, some_window(net, net.extent(x), false), net.below(3) == 0 ? 2 : 1, some_clamp(net));
      },
      60);
}

BOOST_AUTO_TEST_CASE(dense_layers) {
  fuzz([](CodeNetwork& net, fat::ValueId x) { return net.dense(x, 1 + net.below(70), some_clamp(net)); });
}

/// Where threads share the columns: fewer pixels than channels, whole and cut panels, deep and shallow sums.
BOOST_AUTO_TEST_CASE(few_pixels_and_many_channels) {
  const fat::Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  for (const std::size_t channels : {96U, 160U, 201U, 384U})
    for (const std::uint32_t seed : {1U, 2U}) {
      CodeNetwork net{{3, 3, 12}, {seed == 1, seed == 1, false, seed}};
      const fat::ValueId first = net.convolution(net.input(), channels, same);
      compare(net.finish(net.dense(net.convolution(first, 210, {}), channels)), seed);
    }
}

BOOST_AUTO_TEST_CASE(sums_and_products) {
  fuzz(
      [](CodeNetwork& net, fat::ValueId x) {
        const fat::ValueId other =
            net.below(2) == 0 ? net.convolution(x, net.extent(x).channels, {}) : net.add(fat::GlobalAveragePool{}, {x});
        if (net.below(2) == 0) return net.add(fat::Add{some_clamp(net)}, {x, other});
        return net.add(fat::Multiply{some_clamp(net)}, {x, other});
      },
      60);
}

BOOST_AUTO_TEST_CASE(pools) {
  fuzz(
      [](CodeNetwork& net, fat::ValueId x) {
        const auto kind = net.below(3) == 0 ? fat::Pool::Kind::max : fat::Pool::Kind::average;
        return net.add(fat::Pool{kind, some_window(net, net.extent(x), true), net.below(2) == 0}, {x});
      },
      60);
}

BOOST_AUTO_TEST_CASE(layers_that_move_codes) {
  fuzz([](CodeNetwork& net, fat::ValueId x) {
    const fat::Extent e = net.extent(x);
    x = net.add(
        fat::Pad{{net.below(3), net.below(3), net.below(3), net.below(3)}, 0.01F * static_cast<float>(net.below(50))},
        {x});
    const std::size_t axis = net.below(3);
    const fat::ValueId wider = net.add(fat::Concat{axis}, {x, x, net.add(fat::ClampLayer{some_clamp(net)}, {x})});
    const fat::Extent whole = net.extent(wider);
    const auto lattice = static_cast<fat::Resize::Coordinates>(net.below(4));
    const auto pixel = static_cast<fat::NearestPixel>(net.below(4));
    const fat::ValueId resized = net.add(fat::Resize{fat::Resize::Kind::nearest, lattice, pixel}, {wider},
                                         {1 + net.below(2 * e.height), 1 + net.below(2 * e.width), whole.channels});
    const fat::Extent last = net.extent(resized);
    return net.add(fat::Reshape{net.below(2) == 0}, {resized}, {last.channels, last.height, last.width});
  });
}

/// Extents whose ratio is no multiple of 1/1024: integers and simulation read the same places.
BOOST_AUTO_TEST_CASE(bilinear_resize_is_within_a_code_of_the_simulation) {
  using Resize = fat::Resize;
  std::size_t compared = 0;
  for (const auto coordinates : {Resize::Coordinates::half_pixel, Resize::Coordinates::asymmetric,
                                 Resize::Coordinates::align_corners, Resize::Coordinates::pytorch_half_pixel})
    for (const auto& [from, to] : {std::pair{33U, 257U}, {9U, 37U}, {37U, 9U}, {5U, 1U}}) {
      CodeNetwork net{{from, from, 3}};
      fat::CodeDifferences differences{
          net.finish(net.add(Resize{Resize::Kind::bilinear, coordinates}, {net.input()}, {to, to, 3}))};
      std::mt19937 random{from};
      std::vector<float> image(std::size_t{from} * from * 3);
      for (float& value : image) value = 0.02F * static_cast<float>(static_cast<int>(random() % 256) - 128);
      differences.add(image);
      const fat::CodeDifference& found = differences.layers().back();
      BOOST_TEST(found.largest <= 1, from << " to " << to << ": codes differ by " << found.largest);
      compared += found.codes;
    }
  BOOST_TEST(compared > 500000U);
}

BOOST_AUTO_TEST_CASE(functions_of_codes) {
  fuzz([](CodeNetwork& net, fat::ValueId x) {
    switch (net.below(4)) {
      case 0:
        return net.add(fat::HardSwish{}, {x});
      case 1:
        return net.add(fat::Sigmoid{}, {x});
      case 2:
        return net.add(fat::HardSigmoid{0.7F, 0.4F}, {x});
      default:
        return net.add(fat::Softmax{}, {x});
    }
  });
}

BOOST_AUTO_TEST_CASE(every_operator_in_one_network) {
  for (std::uint32_t seed = 1; seed != 6; ++seed) {
    compare(fat::test::every_operator({.seed = seed}), seed);
    compare(fat::test::every_operator({.is_signed = false, .per_channel = false, .seed = seed}), seed);
    compare(fat::test::every_operator({.asymmetric_weights = true, .seed = seed}), seed);
    for (const auto how : {fat::Requantization::half_even, fat::Requantization::tflite})
      for (const bool power_of_two : {false, true})
        compare(fat::test::every_operator(
                    {.is_signed = seed % 2 == 0, .seed = seed, .requantize = how, .power_of_two = power_of_two}),
                seed);
  }
}

/// There floats are exact and halves are many: integers and simulation go the same way.
BOOST_AUTO_TEST_CASE(steps_that_are_powers_of_two_give_the_codes_of_the_simulation) {
  for (const auto how : {fat::Requantization::half_up, fat::Requantization::half_even})
    for (std::uint32_t seed = 1; seed != 9; ++seed) {
      CodeNetwork net{{6, 5, 8}, {.is_signed = seed % 2 == 0, .seed = seed, .requantize = how, .power_of_two = true}};
      fat::ValueId x = net.convolution(net.input(), 16, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1, fat::relu);
      x = net.depthwise(x, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}});
      x = net.add(fat::Add{}, {x, net.convolution(x, 16, {})});
      x = net.add(fat::Multiply{}, {x, net.add(fat::ClampLayer{}, {x})});
      x = net.add(fat::ClampLayer{}, {x}, {}, net.encoding(4.0F * net.grid(x).step));
      const float step = net.grid(net.input()).step;
      fat::CodeDifferences differences{net.finish(net.dense(x, 10))};
      std::mt19937 random{seed};
      std::vector<float> image(6 * 5 * 8);
      for (float& value : image) value = step * static_cast<float>(static_cast<int>(random() % 256) - 128);
      differences.add(image);
      for (std::size_t n = 0; n != differences.layers().size(); ++n)
        BOOST_TEST(differences.layers()[n].differing == 0U,
                   fat::name_of(how) << ", seed " << seed << ": " << differences.layers()[n].differing << " codes of "
                                     << differences.graph().nodes[n].name << " differ");
    }
}

BOOST_AUTO_TEST_CASE(bad_networks_are_refused_before_any_work) {
  fat::QuantizedModel model = dense(262141, 2);
  rejects([&] { fat::IntegerModel engine{model}; }, "can pass 32 bits");
  for (std::int8_t& code : model.weights[0]->codes) code = 0;
  rejects([&] { fat::IntegerModel engine{model}; }, "sums 262141 products, at most 262140 are possible");
  model = dense(4, 2);
  model.activations[0]->zero_point = 200;
  rejects([&] { fat::IntegerModel engine{model}; }, "zero point");
  model = dense(4, 2);
  model.weights[0]->zero_point[0] = -129;
  rejects([&] { fat::IntegerModel engine{model}; }, "not an 8-bit code");
  model = dense(4, 2);
  model.weights[0]->step[1] = -1.0F;
  rejects([&] { fat::IntegerModel engine{model}; }, "a weight step of layer 'dense 0' is -1");
  model = dense(4, 2);
  model.activations[1]->step = 0.0F;
  rejects([&] { fat::IntegerModel engine{model}; }, "step");
  model = dense(4, 2);
  model.activations[0]->step = 1e20F;
  rejects([&] { fat::IntegerModel engine{model}; }, "multiplier is 2^30 or more");
  model = dense(4, 2);
  model.weights[0]->codes = fat::array<std::int8_t>{{2, 3}};
  rejects([&] { fat::IntegerModel engine{model}; }, "weights are [2,3], but its input asks for [2,4]");
  model = dense(4, 2);
  model.weights[0]->bias = fat::array<std::int32_t>{{3}};
  rejects([&] { fat::IntegerModel engine{model}; }, "3 biases for 2 output channels");
  model = dense(4, 2);
  model.graph.values[0].extent.width = 0;
  rejects([&] { fat::IntegerModel engine{model}; }, "empty input");
  model = dense(4, 2);
  model.weights[0].reset();
  auto& layer = std::get<fat::Dense>(model.graph.nodes[0].op);
  layer.kernel = fat::array<float>{{2, 4}, 0.5F};
  layer.offset = fat::array<float>{{2}};
  rejects([&] { fat::IntegerModel engine{model}; }, "layer 'dense 0' has float weights between quantized tensors");
}

/// The taps of a dilated window can lie on both sides of a small image.
BOOST_AUTO_TEST_CASE(pools_of_no_pixel_are_refused) {
  rejects(
      [] {
        CodeNetwork net{{2, 2, 3}};
        const fat::Window window{{2, 2}, {1, 1}, {3, 3}, {3, 3, 3, 3}};
        net.add(fat::Pool{fat::Pool::Kind::average, window, false}, {net.input()}, {5, 5, 3});
        fat::IntegerModel engine{net.finish(1)};
      },
      "some windows hold no pixel");
}

/// From 4096 equal codes on the sum of the exponentials passes 31 bits, from 8192 on 32.
BOOST_AUTO_TEST_CASE(softmax_of_many_channels) {
  for (const std::size_t channels : {4095U, 4096U, 5000U, 8192U, 8193U, 40000U}) {
    const std::vector<std::int8_t> equal(channels, 5);
    std::vector<std::int8_t> codes(channels);
    fat::reference::softmax(equal.data(), channels, fat::SoftmaxStage::from_step(0.1), -128, codes.data());
    BOOST_TEST(codes == std::vector<std::int8_t>(channels, -128), boost::test_tools::per_element());
    std::vector<std::int8_t> one = equal;
    one[7] = 127;
    fat::reference::softmax(one.data(), channels, fat::SoftmaxStage::from_step(0.05), -128, codes.data());
    const double share = 1.0 / (1.0 + static_cast<double>(channels - 1) * std::exp(-0.05 * 122));
    BOOST_TEST(std::abs(codes[7] + 128 - std::min(256.0 * share, 255.0)) <= 1.0, channels << ": " << int{codes[7]});
  }
}

BOOST_AUTO_TEST_CASE(bad_calls_are_refused_before_any_work) {
  fat::IntegerModel engine{dense(4, 2)};
  const std::vector<std::int8_t> codes(7);
  std::vector<std::int8_t> out(2, 77);
  std::vector<std::uint8_t> raised(2);
  rejects([&] { engine.run(std::span<const std::int8_t>{codes}, 2, std::span{out}); },
          "7 input values for 2 images of 4");
  rejects([&] { engine.run(std::span<const std::int8_t>{codes}.first(4), 1, std::span{out}.first(1)); },
          "room for 1 output values, 2 are needed");
  rejects([&] { engine.run(std::span<const std::int8_t>{codes}.first(4), 1, std::span{raised}); }, "differ in sign");
  const auto no_hook = [](fat::ValueId, std::size_t, std::size_t, const std::uint8_t*) {};
  const std::vector<float> reals(4);
  rejects([&] { engine.run(std::span<const float>{reals}, 1, std::span{raised}, no_hook); }, "differ in sign");
  rejects([] { fat::IntegerModel other{dense(4, 2), {.kernels = "mmx"}}; }, "'mmx' does not run on this processor");
  BOOST_TEST(out[0] == 77);
}

BOOST_AUTO_TEST_CASE(bad_geometries_and_multipliers) {
  fat::Geometry g;
  g.out_width = 0;
  rejects([&] { fat::validate(g, "convolution"); },
          "convolution: every extent, stride, dilation and group count must be from 1 to 2^31 - 1, one is 0");
  g = {};
  g.in_channels = 6, g.out_channels = 4, g.groups = 4;
  rejects([&] { fat::validate(g, "convolution"); }, "4 groups do not divide 6 input and 4 output channels");
  for (const double bad : {-0.5, std::nan(""), std::numeric_limits<double>::infinity()})
    rejects([&] { (void)fat::FixedPointMultiplier::from_real(bad); }, "negative, infinite or NaN");
  rejects([] { (void)fat::FixedPointMultiplier::from_real(std::ldexp(1.0, 30)); }, "2^30 or more");
}

BOOST_AUTO_TEST_SUITE_END()
