// The vectorized loops of quantizers against the one-element definition.
#include <fat/core.hpp>

#include <cmath>
#include <cstdint>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(differential_quantize)

/// Every partition gives the bits of the one-element definition, whichever loop it takes.
BOOST_AUTO_TEST_CASE(every_partition_agrees_with_one_element) {
  const fat::Partition all[] = {{1, 1, 77}, {3, 5, 40},  {3, 5, 9},    {7, 3, 1},
                                {5, 70, 1}, {2, 600, 3}, {1, 1500, 1}, {50, 2, 2}};
  for (const fat::Partition& parts : all) {
    fat::GridTable<float> grids(parts.channels);
    for (std::size_t c = 0; c != parts.channels; ++c)
      grids.set(c, fat::asymmetric_grid(-1.0F, 0.01F * static_cast<float>(c % 200), fat::asymmetric_codes(8, true)));
    fat::array<float> x{fat::Shape{parts.size()}};
    for (std::size_t i = 0; i != x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    fat::array<std::int8_t> codes{x.shape()};
    fat::array<float> fake{x.shape()};
    fat::quantize_channels(x.data(), codes.data(), parts, grids);
    fat::fake_quantize_channels(x.data(), fake.data(), parts, grids);
    for (std::size_t i = 0; i != x.size(); ++i) {
      const auto grid = grids[parts.channel(i)];
      BOOST_REQUIRE_EQUAL(static_cast<std::int32_t>(codes[i]), fat::quantize_one(x[i], grid));
      BOOST_REQUIRE_EQUAL(fake[i], fat::dequantize_one(codes[i], grid));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
