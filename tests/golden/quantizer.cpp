// Codes, steps and biases against reference vectors, bit for bit.
#include <fat/core.hpp>

#include "support/golden.hpp"

#include <string>
#include <utility>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_quantizer)

namespace {

using fat::test::golden;

fat::array<float> reals(const fat::NpyArrays& file, const std::string& name) { return file.at(name).as<float>(); }

template <class Q>
auto codes(const fat::array<float>& x, const fat::Ranges<float>& ranges) {
  fat::array<std::int32_t> wide{x.shape()};
  fat::quantize(Q{}, x, Q::params(ranges), wide);
  return wide;
}

void check_equal(const fat::array<std::int32_t>& made, const fat::array<std::int32_t>& expected,
                 const std::string& name) {
  BOOST_TEST_CONTEXT(name) {
    BOOST_CHECK_EQUAL_COLLECTIONS(made.begin(), made.end(), expected.begin(), expected.end());
  }
}

/// Ranges [-factor * T, factor * T] of every threshold in an array.
fat::Ranges<float> around(const fat::array<float>& thresholds, float factor) {
  std::vector<fat::Interval<float>> intervals;
  for (const float t : thresholds) intervals.push_back({-factor * t, factor * t});
  return fat::Ranges<float>{std::move(intervals)};
}

template <int N, class Sign, class Granularity>
void check_symmetric(const fat::NpyArrays& file, const std::string& granularity, const std::string& threshold) {
  constexpr bool is_signed = Sign::is_signed;
  const std::string prefix = (is_signed ? "s" : "u") + std::to_string(N) + "_" + granularity + "_";
  const auto x = reals(file, "x");
  const auto ranges = around(reals(file, threshold), is_signed ? 0.75F : 1.0F);
  using Even = fat::Quantizer<fat::Symmetric, Sign, Granularity, fat::Bits<N>>;
  using Away = fat::Quantizer<fat::Symmetric, Sign, Granularity, fat::Bits<N>, fat::HalfAwayFromZero>;
  check_equal(codes<Even>(x, ranges), file.at(prefix + "q").as<std::int32_t>(), prefix + "q");
  if (!file.contains(prefix + "y")) return;
  check_equal(codes<Away>(x, ranges), file.at(prefix + "qaway").as<std::int32_t>(), prefix + "qaway");
  const auto expected = reals(file, prefix + "y");
  const auto params = Even::params(ranges);
  const auto fake = fat::fake_quantize(Even{}, x, params);
  const auto back = fat::dequantize(Even{}, fat::quantize(Even{}, x, params), params);
  BOOST_TEST_CONTEXT(prefix + "y") {
    BOOST_CHECK_EQUAL_COLLECTIONS(fake.begin(), fake.end(), expected.begin(), expected.end());
    BOOST_CHECK_EQUAL_COLLECTIONS(back.begin(), back.end(), expected.begin(), expected.end());
  }
}

template <int N>
void check_bits(const fat::NpyArrays& file) {
  check_symmetric<N, fat::Signed, fat::Scalar>(file, "s", "T_scalar");
  check_symmetric<N, fat::Signed, fat::PerChannel<0>>(file, "c0", "T_axis0");
  check_symmetric<N, fat::Signed, fat::PerChannel<1>>(file, "c1", "T_axis1");
  check_symmetric<N, fat::Unsigned, fat::Scalar>(file, "s", "T_scalar");
  check_symmetric<N, fat::Unsigned, fat::PerChannel<0>>(file, "c0", "T_axis0");
  check_symmetric<N, fat::Unsigned, fat::PerChannel<1>>(file, "c1", "T_axis1");
}

template <int N, class Sign, class Rounding = fat::HalfToEven>
auto edge_codes(const fat::array<float>& x, float threshold) {
  return codes<fat::Quantizer<fat::Symmetric, Sign, fat::Bits<N>, Rounding>>(
      x, fat::Interval<float>{-threshold, threshold});
}

}  // namespace

BOOST_AUTO_TEST_CASE(symmetric, *fat::test::needs_golden("01_symmetric.npz")) {
  const auto& file = golden("01_symmetric.npz");
  [&]<int... n>(std::integer_sequence<int, n...>) { (check_bits<n + 2>(file), ...); }
  (std::make_integer_sequence<int, 7>{});
}

