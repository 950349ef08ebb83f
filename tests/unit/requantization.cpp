// How a network's integers round travels with it: options, .npz, .onnx, .tflite; what files that do not say it mean.
#include <fat/io/onnx.hpp>
#include <fat/io/quantized_npz.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/simulate.hpp>

#include "support/code_network.hpp"
#include "support/quantized_network.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

using fat::Requantization;
using fat::test::quantized;
using fat::test::small_network;

constexpr Requantization all[] = {Requantization::half_up, Requantization::half_even, Requantization::tflite};

/// The bytes of a file with the first `from` replaced by a text of the same length.
std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
  BOOST_TEST_REQUIRE(from.size() == to.size());
  const std::size_t at = bytes.find(from);
  BOOST_TEST_REQUIRE(at != std::string::npos);
  return bytes.replace(at, from.size(), to);
}

void check_message(const std::function<void()>& run, const std::string& part) {
  std::string message = "no error";
  try {
    run();
  } catch (const fat::error& error) {
    message = error.what();
  }
  BOOST_TEST(message.find(part) != std::string::npos, "expected '" << part << "', the message is: " << message);
}

/// A network whose steps are powers of two, so that the roundings make different codes.
fat::QuantizedModel network_with_halves() {
  fat::test::CodeNetwork net{{7, 7, 3}, {.power_of_two = true}};
  fat::ValueId x = net.convolution(net.input(), 8, {{3, 3}, {2, 2}, {1, 1}, {0, 0, 0, 0}}, 1, fat::relu);
  x = net.add(fat::Add{}, {x, net.depthwise(x, {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}})});
  x = net.add(fat::HardSwish{}, {x});
  return net.finish(net.convolution(x, 6, {}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_requantization)

BOOST_AUTO_TEST_CASE(every_file_keeps_the_rounding_and_the_codes) {
  for (const Requantization how : all) {
    fat::QuantizedModel model = quantized(small_network(true), {.requantize = how});
    BOOST_TEST((model.requantize == how));
    for (const bool halves : {false, true}) {
      if (halves) model = network_with_halves(), model.requantize = how;
      const std::vector<float> expected = fat::test::outputs(model);
      const auto check = [&](const fat::QuantizedModel& again, const char* format) {
        BOOST_TEST((again.requantize == how), format);
        BOOST_TEST(fat::test::outputs(again) == expected, format << ", " << fat::name_of(how));
      };
      check(fat::quantized_from_arrays(fat::quantized_to_arrays(model), "again"), ".npz");
      check(fat::onnx::read_quantized(fat::onnx::write(model), "again"), ".onnx");
      check(fat::tflite::read_quantized(fat::tflite::write(model), "again"), ".tflite");
    }
  }
}

BOOST_AUTO_TEST_CASE(the_roundings_make_different_codes_in_engine_and_simulation) {
  std::vector<std::vector<float>> integers, simulated;
  fat::QuantizedModel model = network_with_halves();
  for (const Requantization how : all) {
    model.requantize = how;
    integers.push_back(fat::test::outputs(model));
    std::vector<float> image(model.graph.input_extent().size()), output(model.graph.output_extent().size());
    fat::test::NoiseImages{1}.load(1000, image);
    fat::Simulation{model}.run(image, 1, output);
    simulated.push_back(output);
  }
  for (const auto* const made : {&integers, &simulated})
    for (std::size_t a = 0; a != made->size(); ++a)
      for (std::size_t b = 0; b != a; ++b) BOOST_TEST((*made)[a] != (*made)[b], a << " and " << b);
}

BOOST_AUTO_TEST_CASE(files_that_say_nothing) {
  const fat::QuantizedModel model = quantized(small_network(true));
  fat::NpyArrays arrays = fat::quantized_to_arrays(model);
  BOOST_TEST(!arrays.contains("requantize"));
  const std::string unsaid = replaced(fat::onnx::write(model), "fat.requantize", "fat.requantizX");
  BOOST_TEST((fat::onnx::read_quantized(unsaid, "before").requantize == Requantization::half_up));
  const std::string others = replaced(unsaid,
                                      "\x12\x03"
                                      "fat",
                                      "\x12\x03"
                                      "ort");
  BOOST_TEST((fat::onnx::read_quantized(others, "others").requantize == Requantization::half_even));
  const std::string lite = replaced(fat::tflite::write(model), "fat.requantize", "fat.requantizX");
  BOOST_TEST((fat::tflite::read_quantized(lite, "lite").requantize == Requantization::tflite));
}

BOOST_AUTO_TEST_CASE(words_that_are_none_are_refused) {
  const fat::QuantizedModel model = quantized(small_network(true), {.requantize = Requantization::half_even});
  fat::NpyArrays arrays = fat::quantized_to_arrays(model);
  constexpr std::string_view wrong = "half-odd!";
  arrays["requantize"] = fat::NpyArray{fat::Shape{wrong.size()}, reinterpret_cast<const std::uint8_t*>(wrong.data())};
  check_message([&] { fat::quantized_from_arrays(arrays, "a.npz"); },
                "a.npz: array 'requantize' is none of half-up, half-even, tflite");
  const std::string onnx = replaced(fat::onnx::write(model), "half-even", "half-odd!");
  check_message([&] { fat::onnx::read_quantized(onnx, "a.onnx"); },
                "a.onnx: metadata 'fat.requantize' must be half-up, half-even or tflite, it is 'half-odd!'");
  const std::string lite = replaced(fat::tflite::write(model), "half-even", "half-odd!");
  check_message([&] { fat::tflite::read_quantized(lite, "a.tflite"); },
                "a.tflite: metadata 'fat.requantize' must be half-up, half-even or tflite, it is 'half-odd!'");
}

BOOST_AUTO_TEST_SUITE_END()
