// SquaredError and Entropy: their ranges against a search by hand, merging, and what clips nothing.
#include <fat/observe/entropy.hpp>
#include <fat/observe/observer.hpp>
#include <fat/observe/squared_error.hpp>

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <random>
#include <vector>

static_assert(fat::Observer<fat::SquaredError> && fat::Observer<fat::Entropy>);

namespace {

/// Normal values with a few far outliers.
std::vector<float> outliers(std::uint32_t seed, bool positive = false) {
  std::mt19937 random{seed};
  std::normal_distribution<float> normal;
  std::vector<float> values(20000);
  for (float& v : values) v = positive ? std::abs(normal(random)) : normal(random);
  values[7] = 60.0F;
  if (!positive) values[9] = -45.0F;
  return values;
}

/// Mean squared error of values on a grid of `levels` steps over [low, high].
double grid_error(const std::vector<float>& values, double low, double high, int levels) {
  const double step = (high - low) / levels;
  double sum = 0.0;
  for (const float v : values) {
    const double code =
        std::min(std::max(std::nearbyint((static_cast<double>(v) - low) / step), 0.0), static_cast<double>(levels));
    sum += std::pow(low + code * step - static_cast<double>(v), 2);
  }
  return sum / static_cast<double>(values.size());
}

template <class O>
fat::Interval<double> range_of(O observer, const std::vector<float>& values) {
  observer.observe(values.data(), values.size());
  return observer.range();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_clipping_observers)

BOOST_AUTO_TEST_CASE(squared_error_beats_the_extremes_and_is_near_the_best_found_by_hand) {
  for (const int levels : {15, 255}) {
    const std::vector<float> values = outliers(3);
    const fat::Interval<double> range = range_of(fat::SquaredError{levels}, values);
    const double found = grid_error(values, range.low, range.high, levels);
    BOOST_TEST(found < grid_error(values, -45.0, 60.0, levels));
    double best = found;
    for (int i = 1; i <= 30; ++i)
      for (int j = 1; j <= 30; ++j) best = std::min(best, grid_error(values, -45.0 * i / 30, 60.0 * j / 30, levels));
    BOOST_TEST(found <= 1.1 * best);
  }
}

BOOST_AUTO_TEST_CASE(entropy_leaves_lone_outliers_out) {
  const fat::Interval<double> range = range_of(fat::Entropy{15}, outliers(4, true));
  BOOST_TEST(range.high < 30.0);
  BOOST_TEST(range.high > 2.0);
  BOOST_TEST(range.low >= 0.0);
}

BOOST_AUTO_TEST_CASE(even_values_are_not_clipped) {
  std::vector<float> values(5000);
  for (std::size_t i = 0; i != values.size(); ++i) values[i] = static_cast<float>(i) / 4999.0F * 3.0F;
  BOOST_TEST(range_of(fat::SquaredError{}, values).high > 2.9);
  BOOST_TEST(range_of(fat::Entropy{}, values).high > 2.7);
}

template <class O>
void check_laws(const O& start) {
  const std::vector<float> values = outliers(5);
  BOOST_TEST((start.range() == fat::Interval<double>{}));
  O whole = start;
  whole.observe(values.data(), values.size());
  O first = start;
  O second = start;
  first.observe(values.data(), 8000);
  second.observe(values.data() + 8000, values.size() - 8000);
  second.merge(first);
  second.merge(start);
  BOOST_TEST((second.range() == whole.range()));
  BOOST_TEST(whole.range().low >= -45.0);
  BOOST_TEST(whole.range().high <= 60.0);
  const std::vector<float> zeros(10);
  O flat = start;
  flat.observe(zeros.data(), zeros.size());
  BOOST_TEST((flat.range() == fat::Interval<double>{}));
}

BOOST_AUTO_TEST_CASE(merging_does_not_change_the_range) {
  check_laws(fat::SquaredError{});
  check_laws(fat::Entropy{});
}

BOOST_AUTO_TEST_CASE(levels_are_checked) {
  BOOST_CHECK_THROW(fat::SquaredError{0}, fat::error);
  BOOST_CHECK_THROW(fat::Entropy{-1}, fat::error);
}

BOOST_AUTO_TEST_SUITE_END()