BOOST_AUTO_TEST_CASE(observed_thresholds, *fat::test::needs_golden("01_symmetric.npz")) {
  const auto& file = golden("01_symmetric.npz");
  const auto x = reals(file, "x");
  const auto check = [&]<class Q>(Q q, const std::string& name) {
    const auto ranges = fat::observe<fat::MinMax>(q, x);
    const auto expected = reals(file, name);
    BOOST_REQUIRE_EQUAL(ranges.size(), expected.size());
    for (std::size_t c = 0; c != ranges.size(); ++c) BOOST_CHECK_EQUAL(fat::threshold_of(ranges[c]), expected[c]);
  };
  check(fat::Quantizer<>{}, "T_scalar");
  check(fat::Quantizer<fat::PerChannel<0>>{}, "T_axis0");
  check(fat::Quantizer<fat::PerChannel<1>>{}, "T_axis1");
}

BOOST_AUTO_TEST_CASE(ties, *fat::test::needs_golden("02_edges.npz")) {
  const auto& file = golden("02_edges.npz");
  const auto x = reals(file, "ties_x");
  using Away = fat::HalfAwayFromZero;
  check_equal(edge_codes<8, fat::Signed>(x, 127.0F), file.at("ties_s8_even").as<std::int32_t>(), "ties_s8_even");
  check_equal(edge_codes<8, fat::Signed, Away>(x, 127.0F), file.at("ties_s8_away").as<std::int32_t>(), "ties_s8_away");
  check_equal(edge_codes<8, fat::Unsigned>(x, 255.0F), file.at("ties_u8_even").as<std::int32_t>(), "ties_u8_even");
  check_equal(edge_codes<8, fat::Unsigned, Away>(x, 255.0F), file.at("ties_u8_away").as<std::int32_t>(),
              "ties_u8_away");
}

BOOST_AUTO_TEST_CASE(edges, *fat::test::needs_golden("02_edges.npz")) {
  const auto& file = golden("02_edges.npz");
  for (const std::string name : {"zeroT", "denormT", "tinyT", "okT", "hugeT", "special"}) {
    const auto x = reals(file, name + "_x");
    const float t = reals(file, name + "_T")[0];
    check_equal(edge_codes<2, fat::Signed>(x, t), file.at(name + "_s2").as<std::int32_t>(), name + "_s2");
    check_equal(edge_codes<8, fat::Signed>(x, t), file.at(name + "_s8").as<std::int32_t>(), name + "_s8");
    check_equal(edge_codes<2, fat::Unsigned>(x, t), file.at(name + "_u2").as<std::int32_t>(), name + "_u2");
    check_equal(edge_codes<8, fat::Unsigned>(x, t), file.at(name + "_u8").as<std::int32_t>(), name + "_u8");
  }
  check_equal(edge_codes<2, fat::Signed>(reals(file, "low2_x"), 1.0F), file.at("low2_s").as<std::int32_t>(), "low2_s");
  check_equal(edge_codes<4, fat::Signed>(reals(file, "low4_x"), 7.0F), file.at("low4_s").as<std::int32_t>(), "low4_s");
  const auto single = reals(file, "single_x");
  using Q = fat::Quantizer<fat::PerChannel<0>>;
  check_equal(codes<Q>(single, fat::observe<fat::MinMax>(Q{}, single)), file.at("single_q_axis0").as<std::int32_t>(),
              "single");
}

BOOST_AUTO_TEST_CASE(low_unsigned, *fat::test::needs_golden("02_edges.npz")) {
  const auto& file = golden("02_edges.npz");
  check_equal(edge_codes<2, fat::Unsigned>(reals(file, "low2_x"), 1.0F), file.at("low2_u").as<std::int32_t>(),
              "low2_u");
  check_equal(edge_codes<4, fat::Unsigned>(reals(file, "low4_x"), 7.0F), file.at("low4_u").as<std::int32_t>(),
              "low4_u");
}

BOOST_AUTO_TEST_CASE(bias, *fat::test::needs_golden("06_bias.npz")) {
  const auto& file = golden("06_bias.npz");
  const auto b = file.at("b").as<double>();
  const double input = file.at("Si").as<double>()[0];
  const auto weights = file.at("Sw").as<double>();
  const auto even = file.at("bq").as<std::int32_t>();
  const auto away = file.at("bq_away").as<std::int32_t>();
  for (std::size_t c = 0; c != b.size(); ++c) {
    BOOST_CHECK_EQUAL(fat::quantize_bias_one(b[c], input * weights[c]), even[c]);
    BOOST_CHECK_EQUAL(fat::quantize_bias_one<fat::HalfAwayFromZero>(b[c], input * weights[c]), away[c]);
  }
}

BOOST_AUTO_TEST_SUITE_END()
