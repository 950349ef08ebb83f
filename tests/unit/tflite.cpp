// TensorFlow Lite files: float models in; int8 models out and in again, code for code; what the format cannot hold; bad files.
#include <fat/io/tflite.hpp>

#include "support/code_network.hpp"
#include "support/golden.hpp"
#include "support/half_file.hpp"
#include "support/quantized_network.hpp"
#include "support/run_model.hpp"
#include "support/temporary.hpp"

#include <fat/io/file.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/integer.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <vector>

namespace {

using fat::test::quantized;
using fat::test::small_network;

void check_message(const std::function<void()>& run, const std::string& part) {
  std::string message = "no error";
  try {
    run();
  } catch (const fat::error& error) {
    message = error.what();
  }
  BOOST_TEST(message.find(part) != std::string::npos, "expected '" << part << "', the message is: " << message);
}

fat::QuantizedModel again(const fat::QuantizedModel& model) {
  const std::string bytes = fat::tflite::write(model);
  return fat::tflite::read_quantized(bytes, "again");
}

void try_to_read(std::string_view bytes) {
  for (const bool as_integers : {true, false}) {
    try {
      if (as_integers)
        fat::tflite::read_quantized(bytes, "file");
      else
        fat::tflite::read(bytes, "file");
    } catch (const fat::error&) {
    }
  }
}

/// The format names tensors, not operators, and has no place for the name of the model.
fat::QuantizedModel without_node_names(fat::QuantizedModel model) {
  model.graph.name.clear();
  for (fat::Node& node : model.graph.nodes) node.name = model.graph.values[node.output].name;
  return model;
}

/// Only what the format states by itself: SAME and VALID padding, channels last.
fat::Model plain_network() {
  fat::test::NetworkBuilder b{{9, 8, 3, false}, false};
  const fat::ValueId stem =
      b.add("stem", b.convolution(8, 3, 3, fat::test::window_of(3, 2, {1, 0, 1, 1}), fat::relu6), {b.model.input});
  fat::DepthwiseConvolution depthwise{fat::test::window_of(3, 1, {1, 1, 1, 1}), 1, fat::relu,
                                      b.random({1, 3, 3, 8}, 0.5F), b.random({8}, 0.2F)};
  b.add("depthwise", depthwise, {stem});
  b.add("project", b.convolution(8, 1, 8, fat::test::window_of(1, 1, {}), {}), {b.model.output});
  const fat::ValueId sum = b.add("residual", fat::Add{}, {stem, b.model.output});
  const fat::ValueId most = b.add("max", fat::Pool{fat::Pool::Kind::max, fat::test::window_of(2, 1, {}), false}, {sum});
  const fat::ValueId mean =
      b.add("average", fat::Pool{fat::Pool::Kind::average, fat::test::window_of(2, 1, {}), false}, {sum});
  b.add("join", fat::Concat{2}, {most, mean});
  b.add("pad", fat::Pad{{1, 0, 0, 1}, 0.0F}, {b.model.output});
  b.add("swish", fat::HardSwish{}, {b.model.output});
  b.add("mean", fat::GlobalAveragePool{}, {b.model.output}, {1, 1, 16, true});
  b.add("dense", fat::Dense{{}, b.random({5, 16}, 0.5F), b.random({5}, 0.1F)}, {b.model.output});
  b.add("softmax", fat::Softmax{}, {b.model.output});
  return b.model;
}

/// Where a field of a FlatBuffers table stands; `table` is the place of the table.
std::size_t field(const std::string& bytes, std::size_t table, std::size_t id) {
  const auto at = [&](std::size_t place, auto value) {
    std::memcpy(&value, bytes.data() + place, sizeof value);
    return value;
  };
  const auto vtable = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(table) - at(table, std::int32_t{}));
  return table + at(vtable + 4 + 2 * id, std::uint16_t{});
}
std::size_t follow(const std::string& bytes, std::size_t place) {
  std::uint32_t offset = 0;
  std::memcpy(&offset, bytes.data() + place, sizeof offset);
  return place + offset;
}

