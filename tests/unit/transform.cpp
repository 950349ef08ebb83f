// Transforms on layers: what they compute, what they refuse.
#include <fat/adapt/span.hpp>
#include <fat/core/array.hpp>
#include <fat/core/span_tensor.hpp>
#include <fat/model/layers.hpp>
#include <fat/quantizer/bias.hpp>
#include <fat/train/shuffle.hpp>
#include <fat/transform/bias_correction.hpp>
#include <fat/transform/equalize.hpp>
#include <fat/transform/fold_batch_norm.hpp>
#include <fat/transform/rescale_depthwise.hpp>
#include <fat/transform/round.hpp>

#include <limits>
#include <numeric>
#include <string_view>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_transform)

namespace {

static_assert(fat::AffineLayer<fat::Convolution> && fat::AffineLayer<fat::DepthwiseConvolution>);
static_assert(fat::AffineLayer<fat::Dense> && !fat::AffineLayer<fat::Pool>);

double uniform(fat::SplitMix64& random) {
  return static_cast<double>(random() >> 11U) / 9007199254740992.0 * 2.0 - 1.0;
}

fat::array<float> noise(const fat::Shape& shape, std::uint64_t seed) {
  fat::array<float> values{shape};
  fat::SplitMix64 random{seed};
  for (float& value : values) value = static_cast<float>(uniform(random));
  return values;
}

fat::DepthwiseConvolution depthwise_layer() {
  fat::DepthwiseConvolution layer;
  layer.window.kernel = {3, 3};
  layer.kernel = noise({1, 3, 3, 4}, 1);
  layer.offset = noise({4}, 2);
  for (std::size_t i = 0; i != layer.kernel.size(); ++i) layer.kernel[i] *= i % 4 == 2 ? 50.0F : 1.0F;
  return layer;
}
fat::Convolution pointwise_layer() {
  fat::Convolution layer;
  layer.kernel = noise({5, 1, 1, 4}, 3);
  layer.offset = noise({5}, 4);
  return layer;
}

/// A 1x1-extent input through both layers: only the middle taps meet it.
std::vector<double> run(fat::DepthwiseConvolution& first, fat::Convolution& second, const std::vector<double>& x) {
  std::vector<double> y;
  for (std::size_t o = 0; o != 5; ++o) {
    double sum = static_cast<double>(second.offset[o]);
    for (std::size_t k = 0; k != 4; ++k) {
      const double middle = static_cast<double>(first.kernel[4 * 4 + k]) * x[k] + static_cast<double>(first.offset[k]);
      sum += static_cast<double>(second.kernel[o * 4 + k]) * std::max(0.0, middle);
    }
    y.push_back(sum);
  }
  return y;
}

}  // namespace

