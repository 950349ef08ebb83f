// QDQ files: what is written is read back bit for bit; other people's idioms; what cannot be expressed; bad files.
#include <fat/io/onnx.hpp>
#include <fat/model/integer.hpp>

#include "support/golden.hpp"
#include "support/quantized_network.hpp"
#include "support/run_model.hpp"
#include "support/temporary.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <functional>

namespace {

using fat::test::difference;
using fat::test::quantized;
using fat::test::small_network;

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const fat::error& error) {
    return error.what();
  }
  return "no error";
}

void check_message(const std::function<void()>& run, const std::string& part) {
  const std::string message = message_of(run);
  BOOST_TEST(message.find(part) != std::string::npos, "the message is: " << message);
}

void check_round_trip(const fat::QuantizedModel& model, fat::onnx::Profile profile = fat::onnx::Profile::standard) {
  const fat::QuantizedModel again = fat::onnx::read_quantized(fat::onnx::write(model, profile), "again");
  BOOST_TEST(difference(model, again) == "");
}

void try_to_read(std::string_view bytes) {
  try {
    fat::onnx::read_quantized(bytes, "file");
  } catch (const fat::error&) {
  }
}

/// Replaces every `from` in the bytes of a file by a text of the same length.
std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  BOOST_TEST_REQUIRE(from.size() == to.size());
  std::size_t at = bytes.find(from);
  BOOST_TEST_REQUIRE(at != std::string::npos);
  for (; at != std::string::npos; at = bytes.find(from, at + 1)) bytes.replace(at, from.size(), to);
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_onnx_quantized)

BOOST_DATA_TEST_CASE(a_written_model_is_read_back_bit_for_bit, boost::unit_test::data::make({true, false}),
                     channels_first) {
  const fat::Model network = small_network(channels_first);
  check_round_trip(quantized(network));
  check_round_trip(quantized(network, {.scheme = fat::Scheme::symmetric}));
  check_round_trip(quantized(network, {.granularity = fat::Granularity::scalar}));
  check_round_trip(quantized(network, {.weight_scheme = fat::Scheme::asymmetric}));
  check_round_trip(quantized(network, {.bits = 4, .activation_bits = 6}));
  check_round_trip(quantized(network, {.scheme = fat::Scheme::symmetric, .bits = 5, .activation_bits = 4}));
  check_round_trip(quantized(network, {.keep_float = {"depthwise"}}));
  check_round_trip(quantized(network, {.keep_float = {"image"}}));
  check_round_trip(quantized(network, {.keep_float = {"dense", "softmax"}}));
}

/// Where the values of the zero points of activations stand in a written file; each follows its tensor's type and name.
std::vector<std::size_t> activation_zero_points(const std::string& bytes, char type) {
  std::vector<std::size_t> found;
  const std::string ending{"zero_point\x4A\x01", 12}, head{"\x10", 1};
  for (std::size_t at = bytes.find(ending); at != std::string::npos; at = bytes.find(ending, at + 1)) {
    const std::size_t start = bytes.rfind(head + type + '\x42', at);
    if (start == std::string::npos) continue;
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[start + 3]));
    if (start + 4 + length == at + 10) found.push_back(at + 12);
  }
  return found;
}

BOOST_AUTO_TEST_CASE(signed_activations_are_stored_as_uint8) {
  const fat::QuantizedModel model = quantized(small_network(true));
  std::string bytes = fat::onnx::write(model);
  constexpr char uint8 = 2, int8 = 3;
  const auto places = activation_zero_points(bytes, uint8);
  BOOST_TEST(places.size() >= 11);
  BOOST_TEST(bytes.find("-128 127 8 0") != std::string::npos);
  // As files were written before: int8, the codes and zero points of the model.
  for (const std::size_t place : places) {
    bytes[bytes.rfind('\x42', bytes.rfind("zero_point", place)) - 1] = int8;
    bytes[place] = static_cast<char>(bytes[place] ^ '\x80');
  }
  BOOST_TEST(activation_zero_points(bytes, int8).size() >= places.size());
  BOOST_TEST(difference(model, fat::onnx::read_quantized(bytes, "int8")) == "");
  bytes[places.front()] = static_cast<char>(bytes[places.front()] ^ '\x01');
  BOOST_TEST(difference(model, fat::onnx::read_quantized(bytes, "other")) != "");
}