/// The file as if its graph had `count` entries in the list with this id: 1 are the inputs, 2 the outputs.
std::string with_count(std::string bytes, std::size_t id, std::uint32_t count) {
  const std::size_t graphs = follow(bytes, field(bytes, follow(bytes, 0), 2));
  const std::size_t list = follow(bytes, field(bytes, follow(bytes, graphs + 4), id));
  std::memcpy(bytes.data() + list, &count, sizeof count);
  return bytes;
}

void check_same_codes(const fat::QuantizedModel& model) {
  const fat::QuantizedModel read = again(model);
  BOOST_TEST(fat::test::outputs(model) == fat::test::outputs(read), boost::test_tools::per_element());
}

std::string replaced(std::string bytes, std::string_view from, std::string_view to) {
  BOOST_TEST_REQUIRE(from.size() == to.size());
  const std::size_t at = bytes.find(from);
  BOOST_TEST_REQUIRE(at != std::string::npos);
  return bytes.replace(at, from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_tflite)

BOOST_AUTO_TEST_CASE(a_float_model_gives_the_outputs_of_its_onnx_twin,
                     *fat::test::needs_data("models/resnet8_cifar10_float.tflite")) {
  const fat::Model model = fat::tflite::load(fat::test::data_path("models/resnet8_cifar10_float.tflite").string());
  BOOST_TEST(!model.channels_first);
  BOOST_TEST(!fat::tflite::is_quantized(fat::test::data_path("models/resnet8_cifar10_float.tflite").string()));
  const auto input = fat::read_npy(fat::test::data_path("reference/cifar10_input.npy")).as<float>();
  const auto expected = fat::read_npy(fat::test::data_path("reference/resnet8_cifar10_probabilities.npy")).as<float>();
  const fat::array<float> images = fat::test::exchanged(input, 3, 32 * 32);
  BOOST_TEST(fat::test::relative_difference(fat::test::run_in_file_order(model, images), expected) <= 1e-4);
}

BOOST_AUTO_TEST_CASE(a_written_model_is_read_back_bit_for_bit) {
  for (const auto granularity : {fat::Granularity::per_channel, fat::Granularity::scalar}) {
    const fat::QuantizedModel model = quantized(plain_network(), {.granularity = granularity});
    BOOST_TEST(fat::test::difference(without_node_names(model), without_node_names(again(model))) == "");
  }
}

BOOST_AUTO_TEST_CASE(what_is_written_by_other_means_gives_the_same_codes) {
  check_same_codes(quantized(plain_network(), {.scheme = fat::Scheme::symmetric}));
  for (const bool channels_first : {true, false}) {
    fat::Model network = small_network(channels_first);  // uneven padding becomes a PAD of its own
    check_same_codes(quantized(network));
    check_same_codes(quantized(network, {.scheme = fat::Scheme::symmetric}));
    check_same_codes(quantized(network, {.granularity = fat::Granularity::scalar, .bits = 4}));
    check_same_codes(quantized(network, {.keep_float = {"softmax", "dense"}}));
    check_same_codes(quantized(network, {.keep_float = {"depthwise"}}));
  }
}

BOOST_AUTO_TEST_CASE(a_file_with_one_integer_layer_at_its_end_is_a_quantized_one) {
  fat::test::NetworkBuilder b{{4, 4, 3, false}, false};
  b.add("conv", b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), fat::relu), {b.model.input});
  b.add("mean", fat::GlobalAveragePool{}, {b.model.output}, {1, 1, 4, true});
  b.add("swish", fat::HardSwish{}, {b.model.output});
  const fat::QuantizedModel model = quantized(b.model, {.keep_float = {"image", "conv", "mean"}});
  const fat::test::TemporaryFolder folder;
  const std::string path = (folder.path() / "model.tflite").string();
  fat::tflite::save(model, path);
  BOOST_TEST(fat::tflite::is_quantized(path));
  check_same_codes(model);
}