BOOST_AUTO_TEST_CASE(rescaling_model_layers_keeps_their_function) {
  auto first = depthwise_layer();
  auto second = pointwise_layer();
  const std::vector<double> x{0.3, -0.8, 0.5, 1.0};
  const auto before = run(first, second, x);
  const auto result = fat::rescale_depthwise(first, fat::ReLU{}, second, std::vector<float>{});
  const auto after = run(first, second, x);
  for (std::size_t o = 0; o != 5; ++o) BOOST_TEST(after[o] == before[o], boost::test_tools::tolerance(1e-5));
  for (const double threshold : fat::output_thresholds(first))
    BOOST_TEST(threshold == result.control, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(equalizing_balances_both_sides_and_converges) {
  auto first = depthwise_layer();
  auto second = pointwise_layer();
  const std::vector<double> x{0.3, -0.8, 0.5, 1.0};
  const auto before = run(first, second, x);
  fat::equalize(first, fat::ReLU{}, second);
  const auto after = run(first, second, x);
  for (std::size_t o = 0; o != 5; ++o) BOOST_TEST(after[o] == before[o], boost::test_tools::tolerance(1e-5));
  const auto made = fat::output_thresholds(first);
  const auto read = fat::input_thresholds(second);
  for (std::size_t k = 0; k != 4; ++k) BOOST_TEST(made[k] == read[k], boost::test_tools::tolerance(1e-6));
  BOOST_TEST(fat::imbalance(fat::equalize(first, fat::ReLU{}, second)) < 1e-6);
}

BOOST_AUTO_TEST_CASE(relu6_locks_and_limits_when_equalizing) {
  const std::vector<double> thresholds(3, 1.0);
  const std::vector<double> wide(3, 100.0);
  const std::vector<double> maxima{5.95, 3.0, -1.0};
  const auto factors = fat::equalizing_factors(std::span{thresholds}, fat::ReLU6{}, std::span{wide}, maxima);
  BOOST_TEST(factors[0] == 1.0);
  BOOST_TEST(factors[1] == 2.0);
  BOOST_TEST(factors[2] == 10.0);
}

/// An activation of the user's own that commutes with positive factors.
struct LeakyReLU {
  static constexpr bool bounded = false;
};

BOOST_AUTO_TEST_CASE(other_activations_that_commute_are_passed) {
  auto leaky = depthwise_layer(), straight = leaky;
  auto behind_leaky = pointwise_layer(), behind_straight = behind_leaky;
  const auto factors = fat::rescale_depthwise(leaky, LeakyReLU{}, behind_leaky, std::vector<float>{}).factors;
  BOOST_TEST(factors == fat::rescale_depthwise(straight, fat::ReLU{}, behind_straight, std::vector<float>{}).factors);
  BOOST_TEST(fat::imbalance(factors) > 0.1);
  const auto leak = [](double x) { return x > 0.0 ? x : 0.1 * x; };
  for (std::size_t k = 0; k != factors.size(); ++k)
    for (const double x : {-3.0, 0.5})
      BOOST_TEST(leak(factors[k] * x) == factors[k] * leak(x), boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(lock_and_limit_are_in_proportion_to_the_bound) {
  const std::vector<double> thresholds{1.0, 1.0, 0.01}, wide(3, 1e6);
  const std::vector<double> maxima{5.95, 5.8, 2.0};
  for (const double bound : {6.0, 1.0, 20.0}) {
    std::vector<double> scaled = maxima;
    for (double& x : scaled) x *= bound / 6.0;
    const auto six = fat::depthwise_factors(thresholds, fat::ReLU6{}, maxima);
    const auto other = fat::depthwise_factors(thresholds, fat::BoundedReLU{bound}, scaled);
    BOOST_TEST(other.locked[0]);
    BOOST_TEST(!other.locked[1]);
    BOOST_TEST(other.factors[2] == 3.0, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(other.factors[2] == six.factors[2], boost::test_tools::tolerance(1e-6));
    const auto equal = fat::equalizing_factors(thresholds, fat::BoundedReLU{bound}, wide, scaled);
    BOOST_TEST(equal[0] == 1.0);
    BOOST_TEST(equal[2] == 3.0, boost::test_tools::tolerance(1e-6));
  }
  BOOST_CHECK_THROW(fat::depthwise_factors(thresholds, fat::BoundedReLU{0.0}, maxima), fat::error);
}

BOOST_AUTO_TEST_CASE(the_margin_of_the_lock_is_kept_on_request) {
  const std::vector<double> thresholds{1.0, 0.01};
  const std::vector<double> maxima{6.5, 2.0};
  const auto wide = fat::depthwise_factors(std::span{thresholds}, fat::ReLU6{}, maxima);
  const auto narrow = fat::depthwise_factors(std::span{thresholds}, fat::ReLU6{}, maxima, {.limit = 5.9F});
  BOOST_TEST(wide.factors[1] == 3.0);
  BOOST_TEST(narrow.factors[1] == 2.95, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(wide.locked[0]);
  BOOST_TEST(wide.control == 1.0);
}

BOOST_AUTO_TEST_CASE(dead_filters_keep_their_scale) {
  const std::vector<double> thresholds{0.0, 1e-20, 1.0, 3.0};
  const auto result = fat::depthwise_factors(std::span{thresholds}, fat::Identity{}, {});
  BOOST_TEST(result.control == 2.0);
  BOOST_TEST(result.factors[0] == 1.0);
  BOOST_TEST(result.factors[1] == 1.0);
  BOOST_TEST(result.factors[2] == 2.0);
  const std::vector<double> nothing(3, 0.0);
  BOOST_TEST(fat::depthwise_factors(std::span{nothing}, fat::Identity{}, {}).control == 0.0);
}

BOOST_AUTO_TEST_CASE(a_weak_channel_with_a_bias_does_not_set_the_step_of_the_layer) {
  // Tiny weights and a negative bias: never positive, so that no maximum limits the factor of a million.
  const auto weak = [] {
    auto layer = depthwise_layer();
    for (std::size_t tap = 0; tap != 9; ++tap) layer.kernel[tap * 4 + 1] *= 1e-5F;
    layer.offset[1] = -1.0F;
    return layer;
  };
  const std::vector<double> maxima{3.0, -0.9, 3.0, 3.0};
  const auto looked_at = [&](auto activation, auto way) {
    auto first = weak();
    auto second = pointwise_layer();
    for (std::size_t o = 0; o != 5; ++o) second.kernel[o * 4 + 1] *= 1e6F;  // what equalizing answers to
    const std::vector<double> factors = way(first, activation, second);
    BOOST_TEST(factors[1] > 100.0);
    double largest = 0.0;
    for (const float w : first.kernel) largest = std::max(largest, std::abs(static_cast<double>(w)));
    const double step = largest / 127.0, input_step = 1.0 / 32.0 / 255.0;
    BOOST_TEST(fat::safe_weight_step(static_cast<double>(first.offset[1]), input_step, step) == step);
  };
  const auto rescale = [&](auto& a, auto activation, auto& b) {
    return fat::rescale_depthwise(a, activation, b, maxima).factors;
  };
  const auto equalize = [&](auto& a, auto activation, auto& b) { return fat::equalize(a, activation, b, maxima); };
  looked_at(fat::ReLU{}, rescale);
  looked_at(fat::ReLU6{}, rescale);
  looked_at(fat::ReLU{}, equalize);
  looked_at(fat::ReLU6{}, equalize);
}

BOOST_AUTO_TEST_CASE(unfit_layers_are_refused) {
  auto first = depthwise_layer();
  auto second = pointwise_layer();
  const std::vector<float> maxima(4, 1.0F);
  BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU6{}, second, std::vector<float>{}), fat::error);
  BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU6{}, second, std::vector<float>(5)), fat::error);
  const std::vector<float> unknown(4, std::numeric_limits<float>::quiet_NaN());
  BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU6{}, second, unknown), fat::error);
  for (const float limit : {0.0F, 60.0F})
    BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU6{}, second, maxima, {.limit = limit}), fat::error);
  const std::vector<double> negative{1.0, -1.0, 1.0, 1.0};
  BOOST_CHECK_THROW(fat::rescale_channels(first, second, negative), fat::error);
  const std::vector<double> zero{1.0, 0.0, 1.0, 1.0};
  BOOST_CHECK_THROW(fat::rescale_channels(first, second, zero), fat::error);
  BOOST_CHECK_THROW(fat::rescale_channels(first, second, std::span{zero}.first(3)), fat::error);
  auto narrow = pointwise_layer();
  narrow.kernel = noise({5, 1, 1, 3}, 5);
  BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU{}, narrow, maxima), fat::error);
  auto unbiased = depthwise_layer();
  unbiased.offset = fat::array<float>{fat::Shape{3}};
  BOOST_CHECK_THROW(fat::rescale_depthwise(unbiased, fat::ReLU{}, second, maxima), fat::error);
  first.offset[2] = 3e38F;
  const std::vector<double> doubled(4, 2.0);
  BOOST_CHECK_THROW(fat::rescale_channels(first, second, doubled), fat::error);
  BOOST_TEST(first.offset[2] == 3e38F);
  const std::vector<double> minima{0.0, 0.0, 3e38, 0.0};
  for (float& w : second.kernel) w *= 1e3F;
  BOOST_CHECK_THROW(fat::absorb_bias(first, second, minima), fat::error);
  BOOST_TEST(first.offset[2] == 3e38F);
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const std::vector<double> some{1.0, wrong}, others(2, 1.0);
    BOOST_CHECK_THROW(fat::depthwise_factors(some, fat::ReLU{}, {}), fat::error);
    BOOST_CHECK_THROW(fat::equalizing_factors(some, fat::ReLU{}, others, {}), fat::error);
    BOOST_CHECK_THROW(fat::equalizing_factors(others, fat::ReLU{}, some, {}), fat::error);
  }
  first.kernel[3] = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK_THROW(fat::rescale_depthwise(first, fat::ReLU{}, second, maxima), fat::error);
}

