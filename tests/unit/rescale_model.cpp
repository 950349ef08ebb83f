// Rescaling, equalizing and balancing a Model: what stays the same, what is locked, what is gained; the closed form of balance.
#include <support/small_model.hpp>

#include <fat/model/balance_model.hpp>
#include <fat/model/choose_rescaling.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <functional>
#include <string>
#include <utility>
#include <random>
#include <vector>

namespace {

/// Convolution -> depthwise -> convolution -> convolution with one clamp behind the first two; channels of very
/// different size.
fat::Model chain(const fat::Clamp& clamp, bool branch = false) {
  std::mt19937 random{7};
  fat::test::Builder b{{9, 9, 3}};
  const fat::Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  const auto spread = [&](fat::array<float> values, std::size_t channels) {
    for (std::size_t i = 0; i != values.size(); ++i) values[i] *= std::pow(0.6F, static_cast<float>(i % channels));
    return values;
  };
  const fat::ValueId expand =
      b.add("expand",
            fat::Convolution{
                {}, 1, clamp, fat::test::normal({8, 1, 1, 3}, random, 0.7F), fat::test::normal({8}, random, 0.5F)},
            {0});
  const fat::ValueId dw =
      b.add("dw",
            fat::DepthwiseConvolution{same, 1, clamp, spread(fat::test::normal({1, 3, 3, 8}, random, 0.6F), 8),
                                      fat::test::normal({8}, random, 0.1F)},
            {expand});
  const fat::ValueId project = b.add(
      "project",
      fat::Convolution{{}, 1, {}, fat::test::normal({6, 1, 1, 8}, random, 0.5F), fat::test::normal({6}, random, 0.3F)},
      {dw});
  const fat::ValueId last = b.add(
      "last",
      fat::Convolution{
          {}, 1, {}, spread(fat::test::normal({4, 1, 1, 6}, random, 0.5F), 6), fat::test::normal({4}, random, 0.3F)},
      {project});
  if (branch)
    b.add("sum", fat::Add{},
          {b.add("other",
                 fat::Convolution{
                     {}, 1, {}, fat::test::normal({4, 1, 1, 8}, random, 0.5F), fat::test::normal({4}, random, 0.3F)},
                 {dw}),
           last});
  return b.take();
}

std::vector<float> outputs(const fat::Model& model, const std::vector<float>& images) {
  fat::Threads threads{1};
  return fat::detail::outputs_of(model, images, threads);
}

std::vector<float> some_images(const fat::Model& model) {
  const fat::test::RandomImages source{model.input_extent(), 12};
  std::vector<float> images(12 * model.input_extent().size());
  for (std::size_t i = 0; i != 12; ++i)
    source.load(i, std::span{images}.subspan(i * model.input_extent().size(), model.input_extent().size()));
  return images;
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0.0, largest = 0.0;
  for (std::size_t i = 0; i != a.size(); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
    largest = std::max(largest, static_cast<double>(std::abs(a[i])));
  }
  return worst / largest;
}

/// The noise that the factors lead to, from its definition.
double noise_of(const fat::ChannelNoise& of, const std::vector<double>& s) {
  double d1 = 0.0, d2 = 0.0, sum = 0.0;
  for (std::size_t k = 0; k != s.size(); ++k)
    d1 = std::max(d1, s[k] * of.first[k]), d2 = std::max(d2, of.second[k] / s[k]);
  for (std::size_t k = 0; k != s.size(); ++k)
    sum += (d1 * d1 / 16129.0 * of.made[k] + of.value_step_squared) * of.gain[k] / (s[k] * s[k]) +
           d2 * d2 / 16129.0 * of.read[k] * s[k] * s[k];
  return sum;
}

fat::ChannelNoise random_noise(std::size_t channels, std::mt19937& random) {
  std::lognormal_distribution<double> size{0.0, 1.5};
  fat::ChannelNoise noise;
  for (auto* list : {&noise.first, &noise.second, &noise.made, &noise.gain, &noise.read})
    for (std::size_t k = 0; k != channels; ++k) list->push_back(size(random));
  noise.highest.assign(channels, std::numeric_limits<double>::infinity());
  noise.locked.assign(channels, false);
  return noise;
}

using Way = fat::ModelRescaling (*)(fat::Model&, std::span<const float>, fat::Threads&);
const std::vector<Way> ways{
    [](fat::Model& m, std::span<const float> x, fat::Threads& t) { return fat::rescale_depthwise(m, x, t); },
    [](fat::Model& m, std::span<const float> x, fat::Threads& t) { return fat::equalize_model(m, x, t); },
    [](fat::Model& m, std::span<const float> x, fat::Threads& t) { return fat::balance_model(m, x, t); }};

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_rescale_model)