BOOST_AUTO_TEST_CASE(float_layers_between_quantized_tensors_give_the_same_codes) {
  fat::test::NetworkBuilder b{{4, 4, 3, false}, false};
  b.add("first", b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), fat::relu), {b.model.input});
  const fat::ValueId sum = b.add("sum", fat::Add{}, {b.model.output, b.model.output});
  b.add("second", b.convolution(4, 1, 4, fat::test::window_of(1, 1, {}), {}), {sum});
  b.add("join", fat::Add{}, {sum, b.model.output});
  check_same_codes(quantized(b.model, {.keep_float = {"first", "second"}}));
}

BOOST_AUTO_TEST_CASE(clamps_of_their_own_are_written) {
  for (const fat::Clamp clamp : {fat::Clamp{-1.0F, 1.0F}, fat::Clamp{0.0F, 1.0F}, fat::relu, fat::relu6}) {
    fat::test::NetworkBuilder b{{4, 4, 3, false}, false};
    b.add("conv", b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), {}), {b.model.input});
    const fat::ValueId made = b.model.output;
    const fat::ValueId cut = b.add("cut", fat::ClampLayer{clamp}, {made});
    b.add("sum", fat::Add{}, {made, cut});
    fat::QuantizedModel model = quantized(b.model);
    check_same_codes(model);
    model.activations[cut]->step *= 3.0F;  // the codes alone do not clamp
    check_same_codes(model);
    check_same_codes(quantized(b.model, {.keep_float = {"cut"}}));
  }
}

BOOST_AUTO_TEST_CASE(the_least_runtime_is_that_of_the_operators_written) {
  const auto holds = [](const fat::QuantizedModel& model, std::string_view release) {
    return fat::tflite::write(model).find(std::string{release} + '\0') != std::string::npos;
  };
  BOOST_TEST(holds(quantized(plain_network()), "2.17.0"));  // dense with a step a channel
  BOOST_TEST(holds(quantized(plain_network(), {.granularity = fat::Granularity::scalar}), "1.15.0"));  // hard swish
}

