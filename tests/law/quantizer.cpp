// The laws of a quantizer over all policy combinations, and over grids, on ordinary, tied and extreme values.
#include <fat/core.hpp>

#include <bit>
#include <cmath>
#include <limits>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_quantizer)

namespace {

/// Values in ascending order: dense ones, exact midpoints of a grid, and far ones.
template <class Real>
fat::array<Real> ascending(const fat::Grid<Real>& grid) {
  fat::aligned_vector<Real> values{-1e30F, -1e6F};
  const Real unit = grid.step > Real{0} ? grid.step : Real{1};
  for (int half = -600; half <= 600; ++half) values.push_back(static_cast<Real>(half) * Real{0.5} * unit);
  values.push_back(1e6F);
  values.push_back(1e30F);
  const std::size_t count = values.size();
  return {fat::Shape{1, count}, std::move(values)};
}

/// What was found to hold for one quantizer and range; checked in one place, because every BOOST_TEST in a template is
/// compiled again for each of the hundreds of policies.
struct Laws {
  bool monotone = true;      ///< larger values have larger codes
  bool fixed_points = true;  ///< what is on the grid stays
  bool same_bits = true;     ///< fake quantization is quantization and back
  bool near = true;          ///< half a step at most inside the range
  bool in_range = true;
  bool as_one_element = true;
  bool zero = true;      ///< 0 is exact, NaN becomes 0
  bool infinite = true;  ///< infinities have the end codes
  bool positive_scale = true;
};

void expect(const Laws& laws) {
  BOOST_TEST(laws.monotone);
  BOOST_TEST(laws.fixed_points);
  BOOST_TEST(laws.same_bits);
  BOOST_TEST(laws.near);
  BOOST_TEST(laws.in_range);
  BOOST_TEST(laws.as_one_element);
  BOOST_TEST(laws.zero);
  BOOST_TEST(laws.infinite);
  BOOST_TEST(laws.positive_scale);
}

template <class Q, class Real>
Laws laws_of(const fat::Interval<Real>& range) {
  const Q q;
  const auto params = q.params(range);
  const auto grid = params.grid();
  const auto x = ascending(grid);
  const auto codes = fat::quantize(q, x, params);
  const auto back = fat::dequantize(q, codes, params);
  const auto fake = fat::fake_quantize(q, x, params);
  const auto again = fat::quantize(q, back, params);
  Laws laws;
  const Real low = grid.step * static_cast<Real>(Q::code_min - grid.zero_point);
  const Real high = grid.step * static_cast<Real>(Q::code_max - grid.zero_point);
  for (std::size_t i = 0; i != x.size(); ++i) {
    using Bits = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;
    laws.monotone &= (i == 0 || codes[i - 1] <= codes[i]);
    laws.fixed_points &= again[i] == codes[i];
    laws.same_bits &= std::bit_cast<Bits>(fake[i]) == std::bit_cast<Bits>(back[i]);
    if (x[i] >= low && x[i] <= high)
      laws.near &= std::abs(x[i] - back[i]) <= grid.step * (Real{0.5} + 200 * std::numeric_limits<Real>::epsilon());
    laws.in_range &= codes[i] >= Q::code_min && codes[i] <= Q::code_max;
    laws.as_one_element &=
        static_cast<std::int32_t>(codes[i]) == fat::quantize_one<typename Q::rounding, typename Q::scaling>(x[i], grid);
  }
  const fat::array<Real> special{{1, 4},
                                 {Real{0}, std::numeric_limits<Real>::quiet_NaN(),
                                  std::numeric_limits<Real>::infinity(), -std::numeric_limits<Real>::infinity()}};
  const auto special_codes = fat::quantize(q, special, params);
  const auto special_code = [&](std::size_t i) { return static_cast<std::int32_t>(special_codes[i]); };
  laws.zero = special_code(0) == params.zero_point() && special_code(1) == params.zero_point() &&
              fat::dequantize(q, special_codes, params)[0] == Real{0};
  laws.infinite = special_code(2) == (grid.dead() ? params.zero_point() : Q::code_max) &&
                  special_code(3) == (grid.dead() ? params.zero_point() : Q::code_min);
  laws.positive_scale = params.scale() > Real{0};
  return laws;
}

template <class Real, class... Policies>
void ranges() {
  using Q = fat::Quantizer<Policies...>;
  expect(laws_of<Q, Real>({Real{-1}, Real{3}}));
  expect(laws_of<Q, Real>({Real{-0.37F}, Real{0.11F}}));
  expect(laws_of<Q, Real>({Real{0}, Real{6}}));
  expect(laws_of<Q, Real>({Real{-2}, Real{0}}));
  expect(laws_of<Q, Real>({Real{0}, Real{0}}));
}

template <class Real, class... Policies>
void schemes() {
  ranges<Real, fat::Symmetric, fat::Signed, Policies...>();
  ranges<Real, fat::Symmetric, fat::Signed, fat::FullRange, Policies...>();
  ranges<Real, fat::Symmetric, fat::Unsigned, Policies...>();
  ranges<Real, fat::Asymmetric, fat::Signed, Policies...>();
  ranges<Real, fat::Asymmetric, fat::Unsigned, Policies...>();
}

template <class Real, class... Policies>
void granularities() {
  schemes<Real, fat::Scalar, Policies...>();
  schemes<Real, fat::PerChannel<0>, Policies...>();
}

template <class Real, class Bits>
void roundings() {
  granularities<Real, Bits, fat::HalfToEven>();
  granularities<Real, Bits, fat::HalfAwayFromZero, fat::Divide>();
  granularities<Real, Bits, fat::HalfUp>();
  schemes<Real, Bits, fat::HalfToEven, fat::Divide>();
}

}  // namespace

BOOST_AUTO_TEST_CASE(two_bits) { roundings<float, fat::Bits<2>>(); }
BOOST_AUTO_TEST_CASE(four_bits) { roundings<float, fat::Bits<4>>(); }
BOOST_AUTO_TEST_CASE(eight_bits) { roundings<float, fat::Bits<8>>(); }
BOOST_AUTO_TEST_CASE(sixteen_bits) { roundings<float, fat::Bits<16>>(); }
BOOST_AUTO_TEST_CASE(eight_bits_double) { roundings<double, fat::Bits<8>>(); }

BOOST_AUTO_TEST_CASE(half_up_just_below_the_middle) {
  BOOST_TEST(fat::HalfUp{}(0.49999997F) == 0.0F);
  BOOST_TEST(fat::HalfUp{}(-0.5F) == 0.0F);
  BOOST_TEST(fat::HalfAwayFromZero{}(0.49999997F) == 0.0F);
  BOOST_TEST(fat::HalfAwayFromZero{}(-2.5F) == -3.0F);
  BOOST_TEST(fat::HalfToEven{}(2.5F) == 2.0F);
}

BOOST_AUTO_TEST_SUITE_END()