BOOST_AUTO_TEST_CASE(a_model_computes_what_it_did_but_for_what_relu6_cuts) {
  fat::Threads threads{2};
  for (const fat::Clamp& clamp : {fat::Clamp{}, fat::relu, fat::relu6, fat::Clamp{0.0F, 1.0F}})
    for (const Way way : ways) {
      const fat::Model before = chain(clamp);
      fat::Model after = before;
      const std::vector<float> images = some_images(before);
      const fat::ModelRescaling done = way(after, images, threads);
      BOOST_TEST(!done.pairs.empty());
      BOOST_TEST(relative_distance(outputs(before, images), outputs(after, images)) < 1e-5);
      BOOST_TEST(done.output_rmse < 1e-4);
      bool moved = false;
      for (const fat::PairRescaling& pair : done.pairs)
        for (const double factor : pair.factors) moved |= factor != 1.0;
      BOOST_TEST(moved);
    }
}

BOOST_AUTO_TEST_CASE(factors_reported_are_those_that_were_applied) {
  fat::Threads threads{1};
  const fat::Model before = chain(fat::relu6);
  fat::Model after = before;
  const fat::ModelRescaling done = fat::balance_model(after, some_images(before), threads);
  BOOST_REQUIRE(done.pairs.size() == 3U);
  for (std::size_t k = 0; k != 8; ++k) {
    const float was = std::get<fat::DepthwiseConvolution>(before.nodes[1].op).offset[k];
    const float is = std::get<fat::DepthwiseConvolution>(after.nodes[1].op).offset[k];
    BOOST_TEST(static_cast<double>(is) == static_cast<double>(was) * done.pairs[1].factors[k],
               boost::test_tools::tolerance(1e-5));
  }
}

// Two convolutions read the depthwise layer: both take its factors back.
BOOST_AUTO_TEST_CASE(a_branch_between_the_layers_is_rescaled_on_both_sides) {
  fat::Threads threads{1};
  fat::Model model = chain(fat::relu6, true);
  const std::vector<float> images = some_images(model);
  for (const Way way : ways) {
    fat::Model changed = model;
    way(changed, images, threads);
    BOOST_TEST(relative_distance(outputs(model, images), outputs(changed, images)) < 1e-4);
  }
}

BOOST_AUTO_TEST_CASE(what_every_image_adds_is_absorbed_where_nothing_pads_or_cuts) {
  fat::Threads threads{1};
  const fat::test::RandomImages source{{9, 9, 3}, 6};
  std::vector<float> images(6 * 9 * 9 * 3);
  for (std::size_t i = 0; i != 6; ++i) source.load(i, std::span{images}.subspan(i * 243, 243));
  for (const fat::Clamp& clamp : {fat::relu, fat::relu6, fat::Clamp{0.0F, 5.0F}}) {
    fat::Model model = chain(clamp);
    auto& dw = std::get<fat::DepthwiseConvolution>(model.nodes[1].op);
    for (float& w : dw.kernel) w *= 0.02F;
    dw.offset[2] = 3.0F;                                              // open on every image
    dw.offset[3] = 7.0F;                                              // cut by ReLU6
    std::get<fat::Convolution>(model.nodes[0].op).offset[1] = 50.0F;  // its reader pads
    const std::vector<float> before = outputs(model, images);
    fat::Model without = model;
    fat::EqualizeOptions options;
    options.iterations = 0;
    const fat::ModelRescaling done = fat::equalize_model(model, images, threads, options);
    const auto& pair = done.pairs[1];
    BOOST_TEST(pair.first == "dw");
    BOOST_TEST_REQUIRE(pair.absorbed.size() == 8U);
    BOOST_TEST(pair.absorbed[2] > 1.0);
    BOOST_TEST((pair.absorbed[3] > 5.0) == (clamp == fat::relu));
    BOOST_TEST(done.pairs[0].absorbed.empty());
    const auto now = fat::channel_ranges(model, std::vector<std::size_t>{1}, images, threads)[0];
    BOOST_TEST(std::abs(now[2].low) < 1e-5F);
    const std::vector<float> after = outputs(model, images);
    for (std::size_t i = 0; i != after.size(); ++i) BOOST_TEST(std::abs(after[i] - before[i]) < 1e-4F);
    options.absorb_biases = false;
    for (const auto& each : fat::equalize_model(without, images, threads, options).pairs)
      BOOST_TEST(each.absorbed.empty());
  }
}

