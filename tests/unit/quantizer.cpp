// Quantizers by hand-counted figures: division against reciprocals, dead channels, full ranges, clipped zero points.
#include <fat/core.hpp>

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

BOOST_AUTO_TEST_SUITE(unit_quantizer)

namespace {

// The deleted overloads word the errors of calls; a question whether a call compiles still gets its answer.
template <class X, class Params>
concept Quantizable = requires(const X& x, const Params& params) {
  fat::quantize(fat::Quantizer<>{}, x, params);
  fat::fake_quantize(fat::Quantizer<>{}, x, params);
};
static_assert(Quantizable<std::vector<float>, fat::Params<float>>);
static_assert(Quantizable<std::vector<double>, fat::Params<double>>);
static_assert(!Quantizable<std::vector<double>, fat::Params<float>>);
static_assert(!Quantizable<std::vector<int>, fat::Params<float>>);

}  // namespace

BOOST_AUTO_TEST_CASE(dividing_rounds_as_a_division_does) {
  using Q = fat::Quantizer<fat::Symmetric, fat::Signed, fat::Divide>;
  std::mt19937 random{1};
  std::uniform_real_distribution<float> threshold{0.5F, 2.0F};
  int differs = 0;
  for (int round = 0; round != 2000; ++round) {
    const float t = threshold(random);
    const Q q;
    const auto params = q.params(fat::Ranges<float>{std::vector{fat::Interval<float>{-t, t}}});
    const float step = params.scale();
    std::vector<float> x;
    for (int k = 0; k != 100; ++k) x.push_back((static_cast<float>(k) + 0.5F) * step);
    const std::vector<std::int8_t> codes = fat::quantize(q, x, params);
    for (std::size_t i = 0; i != x.size(); ++i) {
      BOOST_REQUIRE(static_cast<float>(codes[i]) == std::nearbyint(x[i] / step));
      differs += std::nearbyint(x[i] / step) != std::nearbyint(x[i] * (1.0F / step)) ? 1 : 0;
    }
  }
  BOOST_TEST(differs > 1000);  // the two ways are told apart
}

BOOST_AUTO_TEST_CASE(a_dead_channel_shows_the_largest_live_step) {
  const fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed> q;
  std::vector<float> w{0, 0, 1, -2, 127, 5};
  const auto params = q.params(fat::observe<fat::MinMax>(q, fat::span_tensor(w.data(), {3, 2})));
  BOOST_TEST(params.scale(0) == 1.0F);
  BOOST_TEST(params.scale(1) == 2.0F / 127.0F);
  BOOST_TEST(params.scale(2) == 1.0F);
  BOOST_TEST(params.grid(0).dead());
  w[4] = 254.0F;
  BOOST_TEST(q.params(fat::observe<fat::MinMax>(q, fat::span_tensor(w.data(), {3, 2}))).scale(0) == 2.0F);
  w.assign(6, 0.0F);
  BOOST_TEST(q.params(fat::observe<fat::MinMax>(q, fat::span_tensor(w.data(), {3, 2}))).scale(0) == 1.0F);
}