BOOST_AUTO_TEST_CASE(a_bias_that_leaves_32_bits_is_refused_by_engine_and_writer) {
  fat::QuantizedModel model = quantized(small_network(true));
  for (const std::size_t layer : {std::size_t{0}, std::size_t{1}}) {
    fat::QuantizedModel damaged = model;
    damaged.weights[layer]->bias[1] = 2147483000;
    const std::string message = "the sums of layer '" + model.graph.nodes[layer].name +
                                "', channel 1, can pass 32 bits, its bias is 2147483000; keep";
    check_message([&] { fat::IntegerModel{damaged}; }, message);
    check_message([&] { fat::onnx::write(damaged); }, message);
  }
}

BOOST_AUTO_TEST_CASE(preprocessing_and_class_offset_travel_along) {
  fat::Model network = small_network(true);
  network.preprocessing = fat::Preprocessing{{0.1F, 0.3F, 1.0F / 3.0F}, {-1.0F, 0.7F, 1e-7F}, true, 40, 32};
  network.class_offset = 1;
  check_round_trip(quantized(network));
}

BOOST_AUTO_TEST_CASE(pads_resizes_and_reshapes_are_read_back) {
  fat::test::NetworkBuilder b{{4, 4, 4, false}, true};
  b.add("pad", fat::Pad{{1, 0, 2, 1}, 0.0F}, {b.model.input});
  b.add("conv", b.convolution(8, 1, 4, fat::test::window_of(1, 1, {}), fat::relu), {b.model.output});
  b.add("resize", fat::Resize{fat::Resize::Kind::nearest, fat::Resize::Coordinates::asymmetric}, {b.model.output},
        {14, 10, 8, false});
  const fat::ValueId image = b.model.output;
  b.add("pool", fat::Pool{fat::Pool::Kind::average, fat::test::window_of(3, 2, {1, 1, 1, 1}), true}, {image});
  b.add("swish", fat::HardSwish{}, {b.model.output});
  const fat::ValueId gate_from = b.model.output;
  const fat::ValueId mean = b.add("mean", fat::GlobalAveragePool{}, {gate_from});
  b.add("squeeze", b.convolution(8, 1, 8, fat::test::window_of(1, 1, {}), {}), {mean});
  const fat::ValueId gate = b.add("gate", fat::HardSigmoid{0.2F, 0.5F}, {b.model.output});
  b.add("scaled", fat::Multiply{}, {gate_from, gate});
  b.add("dense", fat::Dense{{}, b.random({3, 7 * 5 * 8}, 0.2F), b.random({3}, 0.1F)}, {b.model.output});
  b.add("sigmoid", fat::Sigmoid{}, {b.model.output});
  b.add("reshaped", fat::Reshape{}, {b.model.output}, {1, 1, 3, true});
  check_round_trip(quantized(b.model));
  check_round_trip(quantized(b.model, {.scheme = fat::Scheme::symmetric, .signed_activations = true}));
  check_round_trip(quantized(b.model, {.scheme = fat::Scheme::symmetric}));
}

BOOST_AUTO_TEST_CASE(the_tensorrt_profile_writes_what_tensorrt_takes) {
  const fat::Model network = small_network(true, false);
  check_round_trip(quantized(network, {.scheme = fat::Scheme::symmetric, .activation_bits = 7}),
                   fat::onnx::Profile::tensorrt);
  const fat::QuantizedModel fits = quantized(network, {.scheme = fat::Scheme::symmetric, .signed_activations = true});
  for (const auto& each : fits.activations) BOOST_TEST((each->code_min == -127 && each->code_max == 127));
  check_round_trip(fits, fat::onnx::Profile::tensorrt);
  check_round_trip(fits);
  check_message([&] { quantized(network, {.signed_activations = true}); }, "is for symmetric activations");
  const auto refuse = [&](const fat::QuantizeOptions& options, const char* part) {
    const fat::QuantizedModel model = quantized(network, options);
    check_message([&] { fat::onnx::write(model, fat::onnx::Profile::tensorrt); }, part);
  };
  refuse({}, "zero point");
  refuse({.scheme = fat::Scheme::symmetric}, "codes 0..255; TensorRT has int8 only");
  refuse({.scheme = fat::Scheme::symmetric, .weight_scheme = fat::Scheme::asymmetric, .activation_bits = 7},
         "asymmetric weights");
}