BOOST_AUTO_TEST_CASE(balancing_raises_the_weaker_layer_and_is_the_same_for_any_number_of_threads) {
  fat::Model one = chain(fat::relu), two = one;
  const std::vector<float> images = some_images(one);
  fat::Threads single{1}, pair{2};
  const fat::ModelRescaling done = fat::balance_model(one, images, single);
  fat::balance_model(two, images, pair);
  BOOST_TEST((outputs(one, images) == outputs(two, images)));
  for (const fat::PairRescaling& each : done.pairs)
    BOOST_TEST(std::min(each.first_sqnr_after, each.second_sqnr_after) >
               std::min(each.first_sqnr_before, each.second_sqnr_before) - 1.0);
}

BOOST_AUTO_TEST_CASE(balancing_factors_are_never_noisier_than_none_and_near_the_best) {
  std::mt19937 random{3};
  for (int round = 0; round != 20; ++round) {
    fat::ChannelNoise noise = random_noise(2, random);
    noise.value_step_squared = round % 2 == 0 ? 0.0 : 1e-4;
    const double found = noise_of(noise, fat::balancing_factors(noise));
    BOOST_TEST(found <= noise_of(noise, {1.0, 1.0}) * (1.0 + 1e-12));
    double best = std::numeric_limits<double>::infinity();
    for (double a = -4.0; a <= 4.0; a += 0.0625)
      for (double b = -4.0; b <= 4.0; b += 0.0625) best = std::min(best, noise_of(noise, {std::exp2(a), std::exp2(b)}));
    BOOST_TEST(found < 1.03 * best);
  }
  for (int round = 0; round != 20; ++round) {
    fat::ChannelNoise noise = random_noise(50, random);
    for (std::size_t k = 0; k != 50; k += 5) noise.locked[k] = true;
    for (std::size_t k = 1; k < 50; k += 5) noise.highest[k] = 1.25;
    const std::vector<double> factors = fat::balancing_factors(noise);
    BOOST_TEST(noise_of(noise, factors) <= noise_of(noise, std::vector<double>(50, 1.0)) * (1.0 + 1e-12));
    for (std::size_t k = 0; k != 50; k += 5) BOOST_TEST(factors[k] == 1.0);
    for (std::size_t k = 1; k < 50; k += 5) BOOST_TEST(factors[k] <= 1.25);
  }
}

BOOST_AUTO_TEST_CASE(balancing_refuses_lists_of_other_lengths_and_leaves_dead_layers) {
  std::mt19937 random{3};
  fat::ChannelNoise noise = random_noise(3, random);
  BOOST_CHECK_THROW(fat::balancing_factors(noise, 0.0), fat::error);
  for (const double step : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    fat::ChannelNoise bad = noise;
    bad.value_step_squared = step;
    BOOST_CHECK_THROW(fat::balancing_factors(bad), fat::error);
  }
  for (const double wrong : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    fat::ChannelNoise bad = noise;
    bad.made[1] = wrong;
    BOOST_CHECK_THROW(fat::balancing_factors(bad), fat::error);
  }
  noise.gain.pop_back();
  BOOST_CHECK_THROW(fat::balancing_factors(noise), fat::error);
  fat::ChannelNoise dead = random_noise(3, random);
  dead.first.assign(3, 0.0);
  BOOST_TEST((fat::balancing_factors(dead) == std::vector<double>(3, 1.0)));
  BOOST_TEST(fat::balancing_factors({}).empty());
}