BOOST_AUTO_TEST_CASE(a_full_range_has_one_code_more_and_the_same_step) {
  const fat::Quantizer<fat::Symmetric, fat::Signed, fat::FullRange> q;
  const std::vector<float> x{-1.0F, 1.0F, -2.0F, 2.0F};
  const auto params = q.params(fat::Ranges<float>{std::vector{fat::Interval<float>{-1.0F, 1.0F}}});
  BOOST_TEST(params.scale() == 1.0F / 127.0F);
  const std::vector<std::int8_t> wanted{-127, 127, -128, 127};
  BOOST_TEST(fat::quantize(q, x, params) == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_zero_point_is_a_code_wherever_the_range_lies) {
  const fat::Codes codes = fat::asymmetric_codes(8, false);
  BOOST_TEST(fat::asymmetric_grid(1.0F, 1.0F, codes).zero_point == 0);
  BOOST_TEST(fat::asymmetric_grid(-3.0F, 1.0F, codes).zero_point == 255);
  BOOST_TEST(fat::asymmetric_grid(-1.0F, 2.0F, codes).zero_point == 128);  // 127.5 to even
  const fat::Codes with_sign = fat::asymmetric_codes(8, true);
  BOOST_TEST(fat::asymmetric_grid(1.0F, 1.0F, with_sign).zero_point == -128);
  BOOST_TEST(fat::asymmetric_grid(-3.0F, 1.0F, with_sign).zero_point == 127);
}

BOOST_AUTO_TEST_CASE(ranges_of_an_asymmetric_quantizer_hold_zero) {
  const fat::Quantizer<fat::Asymmetric, fat::Unsigned> q;
  const std::vector<float> above{1.0F, 2.0F}, below{-2.0F, -1.0F};
  const auto high = fat::observe<fat::MinMax>(q, above);
  const auto low = fat::observe<fat::MinMax>(q, below);
  BOOST_TEST((high[0] == fat::Interval<float>{0.0F, 2.0F}));
  BOOST_TEST((low[0] == fat::Interval<float>{-2.0F, 0.0F}));
  BOOST_TEST(q.params(high).zero_point() == 0);
  BOOST_TEST(q.params(low).zero_point() == 255);
  const fat::Quantizer<fat::Symmetric, fat::Signed> s;
  BOOST_TEST((fat::observe<fat::MinMax>(s, above)[0] == fat::Interval<float>{1.0F, 2.0F}));
}

BOOST_AUTO_TEST_CASE(ranges_wider_than_a_float_can_say_are_refused_and_all_others_live) {
  const fat::Interval<float> wide{-3e38F, 3e38F};
  const fat::Quantizer<fat::Asymmetric, fat::PerChannel<0>, fat::Unsigned> q;
  BOOST_CHECK_EXCEPTION(q.params(fat::Ranges<float>{{-1.0F, 1.0F}, wide}), fat::error, [](const fat::error& problem) {
    return std::string_view{problem.what()}.find("channel 1 is [-3e+38, 3e+38]") != std::string_view::npos;
  });
  BOOST_CHECK_THROW(q.grid(wide), fat::error);
  BOOST_CHECK_THROW(fat::symmetric_grid(std::numeric_limits<float>::infinity(), {}), fat::error);
  using Threshold = fat::AdjustableThreshold<fat::Quantizer<fat::Asymmetric, fat::Unsigned>>;
  BOOST_CHECK_THROW((Threshold{fat::Ranges<float>{wide}}), fat::error);
  const auto halved = q.params(fat::Interval<float>{-1.5e38F, 1.5e38F});
  BOOST_TEST(!halved.grid().dead());
  const std::vector<float> x{-1.5e38F, 1.5e38F};
  const std::vector<std::uint8_t> ends{0, 255};
  const fat::Quantizer<fat::Asymmetric, fat::Unsigned> scalar;
  BOOST_TEST(fat::quantize(scalar, x, halved) == ends, boost::test_tools::per_element());
  const fat::Quantizer<fat::Symmetric, fat::Signed> s;
  BOOST_TEST(s.params(wide).scale() == 3e38F / 127.0F);
  BOOST_TEST(fat::Quantizer<fat::Asymmetric>::params(fat::Interval<double>{-3e38, 3e38}).scale() == 6e38 / 255.0);
}

BOOST_AUTO_TEST_CASE(values_that_no_range_can_hold_are_refused_by_name_and_place) {
  const fat::Quantizer<fat::Asymmetric, fat::Unsigned> q;
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(40, 1.0F);
    x[17] = bad;
    BOOST_CHECK_EXCEPTION(fat::observe<fat::MinMax>(q, x, "stem"), fat::error, [](const fat::error& problem) {
      const std::string_view text = problem.what();
      return text.find("'stem'") != std::string_view::npos && text.find("value 17") != std::string_view::npos;
    });
  }
}

BOOST_AUTO_TEST_SUITE_END()
