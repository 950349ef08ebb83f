// Observers of activations: whatever the data, no rule's range has more than twice the squared error of the extremes.
#include <fat/core.hpp>
#include <fat/observe/entropy.hpp>
#include <fat/observe/moving_average.hpp>
#include <fat/observe/percentile.hpp>
#include <fat/observe/squared_error.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

using Random = std::mt19937;

struct Kind {
  std::string name;
  std::function<double(Random&)> draw;
};

double normal(Random& random) { return std::normal_distribution<double>{}(random); }
double laplace(Random& random) {
  const double size = std::exponential_distribution<double>{}(random);
  return random() % 2 == 0 ? size : -size;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"half-normal", [](Random& random) { return std::abs(normal(random)); }},
      {"normal", normal},
      {"Laplace", laplace},
      {"ReLU", [](Random& random) { return std::max(normal(random), 0.0); }},
      {"ReLU, mostly cut", [](Random& random) { return std::max(normal(random) - 2.0, 0.0); }},
      {"ReLU6", [](Random& random) { return std::clamp(4.0 * normal(random), 0.0, 6.0); }},
      {"ReLU6, mostly at 6", [](Random& random) { return std::clamp(10.0 + 6.0 * normal(random), 0.0, 6.0); }},
      {"hard tanh", [](Random& random) { return std::clamp(2.0 * normal(random), -1.0, 1.0); }},
      {"hard swish",
       [](Random& random) {
         const double x = 3.0 * normal(random);
         return x * std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
       }},
      {"Student, 3", [](Random& random) { return std::student_t_distribution<double>{3.0}(random); }},
      {"Cauchy", [](Random& random) { return std::cauchy_distribution<double>{}(random); }},
      {"half-Cauchy", [](Random& random) { return std::abs(std::cauchy_distribution<double>{}(random)); }},
      {"log-normal", [](Random& random) { return std::exp(2.0 * normal(random)); }}};
  return all;
}

std::vector<float> draw(const Kind& kind, std::size_t count, double zeros, Random& random) {
  std::vector<float> values(count);
  std::uniform_real_distribution<double> share;
  for (float& value : values) value = share(random) < zeros ? 0.0F : static_cast<float>(kind.draw(random));
  return values;
}

/// Sum of the squared errors on the grid that an activation gets.
template <class Quantizer>
double grid_error(const std::vector<float>& values, const fat::Interval<double>& range) {
  fat::Interval<float> real{static_cast<float>(range.low), static_cast<float>(range.high)};
  const auto grid = Quantizer::grid(Quantizer::symmetric ? real : fat::with_zero(real));
  double sum = 0.0;
  for (const float value : values) {
    const float back = fat::dequantize_one(fat::quantize_one(value, grid), grid);
    sum += std::pow(static_cast<double>(back) - static_cast<double>(value), 2);
  }
  return sum;
}

template <class Observer>
fat::Interval<double> range_of(Observer observer, const std::vector<float>& values) {
  observer.observe(values.data(), values.size() / 3);
  observer.observe(values.data() + values.size() / 3, values.size() - values.size() / 3);
  return observer.range();
}

template <int bits>
void check(const Kind& kind, double zeros, std::size_t count, std::uint32_t seed) {
  Random random{seed};
  const std::vector<float> values = draw(kind, count, zeros, random);
  const fat::Interval<double> whole = range_of(fat::MinMax{}, values);
  constexpr int levels = (1 << bits) - 1;
  const auto compare = [&](const char* rule, const fat::Interval<double>& range) {
    BOOST_TEST_CONTEXT(rule << ", " << bits << " bits, " << kind.name << ", " << 100.0 * zeros << " % zeros of "
                            << count << ", seed " << seed << ": [" << range.low << ", " << range.high << "] of ["
                            << whole.low << ", " << whole.high << "]") {
      using Asymmetric = fat::Quantizer<fat::Asymmetric, fat::Bits<bits>>;
      using Signed = fat::Quantizer<fat::Symmetric, fat::Bits<bits>>;
      using Unsigned = fat::Quantizer<fat::Symmetric, fat::Unsigned, fat::Bits<bits>>;
      // beside the rounding of the floats themselves
      const double spare =
          1e-12 * static_cast<double>(count) * std::max(whole.high * whole.high, whole.low * whole.low);
      BOOST_TEST(grid_error<Asymmetric>(values, range) <= 2.0 * grid_error<Asymmetric>(values, whole) + spare);
      if (whole.low < 0.0)
        BOOST_TEST(grid_error<Signed>(values, range) <= 2.0 * grid_error<Signed>(values, whole) + spare);
      else
        BOOST_TEST(grid_error<Unsigned>(values, range) <= 2.0 * grid_error<Unsigned>(values, whole) + spare);
    }
  };
  compare("squared error", range_of(fat::SquaredError{levels}, values));
  compare("entropy", range_of(fat::Entropy{levels}, values));
  for (const double percent : {99.99, 99.0, 60.0})
    compare("percentile", range_of(fat::Percentile{percent, levels}, values));
  fat::MovingAverage average;
  average.observe(values.data(), values.size());
  compare("moving average of one run", average.range());
}