BOOST_AUTO_TEST_CASE(numbers_that_would_spoil_a_layer_are_refused_before_anything_changes) {
  const auto first = depthwise_layer();
  const auto second = pointwise_layer();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> maxima{1.0F, nan, 2.0F, 1.0F}, none;
  auto a = first;
  auto b = second;
  BOOST_CHECK_THROW(fat::rescale_depthwise(a, fat::ReLU{}, b, maxima, {.keep_range = true}), fat::error);
  b.kernel[3] = nan;
  BOOST_CHECK_THROW(fat::rescale_depthwise(a, fat::ReLU{}, b, none), fat::error);
  b = second;
  a.offset[3] = nan;
  BOOST_CHECK_THROW(fat::rescale_depthwise(a, fat::ReLU{}, b, none), fat::error);
  a = first;
  b.kernel[1] = 1e-10F;
  const std::vector<double> huge{1.0, 1e37, 1.0, 1.0}, slight{1.0, 1e20, 1.0, 1.0};
  BOOST_CHECK_THROW(fat::rescale_channels(a, b, huge), fat::error);
  BOOST_TEST((a.kernel == first.kernel));
  fat::rescale_channels(a, b, slight);
  BOOST_TEST(b.kernel[1] > 0.0F);

  a = first;
  const std::vector<double> wanted{1.0, 2.0, 3.0, std::numeric_limits<double>::infinity()}, found(4, 0.0);
  BOOST_CHECK_THROW(fat::correct_bias(a, wanted, found), fat::error);
  BOOST_TEST((a.offset == first.offset));

  const std::vector<float> units{1e19F, 0.4F, -2.6F};
  std::vector<std::int32_t> codes(3);
  fat::round_preserving_sum<float>(units, {}, codes);
  BOOST_TEST(codes == (std::vector<std::int32_t>{127, 1, -2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(normalizations_that_would_spoil_weights_are_refused_by_parameter_and_channel) {
  struct Norm {
    std::vector<float> values[4]{{1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}};
    const auto& gamma() const { return values[0]; }
    const auto& beta() const { return values[1]; }
    const auto& mean() const { return values[2]; }
    const auto& variance() const { return values[3]; }
    double epsilon() const { return epsilon_value; }
    double epsilon_value = 1e-3;
  };
  const auto refused = [](const Norm& norm, std::string_view words) {
    auto layer = pointwise_layer();
    const auto before = layer;
    BOOST_CHECK_EXCEPTION(fat::fold_batch_norm(layer, norm, "'stem'"), fat::error, [words](const fat::error& problem) {
      BOOST_TEST_INFO(problem.what());
      return std::string_view{problem.what()}.find(words) != std::string_view::npos;
    });
    BOOST_TEST((layer.kernel == before.kernel && layer.offset == before.offset));
  };
  const char* const names[] = {"'stem': gamma of channel 3", "'stem': beta of channel 3", "'stem': mean of channel 3",
                               "'stem': variance of channel 3"};
  for (std::size_t which = 0; which != 4; ++which)
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      Norm norm;
      norm.values[which][3] = bad;
      refused(norm, names[which]);
    }
  Norm norm;
  norm.values[3][2] = -1.0F;
  refused(norm, "variance + epsilon of channel 2");
  norm = {};
  norm.epsilon_value = std::numeric_limits<double>::quiet_NaN();
  refused(norm, "epsilon is nan");
  norm = {};
  norm.values[1].pop_back();
  refused(norm, "5, 4, 5 and 5 values");
  for (auto& each : (norm = {}).values) each.pop_back();
  refused(norm, "4 channels, the layer 5");
}

BOOST_AUTO_TEST_CASE(grouped_and_depthwise_readers_scale_the_right_inputs) {
  fat::Convolution grouped;
  grouped.groups = 2;
  grouped.kernel = fat::array<float>{{4, 1, 1, 2}, 1.0F};
  grouped.offset = fat::array<float>{fat::Shape{4}};
  auto first = depthwise_layer();
  const std::vector<double> factors{1.0, 2.0, 4.0, 8.0};
  fat::rescale_channels(first, grouped, factors);
  const std::vector<float> expected{1.0F, 0.5F, 1.0F, 0.5F, 0.25F, 0.125F, 0.25F, 0.125F};
  BOOST_TEST(std::vector<float>(grouped.kernel.begin(), grouped.kernel.end()) == expected,
             boost::test_tools::per_element());
  fat::DepthwiseConvolution reader;
  reader.multiplier = 2;
  reader.kernel = fat::array<float>{{1, 1, 1, 8}, 1.0F};
  reader.offset = fat::array<float>{fat::Shape{8}};
  fat::rescale_channels(first, reader, factors);
  const std::vector<float> doubled{1.0F, 1.0F, 0.5F, 0.5F, 0.25F, 0.25F, 0.125F, 0.125F};
  BOOST_TEST(std::vector<float>(reader.kernel.begin(), reader.kernel.end()) == doubled,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(absorbed_biases_keep_the_function_where_relu_is_open) {
  auto first = depthwise_layer();
  auto second = pointwise_layer();
  for (float& b : first.offset) b += 100.0F;
  const std::vector<double> x{0.3, -0.8, 0.5, 1.0};
  const auto before = run(first, second, x);
  const std::vector<double> minima{50.0, 50.0, -3.0, 20.0};
  const auto shift = fat::absorb_bias(first, second, minima);
  BOOST_TEST(shift[2] == 0.0);
  const auto after = run(first, second, x);
  for (std::size_t o = 0; o != 5; ++o) BOOST_TEST(after[o] == before[o], boost::test_tools::tolerance(1e-4));
  BOOST_CHECK_THROW(fat::absorb_bias(first, second, std::span{minima}.first(2)), fat::error);
}

BOOST_AUTO_TEST_CASE(empirical_correction_moves_biases_by_the_difference_of_means) {
  auto layer = pointwise_layer();
  const auto before = layer.offset;
  const std::vector<double> wanted{1.0, 0.0, 0.0, 0.0, -2.0};
  const std::vector<double> found(5, 0.5);
  BOOST_TEST(fat::correct_bias(layer, wanted, found) == 2.5);
  for (std::size_t c = 0; c != 5; ++c)
    BOOST_TEST(layer.offset[c] == before[c] + static_cast<float>(wanted[c] - 0.5), boost::test_tools::tolerance(1e-5F));
  BOOST_CHECK_THROW(fat::correct_bias(layer, wanted, std::span{found}.first(4)), fat::error);
}

BOOST_AUTO_TEST_CASE(analytic_correction_agrees_with_the_mean_it_predicts) {
  auto layer = pointwise_layer();
  auto rounded = layer.kernel;
  for (float& w : rounded) w = std::nearbyint(w * 8.0F) / 8.0F;
  const std::vector<double> means{1.0, 2.0, -0.5, 3.0};
  const auto before = layer.offset;
  fat::correct_bias_by_weights(layer, rounded, means);
  for (std::size_t o = 0; o != 5; ++o) {
    double original = static_cast<double>(before[o]);
    double quantized = static_cast<double>(layer.offset[o]);
    for (std::size_t i = 0; i != 4; ++i) {
      original += static_cast<double>(layer.kernel[o * 4 + i]) * means[i];
      quantized += static_cast<double>(rounded[o * 4 + i]) * means[i];
    }
    BOOST_TEST(quantized == original, boost::test_tools::tolerance(1e-5));
  }
}

BOOST_AUTO_TEST_CASE(the_mean_of_a_clipped_normal_is_that_of_its_samples) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double high : {6.0, 1.0, infinity}) {
    double sum = 0.0;
    double weight = 0.0;
    for (double z = -9.0; z <= 9.0; z += 1e-4) {
      const double density = std::exp(-0.5 * z * z);
      sum += density * std::min(std::max(0.7 + 1.5 * z, 0.0), high);
      weight += density;
    }
    BOOST_TEST(fat::clipped_normal_mean(0.7, 1.5, 0.0, high) == sum / weight, boost::test_tools::tolerance(1e-6));
  }
  BOOST_TEST(fat::clipped_normal_mean(0.7, 1.5, -infinity, infinity) == 0.7, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(fat::clipped_normal_mean(-2.0, 0.0, 0.0, 6.0) == 0.0);
}

BOOST_AUTO_TEST_CASE(sum_preserving_codes_have_the_rounded_sum) {
  fat::SplitMix64 random{7};
  for (int trial = 0; trial != 500; ++trial) {
    std::vector<double> units(9);
    for (double& unit : units) unit = 100.0 * uniform(random);
    std::vector<std::int32_t> codes(9);
    fat::round_preserving_sum(std::span<const double>{units}, {}, codes);
    const double sum = std::accumulate(units.begin(), units.end(), 0.0);
    BOOST_TEST(std::accumulate(codes.begin(), codes.end(), 0) == static_cast<int>(std::nearbyint(sum)));
    for (std::size_t i = 0; i != 9; ++i) BOOST_TEST(std::abs(codes[i] - units[i]) < 1.0);
  }
}

BOOST_AUTO_TEST_CASE(sum_preserving_codes_stay_within_their_limits) {
  const std::vector<double> units{126.9, 127.4, 0.4, 0.4, 0.3, -127.0};
  std::vector<std::int32_t> codes(6);
  fat::round_preserving_sum(std::span<const double>{units}, {-127, 127}, codes);
  for (const std::int32_t code : codes) BOOST_TEST((code >= -127 && code <= 127));
  BOOST_TEST(std::accumulate(codes.begin(), codes.end(), 0) == 128);
  const std::vector<double> wrong{std::numeric_limits<double>::infinity()};
  BOOST_CHECK_THROW(fat::round_preserving_sum(std::span<const double>{wrong}, {}, std::span{codes}.first(1)),
                    fat::error);
}

BOOST_AUTO_TEST_CASE(learned_codes_are_never_worse_than_nearest_and_often_best) {
  fat::SplitMix64 random{11};
  std::size_t best_found = 0;
  constexpr std::size_t n = 6;
  for (int trial = 0; trial != 50; ++trial) {
    std::vector<double> units(n);
    for (double& unit : units) unit = 20.0 * uniform(random);
    std::vector<double> moments(n * n);
    for (int sample = 0; sample != 12; ++sample) {
      std::vector<double> x(n);
      for (double& value : x) value = 0.8 + uniform(random);
      for (std::size_t i = 0; i != n * n; ++i) moments[i] += x[i / n] * x[i % n];
    }
    std::vector<std::int32_t> codes(n);
    for (std::size_t i = 0; i != n; ++i) codes[i] = static_cast<std::int32_t>(std::nearbyint(units[i]));
    const double nearest = fat::rounding_error<double>(units, moments, codes);
    std::vector<double> slope(n);
    fat::round_to_data<double>(units, moments, {}, codes, slope);
    const double learned = fat::rounding_error<double>(units, moments, codes);
    BOOST_TEST(learned <= nearest);
    double best = nearest;
    for (std::size_t choice = 0; choice != (1U << n); ++choice) {
      std::vector<std::int32_t> tried(n);
      for (std::size_t i = 0; i != n; ++i)
        tried[i] = static_cast<std::int32_t>(std::floor(units[i])) + static_cast<std::int32_t>(choice >> i & 1U);
      best = std::min(best, fat::rounding_error<double>(units, moments, tried));
    }
    best_found += learned <= best * 1.05 ? 1 : 0;
  }
  BOOST_TEST(best_found >= 15U);
}

BOOST_AUTO_TEST_CASE(learned_codes_stay_next_to_their_units_where_an_input_never_moved) {
  fat::SplitMix64 random{13};
  constexpr std::size_t n = 6;
  for (int trial = 0; trial != 20; ++trial) {
    std::vector<float> units(n), moments(n * n), slope(n);
    for (float& unit : units) unit = static_cast<float>(20.0 * uniform(random));
    for (std::size_t i = 3; i != n; ++i) moments[i * n + i] = 1.0F;
    moments[0] = -1e-9F;  // a variance of 0 but for rounding
    std::vector<std::int32_t> codes(n);
    for (std::size_t i = 0; i != n; ++i) codes[i] = static_cast<std::int32_t>(std::nearbyint(units[i]));
    fat::round_to_data<float>(units, moments, {-127, 127}, codes, slope);
    for (std::size_t i = 0; i != n; ++i) BOOST_TEST(std::abs(static_cast<float>(codes[i]) - units[i]) < 1.0F);
  }
}

BOOST_AUTO_TEST_CASE(numbers_that_are_none_are_refused_before_anything_changes) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> t{1.0, 0.5}, m{2.0, 3.0}, broken{2.0, nan};
  BOOST_CHECK_THROW(fat::equalizing_factors(t, fat::ReLU6{}, t, broken), fat::error);
  BOOST_CHECK_THROW(fat::depthwise_factors(t, fat::ReLU6{}, broken), fat::error);
  for (const float wrong : {0.0F, -1.0F, no_number}) {
    BOOST_CHECK_THROW(fat::equalizing_factors(t, fat::ReLU6{}, t, m, {.limit = wrong}), fat::error);
    BOOST_CHECK_THROW(fat::depthwise_factors(t, fat::ReLU6{}, m, {.lock = wrong}), fat::error);
  }
  fat::Dense first{{}, fat::array<float>({2, 1}, 1.0F), fat::array<float>({2}, 1.0F)};
  fat::Dense second{{}, fat::array<float>({1, 2}, 1.0F), fat::array<float>({1}, 1.0F)};
  for (const double factor : {1e200, 1e-60})
    BOOST_CHECK_THROW(fat::rescale_channels(first, second, std::vector<double>{2.0, factor}), fat::error);
  for (const double minimum : {nan, infinity, -infinity})
    BOOST_CHECK_THROW(fat::absorb_bias(first, second, std::vector<double>{1.0, minimum}), fat::error);
  for (const float w : {first.kernel[0], first.offset[0], second.kernel[0], second.offset[0]}) BOOST_TEST(w == 1.0F);
}

BOOST_AUTO_TEST_CASE(channels_dead_on_either_side_are_not_equalized) {
  const std::vector<double> t{1.0, 0.0, 0.25}, u{1.0, 1.0, 0.0};
  const std::vector<double> factors = fat::equalizing_factors(t, fat::ReLU{}, u, {});
  BOOST_TEST((factors == std::vector<double>{1.0, 1.0, 1.0}));
}

BOOST_AUTO_TEST_SUITE_END()
