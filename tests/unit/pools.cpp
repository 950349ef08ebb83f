// Windows: taps outside the image cost nothing, means round alike wherever code 0 lies, means of whole images have their own grid.
#include <fat/io/c_source.hpp>
#include <fat/io/onnx.hpp>
#include <fat/kernel/reference/pool.hpp>
#include <fat/model/encode_model.hpp>
#include <fat/model/forward.hpp>
#include <fat/model/integer.hpp>

#include "support/code_network.hpp"
#include "support/quantized_network.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using Kind = fat::Pool::Kind;

fat::Operator operator_after_preparing(const fat::Extent& in, const fat::Pool& pool) {
  fat::test::NetworkBuilder b{in, false};
  b.add("pool", pool, {b.model.input});
  return fat::prepare_model(b.model).nodes.at(0).op;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_pools)

BOOST_AUTO_TEST_CASE(taps_inside_are_those_that_a_walk_over_all_finds) {
  for (std::ptrdiff_t start = -9; start != 9; ++start)
    for (std::size_t taps = 1; taps != 7; ++taps)
      for (std::size_t dilation = 1; dilation != 5; ++dilation)
        for (std::size_t size = 1; size != 7; ++size) {
          const fat::TapRange found = fat::taps_inside(start, taps, dilation, size);
          std::size_t inside = 0;
          for (std::size_t tap = 0; tap != taps; ++tap) {
            const std::ptrdiff_t place = start + static_cast<std::ptrdiff_t>(tap * dilation);
            const bool in = place >= 0 && place < static_cast<std::ptrdiff_t>(size);
            inside += in ? 1 : 0;
            BOOST_REQUIRE(in == (tap >= found.first && tap < found.last));
          }
          BOOST_REQUIRE(found.count() == inside);
        }
}

/// 2^20 x 2^20 taps over 8 x 8 pixels: a walk over the taps would not end.
BOOST_AUTO_TEST_CASE(windows_far_beyond_the_image_cost_no_more_than_the_image) {
  constexpr std::size_t side = std::size_t{1} << 20U;
  const fat::Window window{{side, side}, {1, 1}, {1, 1}, {side - 1, side - 1, 4, 4}};
  for (const Kind kind : {Kind::max, Kind::average}) {
    fat::test::CodeNetwork net{{8, 8, 2}};
    const fat::QuantizedModel model = net.finish(net.add(fat::Pool{kind, window, false}, {net.input()}));
    const std::vector<float> found = fat::test::outputs(model, 1);
    std::vector<float> image(128), exact(model.graph.output_extent().size());
    fat::test::NoiseImages{1}.load(1000, image);
    fat::FloatRunner runner{model.graph};
    runner.run(image, 1, exact);
    BOOST_REQUIRE(found.size() == exact.size());
    for (std::size_t i = 0; i != found.size(); ++i)
      BOOST_TEST(std::abs(found[i] - std::clamp(exact[i], -3.0F, 3.0F)) <= 2.5F * model.activations[0]->step);
    BOOST_TEST(!fat::c_source(model, "net").empty());
  }
}

BOOST_AUTO_TEST_CASE(means_round_halves_up_wherever_zero_lies) {
  // Bytes lie above the origin of this rounding, so that halves away from it are halves up.
  const std::int32_t origin = fat::mean_rounding(fat::Requantization::half_up, 77).origin;
  for (std::int32_t count = 1; count != 12; ++count)
    for (std::int32_t sum = 0; sum <= 255 * count; ++sum) {
      const std::int32_t mean = origin + fat::mean_half_away(sum - origin * count, count);
      BOOST_REQUIRE(mean == std::floor(static_cast<double>(2 * sum + count) / static_cast<double>(2 * count)));
    }
}

BOOST_AUTO_TEST_CASE(an_average_over_the_whole_image_is_a_mean) {
  const fat::Extent image{5, 4, 3, false};
  const auto is_mean = [&](const fat::Pool& pool) {
    return std::holds_alternative<fat::GlobalAveragePool>(operator_after_preparing(image, pool));
  };
  BOOST_TEST(is_mean({Kind::average, {{5, 4}, {1, 1}, {1, 1}, {}}, false}));
  BOOST_TEST(is_mean({Kind::average, {{5, 4}, {2, 3}, {1, 1}, {}}, true}));
  BOOST_TEST(is_mean({Kind::average, {{7, 6}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, false}));  // padding does not count
  BOOST_TEST(is_mean({Kind::average, {{7, 4}, {1, 1}, {1, 1}, {0, 0, 2, 0}}, false}));
  BOOST_TEST(!is_mean({Kind::average, {{7, 6}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, true}));
  BOOST_TEST(!is_mean({Kind::max, {{5, 4}, {1, 1}, {1, 1}, {}}, false}));
  BOOST_TEST(!is_mean({Kind::average, {{4, 4}, {2, 1}, {1, 1}, {}}, false}));  // leaves out a row
  BOOST_TEST(!is_mean({Kind::average, {{5, 3}, {1, 1}, {1, 1}, {}}, false}));  // two windows
  BOOST_TEST(!is_mean({Kind::average, {{3, 4}, {9, 1}, {2, 1}, {}}, false}));  // every second row
  // Its codes have a grid for means, not that of the pixels.
  fat::test::NetworkBuilder b{{16, 16, 3, false}, false};
  b.add("pool", fat::Pool{Kind::average, fat::test::window_of(16, 1, {}), false}, {b.model.input});
  const fat::QuantizedModel model = fat::test::quantized(b.model);
  BOOST_TEST(model.activations[model.graph.output]->step < 0.5F * model.activations[model.graph.input]->step);
}

BOOST_AUTO_TEST_CASE(padding_of_a_window_and_more_is_written_as_rounding_up) {
  const fat::Window dilated{{2, 2}, {2, 2}, {3, 3}, {0, 0, 2, 3}};
  fat::test::CodeNetwork net{{8, 8, 2}};
  const fat::QuantizedModel model = net.finish(net.add(fat::Pool{Kind::max, dilated, false}, {net.input()}));
  const std::string file = fat::onnx::write(model);
  BOOST_TEST(file.find("ceil_mode") != std::string::npos);
  BOOST_TEST(fat::test::outputs(fat::onnx::read_quantized(file, "again")) == fat::test::outputs(model),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
