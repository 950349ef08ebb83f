// Every layer's integers against its simulation on the same input codes: at most one code apart, and few are.
#include <fat/io/quantized_npz.hpp>
#include <fat/model/code_differences.hpp>

#include "support/code_network.hpp"

#include <demo/pictures.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_simulation)

BOOST_AUTO_TEST_CASE(demo_network) {
  fat::CodeDifferences differences{fat::read_quantized(FAT_PROJECT_DIR "/tests/support/demo_int8.npz")};
  std::vector<float> image(demo::picture_bytes);
  for (std::size_t n = 0; n != 10; ++n) {
    demo::Picture picture{};
    demo::draw_picture(demo::evaluation_stream, n, picture);
    for (std::size_t i = 0; i != image.size(); ++i) image[i] = static_cast<float>(picture[i]) * (1.0F / 127.5F) - 1.0F;
    differences.add(image);
  }
  for (std::size_t n = 0; n != differences.layers().size(); ++n) {
    const fat::CodeDifference& each = differences.layers()[n];
    BOOST_TEST(each.codes != 0U, differences.graph().nodes[n].name);
    BOOST_TEST(each.largest <= 1, differences.graph().nodes[n].name << ": codes differ by " << each.largest);
    BOOST_TEST(each.share() <= 0.01,
               differences.graph().nodes[n].name << ": " << each.differing << " of " << each.codes << " codes differ");
  }
}

/// Halves of means, too, go the way of the integers, whatever the sign of the codes, where floats can tell them; and
/// of two roundings the simulation takes both.
BOOST_AUTO_TEST_CASE(means_and_double_roundings_are_simulated) {
  std::vector<float> image(8 * 8 * 16);
  for (std::size_t i = 0; i != image.size(); ++i) image[i] = 0.02F * static_cast<float>(i * 37 % 101) - 1.0F;
  for (const auto how : {fat::Requantization::half_up, fat::Requantization::half_even, fat::Requantization::tflite})
    for (const bool is_signed : {true, false}) {
      const std::string label = std::string{fat::name_of(how)} + (is_signed ? ", signed" : ", unsigned");
      fat::test::CodeNetwork exact{{8, 8, 16}, {.is_signed = is_signed, .requantize = how, .power_of_two = true}};
      const fat::Window pair{{2, 1}, {2, 1}, {1, 1}, {}};
      fat::ValueId x = exact.add(fat::Pool{fat::Pool::Kind::average, pair, false}, {exact.input()});
      x = exact.add(fat::Resize{fat::Resize::Kind::bilinear, fat::Resize::Coordinates::asymmetric}, {x}, {8, 16, 16});
      x = exact.convolution(x, 64, {});
      x = exact.add(fat::Add{}, {x, exact.add(fat::ClampLayer{}, {x})});
      fat::CodeDifferences none{exact.finish(exact.add(fat::GlobalAveragePool{}, {x}))};
      none.add(image);
      for (const fat::CodeDifference& each : none.layers()) BOOST_TEST(each.differing == 0U, label);

      fat::test::CodeNetwork net{{8, 8, 16}, {.is_signed = is_signed, .requantize = how}};
      x = net.depthwise(net.convolution(net.input(), 64, {}), {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}});
      x = net.add(fat::Multiply{}, {x, net.add(fat::Add{}, {x, net.add(fat::ClampLayer{}, {x})})});
      fat::CodeDifferences few{net.finish(net.dense(net.add(fat::GlobalAveragePool{}, {x}), 20))};
      few.add(image);
      for (std::size_t n = 0; n != few.layers().size(); ++n)
        BOOST_TEST(few.layers()[n].share() <= 0.001, label << ": " << few.layers()[n].differing << " of "
                                                           << few.layers()[n].codes << " codes of "
                                                           << few.graph().nodes[n].name << " differ");
    }
}

BOOST_AUTO_TEST_CASE(differences_are_counted) {
  // Now and then a sum of products lies half-way but for its float rounding: a few codes of many differ by one.
  fat::test::CodeNetwork net{{32, 32, 4}};
  fat::CodeDifferences differences{net.finish(net.convolution(net.input(), 64, {}))};
  std::vector<float> image(32 * 32 * 4);
  for (std::size_t i = 0; i != image.size(); ++i) image[i] = 0.02F * static_cast<float>(i * 37 % 101) - 1.0F;
  differences.add(image);
  const fat::CodeDifference& found = differences.layers()[0];
  BOOST_TEST(found.codes == 65536U);
  BOOST_TEST(found.differing > 0U);
  BOOST_TEST(found.differing < 64U);
  BOOST_TEST(found.largest == 1);
}

BOOST_AUTO_TEST_SUITE_END()