BOOST_AUTO_TEST_CASE(constraints_of_the_format_hold_in_what_is_written) {
  const fat::QuantizedModel model = again(quantized(plain_network()));
  const fat::Model& graph = model.graph;
  for (std::size_t n = 0; n != graph.nodes.size(); ++n) {
    const fat::Node& node = graph.nodes[n];
    const fat::ActivationEncoding& y = *model.activations[node.output];
    BOOST_TEST_CONTEXT(node.name) {
      if (fat::detail::keeps_codes(node.op))
        for (const fat::ValueId input : node.inputs) BOOST_TEST((*model.activations[input] == y));
      if (std::holds_alternative<fat::Softmax>(node.op)) BOOST_TEST((y.step == 1.0F / 256.0F && y.zero_point == -128));
      if (!model.weights[n]) continue;
      for (const std::int8_t code : model.weights[n]->codes) BOOST_TEST_REQUIRE(int{code} >= -127);
      for (const std::int32_t zero : model.weights[n]->zero_point) BOOST_TEST(zero == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_the_format_cannot_hold_is_an_error) {
  const auto refuse = [](const fat::QuantizedModel& model, const char* part) {
    check_message([&] { fat::tflite::write(model); }, part);
  };
  refuse(quantized(plain_network(), {.weight_scheme = fat::Scheme::asymmetric}), "asymmetric weights");
  refuse(quantized(plain_network(), {.activation_bits = 6}), "8-bit activations only");
  fat::test::NetworkBuilder b{{4, 4, 4, false}, false};
  b.add("odd", b.convolution(4, 1, 4, fat::test::window_of(1, 1, {}), {-0.5F, 0.25F}), {b.model.input});
  fat::QuantizedModel odd = quantized(b.model);
  odd.activations[1]->step *= 2.0F;  // the codes alone do not clamp
  refuse(odd, "layer 'odd' clamps to -0.5..0.25");
  std::get<fat::Convolution>(odd.graph.nodes[0].op).clamp = {fat::Clamp{}.low, 6.0F};  // not ReLU6: negatives stay
  odd.activations[1]->step *= 40.0F;
  refuse(odd, "clamps to -inf..6");
}

BOOST_AUTO_TEST_CASE(names_of_tensors_need_not_tell_them_apart) {
  const fat::QuantizedModel model = quantized(plain_network());
  const std::string bytes = fat::tflite::write(model);
  std::string nameless = bytes;
  for (const fat::Value& value : model.graph.values)
    for (const std::string& name : {value.name, value.name + ":int8"}) {
      const std::size_t at = nameless.find(name + '\0');
      if (at == std::string::npos) continue;
      for (std::size_t i = at - 4; i != at + name.size(); ++i) nameless[i] = '\0';  // the length, then the letters
    }
  for (const std::string& file :
       {replaced(bytes, std::string_view{"join.out\0", 9}, std::string_view{"mean.out\0", 9}), nameless}) {
    const fat::QuantizedModel read = fat::tflite::read_quantized(file, "x");
    BOOST_TEST(fat::test::outputs(read) == fat::test::outputs(model), boost::test_tools::per_element());
    std::set<std::string> names, layers;
    for (const fat::Value& value : read.graph.values) BOOST_TEST(names.insert(value.name).second, value.name);
    for (const fat::Node& node : read.graph.nodes) BOOST_TEST(layers.insert(node.name).second, node.name);
  }
}

BOOST_AUTO_TEST_CASE(float16_constants_are_read_wherever_they_stand) {
  for (const bool converted : {false, true}) {
    const fat::Model model = fat::tflite::read(fat::test::half_file(converted), "half");
    const std::vector<float> image{1.0F, 2.0F};
    fat::FloatRunner runner{model};
    std::vector<float> found(2);
    runner.run(image, 1, found);
    // weights {{1, 0.5}, {-2, 0.25}}, biases {0.5, -0.125}, added {3, 4}
    BOOST_TEST(found == (std::vector<float>{2.0F + 0.5F + 3.0F, -1.5F - 0.125F + 4.0F}),
               boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(pools_with_padding_of_any_kind_keep_their_codes) {
  for (const fat::Padding& padding : {fat::Padding{1, 1, 1, 1}, {0, 1, 1, 0}, {1, 0, 0, 1}})
    for (const auto scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric}) {
      for (const bool maximum : {true, false}) {
        fat::test::NetworkBuilder b{{8, 8, 3, false}, false};
        const fat::Clamp clamp = maximum ? fat::Clamp{} : fat::relu;
        b.add("conv", b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), clamp), {b.model.input});
        const auto kind = maximum ? fat::Pool::Kind::max : fat::Pool::Kind::average;
        b.add("pool", fat::Pool{kind, fat::test::window_of(3, 2, padding), !maximum}, {b.model.output});
        check_same_codes(quantized(b.model, {.scheme = scheme}));
        check_same_codes(quantized(b.model, {.scheme = scheme, .keep_float = {"conv", "pool"}}));
      }
    }
  fat::test::NetworkBuilder b{{8, 8, 3, false}, false};
  b.add("pool", fat::Pool{fat::Pool::Kind::average, fat::test::window_of(3, 2, {0, 0, 1, 1}), false}, {b.model.input});
  b.model.nodes[0].op = fat::Pool{fat::Pool::Kind::average, fat::test::window_of(3, 2, {1, 1, 1, 1}), false};
  fat::infer_extents(b.model);
  check_message([&] { fat::tflite::write(quantized(b.model)); }, "averages without its padding");
}

/// Means and interpolations lie half-way between codes often; uint8 codes are stored 128 lower.
BOOST_AUTO_TEST_CASE(halves_round_alike_in_unsigned_codes_and_in_signed_ones) {
  for (const bool is_signed : {false, true})
    for (std::uint32_t seed = 1; seed != 9; ++seed) {
      fat::test::CodeNetwork net{{8, 8, 4}, {.is_signed = is_signed, .seed = seed}};
      const fat::Window two{{2, 2}, {2, 2}, {1, 1}, {}};
      const fat::ValueId mean = net.add(fat::Pool{fat::Pool::Kind::average, two, false}, {net.input()});
      const fat::ValueId larger =
          net.add(fat::Resize{fat::Resize::Kind::bilinear, fat::Resize::Coordinates::half_pixel}, {mean}, {8, 8, 4});
      check_same_codes(
          net.finish(net.add(fat::Pool{fat::Pool::Kind::average, {{1, 2}, {1, 2}, {1, 1}, {}}, false}, {larger})));
    }
}

BOOST_AUTO_TEST_CASE(hard_sigmoids_are_written_as_lines_of_integers) {
  for (const float slope : {1.0F / 6.0F, 0.2F, 1.0F})
    for (const auto scheme : {fat::Scheme::asymmetric, fat::Scheme::symmetric})
      for (const std::vector<std::string>& keep : {std::vector<std::string>{}, {"gate"}}) {
        fat::test::NetworkBuilder b{{4, 4, 3, false}, false};
        b.add("conv", b.convolution(4, 1, 3, fat::test::window_of(1, 1, {}), {}), {b.model.input});
        b.add("gate", fat::HardSigmoid{slope, 0.5F}, {b.model.output});
        const fat::QuantizedModel model = quantized(b.model, {.scheme = scheme, .keep_float = keep});
        const std::vector<float> expected = fat::test::outputs(model), found = fat::test::outputs(again(model));
        const auto& encoding = model.activations[model.graph.output];
        const float tolerance = encoding.has_value() ? 1.01F * encoding->step : 1e-6F;
        std::size_t differing = 0;
        for (std::size_t i = 0; i != expected.size(); ++i) {
          BOOST_TEST(std::abs(found[i] - expected[i]) <= tolerance);
          differing += found[i] != expected[i] ? 1 : 0;
        }
        if (encoding.has_value()) BOOST_TEST(differing * 50 <= expected.size());
      }
  fat::test::NetworkBuilder b{{1, 1, 3, true}, false};
  b.add("gate", fat::HardSigmoid{}, {b.model.input});
  check_message([&] { fat::tflite::write(quantized(b.model)); }, "is a hard sigmoid of a vector");
}

BOOST_AUTO_TEST_CASE(files_are_told_apart_and_written_whole) {
  const fat::test::TemporaryFolder folder;
  const std::string path = (folder.path() / "model.tflite").string();
  const fat::QuantizedModel model = quantized(plain_network());
  fat::tflite::save(model, path);
  BOOST_TEST(fat::tflite::is_quantized(path));
  check_message([&] { fat::tflite::load(path); }, "read it as a quantized model");
  check_message([&] { fat::tflite::save(model, (folder.path() / "no" / "model.tflite").string()); },
                "cannot be written");
  BOOST_TEST(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
  check_message([] { fat::tflite::read(std::string_view{"\0\0\0\0TFL9....", 12}, "x"); }, "not a TensorFlow Lite file");
}

BOOST_AUTO_TEST_CASE(damaged_files_are_refused_with_the_reason) {
  const std::string bytes = fat::tflite::write(quantized(plain_network()));
  const auto refuse = [](const std::string& damaged, const char* part) {
    check_message([&] { fat::tflite::read_quantized(damaged, "x"); }, part);
  };
  refuse(bytes.substr(0, bytes.size() / 2), "truncated or damaged");
  for (const std::uint32_t count : {0U, 2U}) {
    refuse(with_count(bytes, 1, count), (std::to_string(count) + " inputs; one is supported").c_str());
    refuse(with_count(bytes, 2, count), (std::to_string(count) + " outputs; one is supported").c_str());
  }
  const std::string_view extents{"\4\0\0\0\1\0\0\0\x09\0\0\0\x08\0\0\0\3\0\0\0", 20};
  refuse(replaced(bytes, extents, {"\4\0\0\0\1\0\0\0\xF7\xFF\xFF\xFF\x08\0\0\0\3\0\0\0", 20}), "has an extent of -9");
  refuse(replaced(bytes, extents, {"\4\0\0\0\1\0\0\0\xFF\xFF\xFF\x7F\xFF\xFF\xFF\x7F\3\0\0\0", 20}), "elements");
}

BOOST_AUTO_TEST_CASE(every_truncation_is_an_error) {
  const std::string bytes = fat::tflite::write(quantized(plain_network()));
  for (std::size_t size = 0; size < bytes.size(); size += 5) try_to_read(std::string_view{bytes}.substr(0, size));
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_crash) {
  const std::string bytes = fat::tflite::write(quantized(plain_network()));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += 37) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try_to_read(damaged);
  }
}

// Made by TensorFlow's converter: x - 1/2, max pool, times a constant a channel, plus another with ReLU, bilinear resize. The
// codes are those of LiteRT's reference kernels, which round sums of two numbers twice.
BOOST_AUTO_TEST_CASE(constants_in_integer_files_and_bilinear_resizes) {
  const std::string path = FAT_PROJECT_DIR "/tests/fuzz/corpus/tflite/constants.tflite";
  const fat::QuantizedModel model = fat::tflite::load_quantized(path);
  fat::IntegerModel integers{model};
  std::vector<std::int8_t> input(144), output(140);
  for (int i = 0; i != 144; ++i) input[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(i * 37 % 256 - 128);
  integers.run(std::span<const std::int8_t>{input}, 1, std::span{output});
  const std::vector<int> expected{
      -83, 81,  -60, -118, -81, 85,  -60, -111, -75, 96,  -59, -91,  -69, 108, -58, -71,  -62, 111, -60, -83,
      -55, 115, -61, -95,  -53, 116, -62, -99,  -68, 77,  -60, -121, -68, 81,  -60, -117, -70, 92,  -59, -106,
      -71, 104, -58, -94,  -65, 110, -60, -94,  -58, 117, -62, -94,  -55, 119, -63, -94,  -45, 72,  -60, -126,
      -49, 76,  -60, -126, -62, 86,  -58, -127, -75, 97,  -57, -128, -68, 109, -60, -110, -61, 120, -63, -93,
      -59, 124, -64, -87,  -48, 65,  -61, -119, -52, 69,  -60, -120, -65, 80,  -59, -123, -79, 92,  -58, -125,
      -72, 103, -59, -106, -65, 114, -60, -87,  -63, 117, -60, -81,  -50, 61,  -61, -115, -54, 65,  -61, -116,
      -68, 76,  -59, -120, -81, 88,  -58, -123, -74, 99,  -58, -103, -67, 109, -58, -84,  -65, 113, -58, -77};
  BOOST_REQUIRE(expected.size() == output.size());
  int differing = 0;
  for (std::size_t i = 0; i != output.size(); ++i) {
    BOOST_TEST(std::abs(output[i] - expected[i]) <= 1);
    differing += output[i] != expected[i] ? 1 : 0;
  }
  BOOST_TEST(differing <= 7);
  // The constant of the product has a zero point of its own, which weights of the format cannot have.
  check_message([&] { fat::tflite::write(model); }, "layer 'mul' has asymmetric weights");
}

BOOST_AUTO_TEST_SUITE_END()
