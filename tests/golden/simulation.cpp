// Every layer's integers against its simulation on the same input codes: at most one code apart, and few are.
#include <fat/io/quantized_npz.hpp>
#include <fat/model/code_differences.hpp>

#include "support/code_network.hpp"

#include <demo/pictures.hpp>

#include <cstddef>
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

BOOST_AUTO_TEST_CASE(differences_are_counted) {
  // Means of two codes often lie half-way: integers round them up, the simulation to the even code.
  fat::test::CodeNetwork net{{8, 8, 4}};
  const fat::Window pair{{2, 1}, {2, 1}, {1, 1}, {}};
  fat::CodeDifferences differences{
      net.finish(net.add(fat::Pool{fat::Pool::Kind::average, pair, false}, {net.input()}))};
  std::vector<float> image(8 * 8 * 4);
  for (std::size_t i = 0; i != image.size(); ++i) image[i] = 0.02F * static_cast<float>(i * 37 % 101) - 1.0F;
  differences.add(image);
  const fat::CodeDifference& found = differences.layers()[0];
  BOOST_TEST(found.codes == 128U);
  BOOST_TEST(found.differing > 10U);
  BOOST_TEST(found.differing < 64U);
  BOOST_TEST(found.largest == 1);
}

BOOST_AUTO_TEST_SUITE_END()
