// The roundings of requantization against their definitions in exact arithmetic: ties, extremes, vectors, means.
#include <fat/kernel/requantize_rows.hpp>
#include <fat/model/requantization.hpp>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace {

__extension__ using Wide = __int128;
using fat::FixedPointMultiplier;
using fat::ProductRounding;

constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min(),
                       most = std::numeric_limits<std::int32_t>::max();

/// Twice the distance of value * multiplier from the integer `rounded`, in units of 2^(shift - 31).
Wide twice_distance(std::int32_t value, FixedPointMultiplier m, std::int64_t rounded) {
  return 2 * (Wide{value} * m.mantissa - (Wide{rounded} << (31 - m.shift)));
}
bool fits(std::int32_t value, FixedPointMultiplier m) {
  const Wide floor = Wide{value} * m.mantissa >> (31 - m.shift);
  return floor >= least && floor < most;
}

/// Sums and multipliers of every size; every third mantissa ends in many zeros, so that exact halves are common.
class Draw {
 public:
  explicit Draw(std::uint32_t seed) : random_(seed) {}
  std::int32_t value() {
    static constexpr std::int32_t extremes[] = {least, least + 1, -1, 0, 1, most - 1, most};
    if (random_() % 16 == 0) return extremes[random_() % std::size(extremes)];
    const auto magnitude = static_cast<std::int32_t>((random_() & 0x7FFFFFFFU) >> random_() % 31);
    return random_() % 2 == 0 ? magnitude : -magnitude;
  }
  FixedPointMultiplier multiplier(int lowest = -31, int highest = 30) {
    auto mantissa = static_cast<std::uint32_t>(1U << 30U | (random_() & 0x3FFFFFFFU));
    if (random_() % 3 == 0) mantissa &= ~((1U << random_() % 31) - 1U);
    const auto shifts = static_cast<unsigned>(highest - lowest + 1);
    return {static_cast<std::int32_t>(mantissa), lowest + static_cast<int>(random_() % shifts)};
  }

