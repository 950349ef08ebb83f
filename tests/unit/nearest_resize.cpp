// Nearest resize: the pixels of every mode by their definition, in floats, integers and files; what a format lacks is refused.
#include <fat/io/onnx.hpp>
#include <fat/io/tflite.hpp>
#include <fat/model/integer.hpp>
#include <fat/model/simulation_model.hpp>

#include "support/code_network.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace {

using Coordinates = fat::ResizeCoordinates;
using Pixel = fat::NearestPixel;
using Pixels = std::vector<std::uint32_t>;

constexpr Coordinates all_coordinates[]{Coordinates::half_pixel, Coordinates::asymmetric, Coordinates::align_corners,
                                        Coordinates::pytorch_half_pixel};
constexpr Pixel all_pixels[]{Pixel::round_prefer_floor, Pixel::round_prefer_ceil, Pixel::floor, Pixel::ceil};

/// Whether pixel p is the one that belongs to the place above / below, told from the inequalities that define it.
bool belongs(std::int64_t p, std::int64_t above, std::int64_t below, Pixel rule) {
  switch (rule) {
    case Pixel::floor:
      return p * below <= above && above < (p + 1) * below;
    case Pixel::ceil:
      return (p - 1) * below < above && above <= p * below;
    case Pixel::round_prefer_floor:
      return (2 * p - 1) * below < 2 * above && 2 * above <= (2 * p + 1) * below;
    default:
      return (2 * p - 1) * below <= 2 * above && 2 * above < (2 * p + 1) * below;
  }
}

/// The pixels of one axis by that definition: the only one of a generous range, held to the image.
Pixels defined(std::int64_t in, std::int64_t out, Coordinates coordinates, Pixel rule) {
  Pixels pixels;
  for (std::int64_t i = 0; i != out; ++i) {
    std::int64_t above = (2 * i + 1) * in - out, below = 2 * out;
    if (coordinates == Coordinates::asymmetric) above = i * in, below = out;
    if (coordinates == Coordinates::align_corners) above = i * (in - 1), below = out == 1 ? 1 : out - 1;
    if (coordinates == Coordinates::pytorch_half_pixel && out == 1) above = 0;
    std::int64_t p = above / below - 2;
    while (!belongs(p, above, below, rule)) ++p;
    pixels.push_back(static_cast<std::uint32_t>(p < 0 ? 0 : p >= in ? in - 1 : p));
  }
  return pixels;
}

/// A network that resizes an image of one row, codes of one grid.
fat::QuantizedModel row_network(std::size_t in, std::size_t out, Coordinates coordinates, Pixel pixel) {
  fat::test::CodeNetwork net{{1, in, 1}, {.is_signed = false}};
  return net.finish(net.add(fat::Resize{fat::Resize::Kind::nearest, coordinates, pixel}, {net.input()}, {1, out, 1},
                            net.grid(net.input())));
}

/// The pixels that the integer engine takes: its input codes count them.
Pixels integers(const fat::QuantizedModel& model) {
  fat::IntegerModel engine{model};
  const std::size_t in = model.graph.input_extent().width, out = model.graph.output_extent().width;
  const fat::ActivationEncoding& e = *model.activations[model.graph.input];  // uint8, or int8 when read again
  std::vector<float> from(in), to(out);
  for (std::size_t i = 0; i != in; ++i)
    from[i] = e.step * static_cast<float>(static_cast<int>(i) + e.code_min - e.zero_point);
  engine.run(std::span<const float>{from}, 1, std::span{to});
  Pixels pixels;
  for (const float real : to)
    pixels.push_back(static_cast<std::uint32_t>(std::lround(real / e.step) + e.zero_point - e.code_min));
  return pixels;
}

Pixels floats(const fat::Model& model) {
  const fat::FloatLayer layer{model, model.nodes[0]};
  std::vector<float> from(model.input_extent().width), to(model.output_extent().width), scratch(layer.scratch() + 1);
  std::iota(from.begin(), from.end(), 0.0F);
  const std::vector<const float*> inputs{from.data()};
  layer.run(inputs, to.data(), 0, layer.parts(), scratch.data());
  return {to.begin(), to.end()};
}

template <class Visit>
void for_each_mode(Visit&& visit) {
  for (const Coordinates coordinates : all_coordinates)
    for (const Pixel pixel : all_pixels) visit(coordinates, pixel);
}

std::string mode_name(std::size_t in, std::size_t out, Coordinates coordinates, Pixel pixel) {
  return std::to_string(in) + " to " + std::to_string(out) + ", coordinates " +
         std::to_string(static_cast<int>(coordinates)) + ", pixel " + std::to_string(static_cast<int>(pixel));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_nearest_resize)

BOOST_AUTO_TEST_CASE(every_pair_of_extents_takes_the_pixels_that_the_mode_defines) {
  for (std::size_t in = 1; in <= 64; ++in)
    for (std::size_t out = 1; out <= 64; ++out)
      for_each_mode([&](Coordinates coordinates, Pixel pixel) {
        const auto expected =
            defined(static_cast<std::int64_t>(in), static_cast<std::int64_t>(out), coordinates, pixel);
        Pixels found;
        for (std::size_t i = 0; i != out; ++i) found.push_back(fat::nearest_sample(i, in, out, coordinates, pixel));
        BOOST_REQUIRE_MESSAGE(found == expected, mode_name(in, out, coordinates, pixel));
        if ((31 * in + out) % 13 != 0) return;
        const fat::QuantizedModel model = row_network(in, out, coordinates, pixel);
        BOOST_REQUIRE_MESSAGE(floats(model.graph) == expected, "floats: " << mode_name(in, out, coordinates, pixel));
        BOOST_REQUIRE_MESSAGE(integers(model) == expected, "integers: " << mode_name(in, out, coordinates, pixel));
      });
}

BOOST_AUTO_TEST_CASE(large_extents_do_not_overflow) {
  constexpr std::size_t large = std::size_t{1} << 29U;
  BOOST_TEST(fat::nearest_sample(large - 1, large - 3, large, Coordinates::half_pixel, Pixel::ceil) == large - 4);
  BOOST_TEST(fat::nearest_sample(large / 2, large, large, Coordinates::asymmetric, Pixel::ceil) == large / 2);
}

BOOST_AUTO_TEST_CASE(files_keep_the_pixels_or_are_refused) {
  std::size_t written = 0, refused = 0;
  for (std::size_t in = 1; in <= 12; ++in)
    for (std::size_t out = 1; out <= 12; ++out)
      for_each_mode([&](Coordinates coordinates, Pixel pixel) {
        const fat::QuantizedModel model = row_network(in, out, coordinates, pixel);
        const Pixels expected = integers(model);
        const fat::QuantizedModel onnx = fat::onnx::read_quantized(fat::onnx::write(model), "again");
        BOOST_REQUIRE_MESSAGE(integers(onnx) == expected, "ONNX: " << mode_name(in, out, coordinates, pixel));
        try {
          const std::string file = fat::tflite::write(model);
          ++written;
          BOOST_REQUIRE_MESSAGE(integers(fat::tflite::read_quantized(file, "again")) == expected,
                                "TensorFlow Lite: " << mode_name(in, out, coordinates, pixel));
        } catch (const fat::error& problem) {
          ++refused;
          BOOST_REQUIRE(std::string{problem.what()}.find("which no mode of the format takes") != std::string::npos);
        }
      });
  BOOST_TEST(written > refused);
  BOOST_TEST(refused > 0U);
}

BOOST_AUTO_TEST_SUITE_END()