BOOST_AUTO_TEST_CASE(depthwise_layers_that_widen_are_rescaled_too) {
  fat::Threads threads{2};
  std::mt19937 random{11};
  for (const std::size_t first : {std::size_t{1}, std::size_t{3}})
    for (const std::size_t second : {std::size_t{1}, std::size_t{2}}) {
      fat::test::Builder b{{6, 6, 4}};
      const fat::Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
      const auto depthwise = [&](std::size_t channels, std::size_t multiplier) {
        auto kernel = fat::test::normal({1, 3, 3, channels}, random, 0.5F);
        for (std::size_t i = 0; i != kernel.size(); ++i) kernel[i] *= std::pow(0.7F, static_cast<float>(i % channels));
        return fat::DepthwiseConvolution{same, multiplier, fat::relu, std::move(kernel),
                                         fat::test::normal({channels}, random, 0.1F)};
      };
      fat::ValueId x = b.add("a", depthwise(4 * first, first), {0});
      x = b.add("b", depthwise(4 * first * second, second), {x});
      b.add("c",
            fat::Convolution{{},
                             1,
                             {},
                             fat::test::normal({3, 1, 1, 4 * first * second}, random, 0.5F),
                             fat::test::normal({3}, random, 0.1F)},
            {x});
      const fat::Model before = b.take();
      const std::vector<float> images = some_images(before);
      for (const Way way : ways) {
        fat::Model after = before;
        BOOST_TEST(!way(after, images, threads).pairs.empty());
        BOOST_TEST(relative_distance(outputs(before, images), outputs(after, images)) < 1e-5);
      }
    }
}

BOOST_AUTO_TEST_CASE(gains_count_what_stands_behind_each_output) {
  std::mt19937 random{2};
  fat::DepthwiseConvolution layer{
      {{1, 1}, {1, 1}, {1, 1}, {}}, 2, {}, fat::test::normal({1, 1, 1, 6}, random, 1.0F), fat::array<float>({6}, 0.0F)};
  const std::vector<double> importance{1.0, 2.0, 3.0, 4.0, 5.0, 6.0};
  const auto energies = fat::detail::input_energies(layer, importance);
  for (std::size_t k = 0; k != 3; ++k) {
    double squares = 0.0;
    for (std::size_t j = 0; j != 2; ++j) {
      const auto w = static_cast<double>(layer.kernel[2 * k + j]);
      squares += importance[2 * k + j] * w * w;
    }
    BOOST_TEST(energies.squares[k] == squares, boost::test_tools::tolerance(1e-12));
    BOOST_TEST(energies.counts[k] == importance[2 * k] + importance[2 * k + 1]);
  }
}