BOOST_AUTO_TEST_CASE(a_file_is_written_whole_and_told_from_a_float_one) {
  const fat::test::TemporaryFolder folder;
  const fat::QuantizedModel model = quantized(small_network(true));
  const std::string path = (folder.path() / "model.onnx").string();
  fat::onnx::save(model, path);
  BOOST_TEST(fat::onnx::is_quantized(path));
  BOOST_TEST(difference(model, fat::onnx::load_quantized(path)) == "");
  check_message([&] { fat::onnx::load(path); }, "load it as a quantized model");
  const std::string plain = std::string{FAT_PROJECT_DIR} + "/tests/support/onnx/flatten_image.onnx";
  BOOST_TEST(!fat::onnx::is_quantized(plain));
  check_message([&] { fat::onnx::load_quantized(plain); }, "load it as a float model");
  check_message([&] { fat::onnx::save(model, (folder.path() / "no" / "model.onnx").string()); }, "cannot be written");
  BOOST_TEST(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
}

BOOST_AUTO_TEST_CASE(a_second_output_is_refused) {
  // Concatenated messages are one message: this adds an output 'y' to the graph.
  const std::string more{"\x3A\x05\x62\x03\x0A\x01y", 7};
  const std::string bytes = fat::onnx::write(quantized(small_network(true))) + more;
  check_message([&] { fat::onnx::read_quantized(bytes, "two"); }, "two: the model has 2 outputs, one is supported");
}

BOOST_AUTO_TEST_CASE(names_that_collide_are_kept_apart_or_refused) {
  fat::Model network = small_network(true);
  network.values[1].name = "image:codes";
  network.values[2].name = "project.out:step";
  check_round_trip(quantized(network));
  network.values[2].name = "image:codes";
  check_message([&] { fat::onnx::write(quantized(network)); }, "two tensors are called 'image:codes'");
  network = small_network(true);
  network.nodes[1].name = "stem";
  check_message([&] { fat::onnx::write(quantized(network)); }, "two layers are called 'stem'");
}

BOOST_AUTO_TEST_CASE(files_of_other_quantizers_give_the_reference_output) {
  const std::filesystem::path folder = std::filesystem::path{FAT_PROJECT_DIR} / "tests/support/onnx";
  const fat::NpyArrays references = fat::read_npz(folder / "references.npz");
  for (const std::string name : {"quantized/mean_twice", "quantized/pad_value", "quantized/input_uint8"}) {
    BOOST_TEST_CONTEXT(name) {
      const fat::QuantizedModel model = fat::onnx::load_quantized((folder / (name + ".onnx")).string());
      auto input = references.at(name + ".input").as<float>();
      if (name.ends_with("uint8"))  // the file takes codes, the model the reals that they stand for
        for (float& value : input) value = model.activations[model.graph.input]->step * (value - 128.0F);
      const auto expected = references.at(name + ".output").as<float>();
      const fat::Extent in = model.graph.input_extent(), out = model.graph.output_extent();
      const auto images = fat::test::exchanged(input, in.channels, in.height * in.width);
      fat::array<float> outputs{fat::Shape{expected.size()}};
      fat::IntegerModel{model}.run({images.data(), images.size()}, input.shape(0), {outputs.data(), outputs.size()});
      outputs = fat::test::exchanged(outputs, out.height * out.width, out.channels);
      const float step = model.activations[model.graph.output]->step;
      for (std::size_t i = 0; i != expected.size(); ++i) BOOST_TEST(std::abs(outputs[i] - expected[i]) <= 1.01F * step);
    }
  }
}

BOOST_AUTO_TEST_CASE(contradictions_in_a_file_are_errors) {
  fat::Model network = small_network(true);
  const std::string bytes = fat::onnx::write(quantized(network, {.activation_bits = 7}));
  check_message([&] { fat::onnx::read_quantized(replaced(bytes, "pool.out:codes", "join.out:codes"), "x"); },
                "two tensors");
  check_message([&] { fat::onnx::read_quantized(replaced(bytes, "DequantizeLinear", "deQuantizeLinear"), "x"); },
                "not supported");
  check_message([&] { fat::onnx::read_quantized(replaced(bytes, "-64 63 7 0", "-64 63 9 0"), "x"); },
                "no whole number from 2 to 8");
  check_message([&] { fat::onnx::read_quantized(replaced(bytes, "-64 63 7 0", "-64 63 7 x"), "x"); },
                "must be 4 numbers");
  check_message([&] { fat::onnx::read_quantized(replaced(bytes, "-64 63 7 0", "-64 99 7 0"), "x"); }, "7-bit");
}

BOOST_AUTO_TEST_CASE(every_truncation_is_an_error_or_a_model) {
  const std::string bytes = fat::onnx::write(quantized(small_network(false)));
  for (std::size_t size = 0; size < bytes.size(); size += 7) try_to_read(std::string_view{bytes}.substr(0, size));
  BOOST_CHECK_THROW(fat::onnx::read_quantized({}, "empty"), fat::error);
}

BOOST_AUTO_TEST_CASE(flipped_bits_never_crash) {
  const std::string bytes = fat::onnx::write(quantized(small_network(true), {.bits = 4, .activation_bits = 6}));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += 61) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try_to_read(damaged);
  }
}

BOOST_AUTO_TEST_SUITE_END()
