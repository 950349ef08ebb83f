// Observers of ranges: what a percentile leaves out, how means over runs are formed, and that parts merge to the whole.
#include <fat/core.hpp>
#include <fat/observe/moving_average.hpp>
#include <fat/observe/percentile.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

namespace {

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i != count; ++i) values[i] = static_cast<float>(i);
  std::shuffle(values.begin(), values.end(), std::mt19937{4});
  return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_observers)

BOOST_AUTO_TEST_CASE(a_percentile_leaves_half_of_the_rest_at_each_end) {
  const std::vector<float> values = ramp(100000);
  for (const double percent : {90.0, 99.0, 99.9}) {
    fat::Percentile observer{percent, 255, std::numeric_limits<double>::infinity()};
    observer.observe(values.data(), values.size());
    const double cut = 100000.0 * (100.0 - percent) / 200.0;
    BOOST_TEST(std::abs(observer.range().low - cut) < 130.0);
    BOOST_TEST(std::abs(observer.range().high - (100000.0 - cut)) < 130.0);
  }
  fat::Percentile all{100.0};
  all.observe(values.data(), values.size());
  BOOST_TEST(all.range().low == 0.0);
  BOOST_TEST(all.range().high == 99999.0);
}

BOOST_AUTO_TEST_CASE(a_percentile_does_not_count_zeros) {
  constexpr double any = std::numeric_limits<double>::infinity();
  const std::vector<float> values = ramp(1001);
  fat::Percentile live{90.0, 255, any}, among_zeros = live;
  live.observe(values.data(), values.size());
  const std::vector<float> zeros(999000);
  among_zeros.observe(zeros.data(), zeros.size());
  among_zeros.observe(values.data(), values.size());
  BOOST_TEST((live.range() == among_zeros.range()));
  BOOST_TEST(among_zeros.range().high > 940.0);
}

BOOST_AUTO_TEST_CASE(the_numbers_of_a_percentile_are_checked) {
  BOOST_CHECK_THROW((fat::Percentile{0.0}), fat::error);
  BOOST_CHECK_THROW((fat::Percentile{99.0, 0}), fat::error);
  BOOST_CHECK_THROW((fat::Percentile{99.0, 255, 0.5}), fat::error);
}

BOOST_AUTO_TEST_CASE(percentiles_of_parts_merge_to_that_of_the_whole) {
  const std::vector<float> values = ramp(60000);
  constexpr double any = std::numeric_limits<double>::infinity();
  fat::Percentile whole{99.0, 255, any}, first = whole, second = whole;
  whole.observe(values.data(), values.size());
  first.observe(values.data(), 25000);
  second.observe(values.data() + 25000, 35000);
  first.merge(second);
  BOOST_TEST(std::abs(first.range().low - whole.range().low) < 130.0);
  BOOST_TEST(std::abs(first.range().high - whole.range().high) < 130.0);
}

BOOST_AUTO_TEST_CASE(a_moving_average_weighs_runs_without_bias_to_the_first) {
  fat::MovingAverage observer{0.5};
  const std::vector<float> one{-1.0F, 4.0F}, two{-3.0F, 8.0F};
  observer.observe(one.data(), 2);
  BOOST_TEST(observer.range().high == 4.0);
  observer.observe(two.data(), 2);
  BOOST_TEST(observer.range().high == (0.5 * 4.0 + 8.0) / 1.5);
  BOOST_TEST(observer.range().low == (0.5 * -1.0 - 3.0) / 1.5);
}

BOOST_AUTO_TEST_CASE(moving_averages_merge_as_if_the_later_runs_had_followed) {
  const std::vector<std::vector<float>> runs{{-1, 2}, {-5, 1}, {-2, 7}, {0, 3}, {-4, 9}};
  fat::MovingAverage whole{0.7}, first{0.7}, later{0.7};
  for (std::size_t i = 0; i != runs.size(); ++i) {
    whole.observe(runs[i].data(), 2);
    (i < 2 ? first : later).observe(runs[i].data(), 2);
  }
  first.merge(later);
  BOOST_TEST(first.range().low == whole.range().low, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(first.range().high == whole.range().high, boost::test_tools::tolerance(1e-12));
  fat::MovingAverage nothing{0.7};
  first.merge(nothing);
  BOOST_TEST(first.range().high == whole.range().high, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(calibration_joins_threads_and_refuses_other_channels) {
  using Q = fat::Quantizer<fat::Symmetric, fat::PerChannel<0>, fat::Signed>;
  fat::Calibration<Q, fat::MinMax> one, two;
  std::vector<float> a{1, 2, 3, 4}, b{-9, 0, 0, 8};
  one.observe(fat::span_tensor(a.data(), {2, 2}));
  two.observe(fat::span_tensor(b.data(), {2, 2}));
  one.merge(two);
  const auto ranges = one.ranges<float>();
  BOOST_TEST((ranges[0] == fat::Interval<float>{-9.0F, 2.0F}));
  BOOST_TEST((ranges[1] == fat::Interval<float>{0.0F, 8.0F}));
  BOOST_CHECK_THROW(one.observe(fat::span_tensor(a.data(), {4, 1})), fat::error);
}

BOOST_AUTO_TEST_SUITE_END()