 private:
  std::mt19937 random_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(law_requantize)

BOOST_AUTO_TEST_CASE(one_rounding_is_the_nearest_integer_and_ties_go_their_way) {
  Draw draw{1};
  std::size_t ties = 0, saturated = 0, wrong = 0;
  for (int i = 0; i != 400000; ++i) {
    const std::int32_t value = draw.value();
    const FixedPointMultiplier m = draw.multiplier();
    const std::int32_t up = fat::requantize(value, m, fat::SingleRounding{}),
                       even = fat::requantize(value, m, fat::SingleHalfEven{});
    if (!fits(value, m)) {
      wrong += up != even || up != (value < 0 ? least : most) ? 1U : 0U;
      ++saturated;
      continue;
    }
    const Wide unit = Wide{1} << (31 - m.shift), above = twice_distance(value, m, up),
               to_even = twice_distance(value, m, even);
    const bool tie = above == unit || above == -unit;
    ties += tie ? 1U : 0U;
    wrong += above < -unit || above >= unit || to_even < -unit || to_even > unit ? 1U : 0U;
    wrong += tie ? (even % 2 != 0 || std::abs(std::int64_t{up} - even) > 1 ? 1U : 0U) : (up != even ? 1U : 0U);
    wrong += tie && !fat::has_halves(m, std::abs(std::int64_t{value})) ? 1U : 0U;
  }
  BOOST_TEST(wrong == 0U);
  BOOST_TEST(ties > 1000U);
  BOOST_TEST(saturated > 1000U);
}

BOOST_AUTO_TEST_CASE(halves_are_foreseen_exactly) {
  for (const std::int32_t mantissa : {1 << 30, 3 << 29, 5 << 28, (1 << 30) + (1 << 20), (1 << 30) + 1})
    for (int shift = -31; shift <= 12; ++shift) {
      const FixedPointMultiplier m{mantissa, shift};
      std::int64_t first = 0;  // the smallest value whose product is a half
      for (std::int32_t value = 1; value != 5000 && first == 0; ++value)
        if (const Wide product = Wide{value} * m.mantissa, unit = Wide{1} << (31 - m.shift); product % unit * 2 == unit)
          first = value;
      BOOST_TEST(fat::has_halves(m, 4999) == (first != 0), mantissa << " shifted by " << shift);
      if (first != 0) BOOST_TEST((fat::has_halves(m, first) && !fat::has_halves(m, first - 1)));
    }
  BOOST_TEST(!fat::has_halves({}, most));
}

BOOST_AUTO_TEST_CASE(rows_are_finished_as_the_reference_does) {
  Draw draw{2};
  for (const ProductRounding rounding : {ProductRounding::once_up, ProductRounding::once_even, ProductRounding::twice})
    for (const int highest : {0, 30})  // without shifts to the left there are vectors for halves to even
      for (std::size_t channels = 1; channels != 71; ++channels) {
        std::vector<FixedPointMultiplier> multipliers;
        for (std::size_t c = 0; c != channels; ++c)
          multipliers.push_back(draw.multiplier(highest == 0 ? -29 : -31, highest));
        std::vector<std::int32_t> sums(3 * channels);
        for (std::int32_t& sum : sums) sum = draw.value();
        std::vector<std::uint8_t> expected(sums.size()), codes(sums.size());
        fat::with_rounding(rounding, [&](auto policy) {
          fat::reference::finish(sums.data(), 3, channels, {multipliers.data(), false, 100, 3, 250}, expected.data(),
                                 policy);
        });
        const fat::RowRequantizer rows{multipliers, rounding};
        rows.finish(sums.data(), 3, 0, channels, 100, 3, 250, codes.data());
        BOOST_TEST(codes == expected, channels << " channels, rounding " << static_cast<int>(rounding));
      }
}

BOOST_AUTO_TEST_CASE(means_are_the_nearest_integers) {
  for (std::int32_t count = 1; count != 50; ++count)
    for (std::int32_t sum = -400; sum != 401; ++sum) {
      const std::int32_t away = fat::mean_half_away(sum, count), even = fat::mean_half_even(sum, count);
      const bool tie = 2 * sum % count == 0 && 2 * sum / count % 2 != 0;
      BOOST_TEST(std::abs(2 * (sum - away * count)) <= count);
      BOOST_TEST(std::abs(2 * (sum - even * count)) <= count);
      if (tie) BOOST_TEST((std::abs(away) * count * 2 > std::abs(2 * sum) && even % 2 == 0), sum << " of " << count);
    }
  BOOST_TEST(fat::mean_half_even(255 << 20, 1 << 20) == 255);
  BOOST_TEST(fat::mean_half_even(-(255 << 20) - (1 << 19), 1 << 20) == -256);
}

BOOST_AUTO_TEST_CASE(names_are_told_back) {
  for (const auto how : {fat::Requantization::half_up, fat::Requantization::half_even, fat::Requantization::tflite})
    BOOST_TEST((fat::requantization_named(fat::name_of(how)) == how));
  BOOST_TEST(!fat::requantization_named("half-away").has_value());
  BOOST_TEST(!fat::requantization_named("").has_value());
}

BOOST_AUTO_TEST_CASE(operators_round_as_documented) {
  using How = fat::Requantization;
  const std::vector<fat::Operator> others{fat::Convolution{}, fat::DepthwiseConvolution{}, fat::Add{},
                                          fat::Multiply{},    fat::ClampLayer{},           fat::GlobalAveragePool{}};
  for (const fat::Operator& op : others) {
    BOOST_TEST((fat::product_rounding(How::half_up, op) == ProductRounding::once_up));
    BOOST_TEST((fat::product_rounding(How::half_even, op) == ProductRounding::once_even));
    BOOST_TEST((fat::product_rounding(How::tflite, op) == ProductRounding::twice));
  }
  BOOST_TEST((fat::product_rounding(How::half_even, fat::Dense{}) == ProductRounding::once_even));
  BOOST_TEST((fat::product_rounding(How::tflite, fat::Dense{}) == ProductRounding::once_up));
  BOOST_TEST((fat::mean_rounding(How::half_up, 7) == fat::MeanRounding{-1, false}));
  BOOST_TEST((fat::mean_rounding(How::half_even, 7) == fat::MeanRounding{7, true}));
  BOOST_TEST((fat::mean_rounding(How::tflite, 7) == fat::MeanRounding{128, false}));
}

BOOST_AUTO_TEST_SUITE_END()