constexpr std::array zero_shares{0.0, 0.3, 0.5, 0.9, 0.99, 0.999};

}  // namespace

BOOST_AUTO_TEST_SUITE(law_observers)

BOOST_AUTO_TEST_CASE(no_range_has_more_than_twice_the_squared_error_of_the_extremes) {
  for (const Kind& kind : kinds())
    for (const double zeros : zero_shares)
      for (const std::size_t count : {1000U, 12000U})
        for (std::uint32_t seed = 1; seed != 4; ++seed) {
          check<8>(kind, zeros, count, seed);
          check<4>(kind, zeros, count, seed);
          check<2>(kind, zeros, count, seed);
        }
}

/// What is without error has no say: zeros, and values on a bound that is not cut.
BOOST_AUTO_TEST_CASE(zeros_change_no_range) {
  for (const Kind& kind : kinds()) {
    Random random{7};
    const std::vector<float> values = draw(kind, 4000, 0.0, random);
    std::vector<float> more = values;
    more.resize(400000, 0.0F);
    const auto same = [&](const auto& rule) {
      const fat::Interval<double> alone = fat::with_zero(range_of(rule, values));
      const fat::Interval<double> found = fat::with_zero(range_of(rule, more));
      BOOST_TEST((found == alone), kind.name << ": [" << found.low << ", " << found.high << "] with zeros, ["
                                             << alone.low << ", " << alone.high << "] without");
    };
    same(fat::SquaredError{});
    same(fat::Entropy{});
    same(fat::Percentile{99.0});
  }
}

BOOST_AUTO_TEST_CASE(of_equal_ranges_the_wider_is_taken) {
  const auto expect_whole = [](const std::vector<float>& values) {
    const fat::Interval<double> whole = range_of(fat::MinMax{}, values);
    BOOST_TEST((range_of(fat::SquaredError{}, values) == whole));
    BOOST_TEST((range_of(fat::Entropy{}, values) == whole));
    BOOST_TEST((fat::with_zero(range_of(fat::Percentile{}, values)) == fat::with_zero(whole)));
  };
  // without error on the whole range: nothing is gained by cutting
  expect_whole({0.0F, 0.0F, 6.0F, 6.0F, 0.0F, 6.0F});
  expect_whole({-1.0F, 1.0F, -1.0F, 0.0F, 1.0F, 1.0F});
  expect_whole({0.0F, 0.0F, 0.0F, 3.0F});
  expect_whole({-5.0F});
  expect_whole({0.0F, 0.0F, 0.0F});
  // one cost for every cut: the whole range, also where a cut at one end is met before
  const fat::Histogram seen = [] {
    fat::Histogram histogram;
    const std::vector<float> values{-2.0F, 1.0F, 3.0F};
    histogram.observe(values.data(), values.size());
    return histogram;
  }();
  BOOST_TEST((fat::cheapest_range(seen, [](const fat::Cut&) { return 1.0; }) == fat::Interval<double>{-2.0, 3.0}));
  const auto only_cut =
      fat::cheapest_range(seen, [](const fat::Cut& cut) { return cut.cuts_low || cut.cuts_high ? 1.0 : 2.0; });
  BOOST_TEST((only_cut == fat::Interval<double>{-2.0 * 63 / 64, 3.0}));
}

BOOST_AUTO_TEST_SUITE_END()