BOOST_AUTO_TEST_CASE(balancing_knows_the_variance_of_each_channel_and_step_of_relu6) {
  fat::Threads threads{1};
  fat::Model model = chain(fat::relu6);
  const std::vector<float> images = some_images(model);
  const std::vector<fat::ValueId> values{0};
  const auto variances = fat::detail::channel_variances(model, values, images, threads)[0];
  for (std::size_t c = 0; c != 3; ++c) {
    double sum = 0.0, squares = 0.0, count = 0.0;
    for (std::size_t i = c; i < images.size(); i += 3)
      sum += static_cast<double>(images[i]), squares += static_cast<double>(images[i] * images[i]), count += 1.0;
    BOOST_TEST(variances[c] == squares / count - sum / count * (sum / count), boost::test_tools::tolerance(1e-5));
  }
  auto& first = std::get<fat::DepthwiseConvolution>(model.nodes[1].op);
  auto& second = std::get<fat::Convolution>(model.nodes[2].op);
  std::vector<double> before(8), variance(8, 0.5), maxima{0.5, 1.0, 2.0, 3.0, 4.0, 4.9, 5.0, 9.0};
  for (std::size_t k = 0; k != 8; ++k) before[k] = static_cast<double>(k + 1);
  const fat::ChannelNoise noise =
      fat::detail::channel_noise(model, {1, 2}, first, second, before, variance, maxima, {});
  for (std::size_t k = 0; k != 8; ++k) {
    BOOST_TEST(noise.made[k] == 9.0 * before[k]);
    BOOST_TEST(noise.read[k] == 6.0 * 0.5);
    BOOST_TEST(noise.locked[k] == (maxima[k] >= 5.0));
    BOOST_TEST(noise.highest[k] == std::max(1.0, 4.0 / maxima[k]));
  }
  BOOST_TEST(noise.value_step_squared == 36.0 / 255.0 / 255.0, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(an_almost_dead_channel_does_not_outgrow_the_others_when_balanced) {
  fat::Threads threads{1};
  for (const fat::Clamp& clamp : {fat::Clamp{}, fat::relu})
    for (const float tiny : {1e-3F, 1e-5F, 3e-7F}) {
      fat::Model model = chain(clamp);
      auto& dw = std::get<fat::DepthwiseConvolution>(model.nodes[1].op);
      for (std::size_t tap = 0; tap != 9; ++tap) dw.kernel[tap * 8 + 2] *= tiny;
      dw.offset[2] = 1.0F;
      const std::vector<float> images = some_images(model);
      const auto largest = [&] {
        double most = 0.0;
        const auto ranges = fat::channel_ranges(model, std::vector<std::size_t>{1}, images, threads);
        for (const auto& range : ranges[0])
          most = std::max({most, static_cast<double>(range.high), static_cast<double>(-range.low)});
        return most;
      };
      const double before = largest();
      fat::balance_model(model, images, threads, {.rounds = 1});
      BOOST_TEST(largest() < 30.0 * before);
    }
}

BOOST_AUTO_TEST_CASE(what_stands_between_two_layers_decides_whether_they_are_a_pair) {
  std::mt19937 random{5};
  const auto network = [&](auto between, bool output_between) {
    fat::test::Builder b{{6, 6, 4}};
    const fat::ValueId dw = b.add("dw",
                                  fat::DepthwiseConvolution{{{3, 3}, {1, 1}, {1, 1}, {}},
                                                            1,
                                                            fat::relu,
                                                            fat::test::normal({1, 3, 3, 4}, random, 0.5F),
                                                            fat::test::normal({4}, random, 0.1F)},
                                  {0});
    const fat::ValueId x = between(b, dw);
    b.add("pw",
          fat::Convolution{
              {}, 1, {}, fat::test::normal({3, 1, 1, 4}, random, 0.5F), fat::test::normal({3}, random, 0.1F)},
          {x});
    fat::Model model = b.take();
    if (output_between) model.output = dw;
    return fat::scalable_pairs(model);
  };
  const auto direct = [](fat::test::Builder&, fat::ValueId x) { return x; };
  const auto padded = [](float value) {
    return [value](fat::test::Builder& b, fat::ValueId x) { return b.add("pad", fat::Pad{{1, 1, 1, 1}, value}, {x}); };
  };
  const auto hard = [](fat::test::Builder& b, fat::ValueId x) { return b.add("swish", fat::HardSwish{}, {x}); };
  BOOST_TEST(network(direct, false).size() == 1U);
  BOOST_TEST(network(direct, true).empty());
  BOOST_TEST((network(padded(0.0F), false) == std::vector<fat::ScalablePair>{{0, 2}}));
  BOOST_TEST(network(padded(0.5F), false).empty());
  BOOST_TEST(network(hard, false).empty());
  // A dense layer on an image reads each channel at every place.
  for (const std::size_t size : {std::size_t{1}, std::size_t{6}}) {
    fat::test::Builder b{{size, size, 4}};
    const fat::ValueId dw = b.add(
        "dw",
        fat::DepthwiseConvolution{
            {}, 1, fat::relu, fat::test::normal({1, 1, 1, 4}, random, 0.5F), fat::test::normal({4}, random, 0.1F)},
        {0});
    b.add("dense",
          fat::Dense{{}, fat::test::normal({3, size * size * 4}, random, 0.5F), fat::test::normal({3}, random, 0.1F)},
          {dw});
    const auto pairs = fat::scalable_pairs(b.take(), true);
    BOOST_TEST(pairs.size() == 1U);
    BOOST_TEST(pairs[0].readers.size() == (size == 1 ? 0U : 1U));
  }
}

/// Factors go through whatever commutes with them, to every reader; the network computes the same afterwards.
BOOST_AUTO_TEST_CASE(factors_pass_concatenations_pools_flattening_and_several_readers) {
  std::mt19937 random{7};
  const auto uneven = [&](std::size_t out, std::size_t in) {
    fat::array<float> weights = fat::test::normal({out, 3, 3, in}, random, 0.5F);
    for (std::size_t i = 0; i != weights.size(); ++i)
      weights[i] *= std::pow(10.0F, -static_cast<float>(i / (9 * in) % 4));
    return fat::Convolution{{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}}, 1, fat::relu, std::move(weights),
                            fat::test::normal({out}, random, 0.1F)};
  };
  const auto dense = [&](std::size_t out, std::size_t in) {
    return fat::Dense{{}, fat::test::normal({out, in}, random, 0.5F), fat::test::normal({out}, random, 0.1F)};
  };
  const auto pixel = [&](std::size_t out, std::size_t in) {
    return fat::Convolution{{}, 1, {}, fat::test::normal({out, 1, 1, in}, random, 0.5F), fat::array<float>{{out}}};
  };
  using Build = std::function<void(fat::test::Builder&)>;
  const std::vector<std::pair<std::size_t, Build>> networks{
      {2,
       [&](fat::test::Builder& b) {
         const fat::ValueId x = b.add("a", uneven(4, 4), {0}), y = b.add("b", uneven(8, 4), {0});
         b.add("last", pixel(3, 12), {b.add("joined", fat::Concat{2}, {x, y})});
       }},
      {1,
       [&](fat::test::Builder& b) {
         const fat::ValueId x = b.add("a", uneven(8, 4), {0});
         const fat::ValueId p = b.add("p", pixel(3, 8), {x}), q = b.add("q", pixel(3, 8), {x});
         b.add("sum", fat::Add{}, {p, q});
       }},
      {1,
       [&](fat::test::Builder& b) {
         const fat::ValueId x = b.add("a", uneven(8, 4), {0});
         b.add("last", dense(5, 8), {b.add("mean", fat::GlobalAveragePool{}, {x}, {1, 1, 8, true})});
       }},
      {1,
       [&](fat::test::Builder& b) {
         const fat::ValueId x = b.add("a", uneven(8, 4), {0});
         const fat::ValueId small = b.add("max", fat::Pool{fat::Pool::Kind::max, {{2, 2}, {2, 2}, {1, 1}, {}}, false}, {x});
         b.add("last", dense(5, 72), {b.add("flat", fat::Reshape{true}, {small}, {1, 1, 72, true})});
       }},
  };
  for (std::size_t n = 0; n != networks.size(); ++n) {
    fat::test::Builder b{{6, 6, 4}};
    networks[n].second(b);
    const fat::Model model = b.take();
    BOOST_TEST(fat::scalable_pairs(model, true).size() == networks[n].first, "network " << n);
    const std::vector<float> images = some_images(model);
    fat::Threads threads{1};
    for (const bool balances : {false, true}) {
      fat::Model changed = model;
      const fat::ModelRescaling done = balances ? fat::balance_model(changed, images, threads)
                                                : fat::equalize_model(changed, images, threads);
      BOOST_TEST(done.pairs.size() == networks[n].first);
      const auto [least, most] = std::minmax_element(done.pairs[0].factors.begin(), done.pairs[0].factors.end());
      BOOST_TEST(*most > 3.0 * *least, "network " << n);
      BOOST_TEST(relative_distance(outputs(model, images), outputs(changed, images)) < 1e-5, "network " << n);
    }
  }
  // What does not commute is named.
  fat::test::Builder b{{6, 6, 4}};
  b.add("last", pixel(3, 4), {b.add("swish", fat::HardSwish{}, {b.add("a", uneven(4, 4), {0})})});
  std::vector<std::string> refused;
  BOOST_TEST(fat::scalable_pairs(b.take(), true, &refused).empty());
  BOOST_TEST(refused == std::vector<std::string>{"'a': 'swish' (hard swish) reads it"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_convolution_with_one_input_a_group_is_depthwise) {
  std::mt19937 random{5};
  fat::test::Builder b{{9, 9, 4}};
  const fat::Window window{{3, 3}, {2, 1}, {1, 1}, {1, 0, 1, 2}};
  const fat::ValueId grouped =
      b.add("grouped",
            fat::Convolution{window, 4, fat::relu, fat::test::normal({8, 3, 3, 1}, random, 1.0F),
                             fat::test::normal({8}, random, 0.1F)},
            {0});
  b.add("last", fat::Convolution{{}, 1, {}, fat::test::normal({3, 1, 1, 8}, random, 0.5F), fat::array<float>{{3}}},
        {grouped});
  const fat::Model model = b.take(), prepared = fat::prepare_model(model);
  BOOST_TEST(fat::scalable_pairs(model).empty());
  BOOST_TEST(fat::scalable_pairs(prepared).size() == 1U);
  BOOST_TEST(std::get<fat::DepthwiseConvolution>(prepared.nodes[0].op).multiplier == 2U);
  const std::vector<float> images = some_images(model);
  BOOST_TEST(relative_distance(outputs(model, images), outputs(prepared, images)) < 1e-6);
}

BOOST_AUTO_TEST_CASE(the_lock_of_the_options_holds_for_every_way) {
  const fat::Model model = fat::prepare_model(chain(fat::relu6));
  const fat::ImageBlock images{some_images(model), 12};
  const std::vector<float> wanted = outputs(model, images.pixels);
  for (const fat::Rescaling way : {fat::Rescaling::depthwise, fat::Rescaling::equalize, fat::Rescaling::balance}) {
    std::size_t locked[2] = {0, 0}, moved[2] = {0, 0};
    for (const bool all : {false, true}) {
      fat::Model changed = model;
      fat::QuantizeOptions options{.rescale = way};
      if (all) options.rescale_lock = 1e-6F;
      for (const fat::PairRescaling& pair : fat::choose_rescaling(changed, images, wanted, options).done.pairs) {
        locked[all] += pair.locked;
        if (pair.second == "last") continue;  // no activation before it
        for (const double factor : pair.factors) moved[all] += factor != 1.0;
      }
    }
    BOOST_TEST(locked[1] > locked[0]);
    BOOST_TEST(moved[1] < moved[0]);
  }
  for (const float wrong : {0.0F, 6.5F, std::numeric_limits<float>::infinity()})
    BOOST_CHECK_THROW(fat::detail::check(fat::QuantizeOptions{.rescale_lock = wrong}), fat::error);
}

BOOST_AUTO_TEST_CASE(layers_of_one_name_are_told_apart) {
  fat::Threads threads{1};
  fat::Model named = chain(fat::relu6), nameless = named;
  for (fat::Node& node : nameless.nodes) node.name = "layer";
  const std::vector<float> images = some_images(named);
  const fat::ModelRescaling a = fat::balance_model(named, images, threads);
  const fat::ModelRescaling b = fat::balance_model(nameless, images, threads);
  BOOST_REQUIRE(a.pairs.size() == b.pairs.size());
  for (std::size_t p = 0; p != a.pairs.size(); ++p) {
    BOOST_TEST(a.pairs[p].node == p);
    BOOST_TEST(a.pairs[p].factors == b.pairs[p].factors);
  }
}

BOOST_AUTO_TEST_CASE(an_error_midway_leaves_the_model_as_it_was) {
  fat::Threads threads{1};
  fat::Model model = chain(fat::relu6);
  const std::vector<float> images = some_images(model), before = outputs(model, images);
  const fat::EqualizeOptions wrong{.limits = {.limit = -1.0F}, .replace_relu6 = true};
  BOOST_CHECK_THROW(fat::equalize_model(model, images, threads, wrong), fat::error);
  BOOST_TEST(fat::relu_bound(fat::clamp_of(model.nodes[0].op)).has_value());
  BOOST_TEST(outputs(model, images) == before);
}

BOOST_AUTO_TEST_CASE(images_that_are_not_numbers_or_not_whole_are_refused) {
  fat::Threads threads{1};
  const fat::Model model = chain(fat::relu6);
  std::vector<float> images = some_images(model);
  const std::vector<float> ragged{images.begin(), images.end() - 1};
  images[17] = std::numeric_limits<float>::quiet_NaN();
  for (const Way way : ways)
    for (const std::vector<float>& bad : {images, ragged, std::vector<float>{}}) {
      fat::Model changed = model;
      BOOST_CHECK_THROW(way(changed, bad, threads), fat::error);
      BOOST_TEST((outputs(changed, some_images(model)) == outputs(model, some_images(model))));
    }
}

BOOST_AUTO_TEST_SUITE_END()
