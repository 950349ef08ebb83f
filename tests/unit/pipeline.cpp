// The pipeline of quantize_model: rescaling, bias correction and rounding, alone and composed, on small networks.
#include <support/small_model.hpp>

#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace {

using fat::test::RandomImages;
using fat::test::small_model;

/// The small network with a depthwise layer whose channels differ by a factor of a thousand: the case for rescaling.
fat::Model spread_model() {
  fat::Model model = small_model();
  auto& dw = std::get<fat::DepthwiseConvolution>(model.nodes[1].op);
  auto& pw = std::get<fat::Convolution>(model.nodes[2].op);
  const std::size_t channels = dw.offset.size();
  for (std::size_t i = 0; i != dw.kernel.size(); ++i) dw.kernel[i] *= std::pow(0.4F, static_cast<float>(i % channels));
  for (std::size_t c = 0; c != channels; ++c) dw.offset[c] *= std::pow(0.4F, static_cast<float>(c));
  for (std::size_t i = 0; i != pw.kernel.size(); ++i) pw.kernel[i] *= std::pow(2.5F, static_cast<float>(i % channels));
  return model;
}

fat::QuantizeOptions scalar_options() {
  fat::QuantizeOptions options;
  options.scheme = fat::Scheme::symmetric;
  options.granularity = fat::Granularity::scalar;
  options.calibration = 24;
  return options;
}

double rmse_of(const fat::Model& model, const fat::QuantizedModel& quantized, const RandomImages& images) {
  std::vector<std::size_t> all(images.size());
  for (std::size_t i = 0; i != all.size(); ++i) all[i] = i;
  const fat::ImageBlock block = fat::load_block(images, all, model.input_extent().size(), all.size());
  return fat::simulated_rmse(quantized, block, fat::float_outputs(model, block, 1), 1);
}

struct Case {
  fat::Model model = spread_model();
  RandomImages images{model.input_extent(), 24};
  fat::QuantizeReport report;
  double rmse(const fat::QuantizeOptions& options) {
    report = {};
    return rmse_of(model, fat::quantize_model(model, images, options, {}, &report), images);
  }
};

bool says(const fat::QuantizeReport& report, const std::string& words) {
  return std::any_of(report.messages.begin(), report.messages.end(),
                     [&](const std::string& line) { return line.find(words) != std::string::npos; });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unit_pipeline)

BOOST_AUTO_TEST_CASE(rescaling_keeps_the_function_and_helps_one_step_for_a_tensor) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  const double before = c.rmse(options);
  options.rescale = fat::Rescaling::depthwise;
  const double after = c.rmse(options);
  BOOST_TEST(after < 0.7 * before);
  BOOST_REQUIRE(c.report.rescaling.done.pairs.size() == 1U);
  BOOST_TEST(c.report.rescaling.done.pairs[0].first == "dw");
  BOOST_TEST(c.report.rescaling.done.output_rmse < 1e-5);
  BOOST_TEST(says(c.report, "rescale: depthwise changed 1 pairs"));
  BOOST_TEST(!says(c.report, "seldom helps"));
  options.granularity = fat::Granularity::per_channel;
  c.rmse(options);
  BOOST_TEST(says(c.report, "seldom helps"));
}

BOOST_AUTO_TEST_CASE(a_correction_looks_at_as_many_images_as_its_memory_holds) {
  const fat::Model model = spread_model();
  const std::size_t image = fat::LayerwiseRunner::peak_bytes(model);
  BOOST_TEST(fat::correction_images(model, 100) == 64U);
  BOOST_TEST(fat::correction_images(model, 10) == 10U);
  BOOST_TEST(fat::correction_images(model, 100, {.memory = 20 * image}) == 12U);  // eight more are compared
  BOOST_TEST(fat::correction_images(model, 100, {.memory = 1}) == 1U);
}

BOOST_AUTO_TEST_CASE(automatic_rescaling_takes_the_best_of_its_trials) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.rescale = fat::Rescaling::automatic;
  c.rmse(options);
  const auto trials = c.report.rescaling.trials;
  BOOST_REQUIRE(trials.size() == 4U);
  BOOST_TEST((c.report.rescaling.way != fat::Rescaling::none));
  double best = 0.0;
  for (const fat::RescalingTrial& trial : trials)
    if (trial.way == c.report.rescaling.way) best = trial.applied_rmse.value();
  BOOST_TEST(best > 0.0);
  for (const fat::RescalingTrial& trial : trials) {
    BOOST_TEST(trials[0].output_rmse <= trial.output_rmse);
    // What was not applied was no better on images left out, what was applied no better on all.
    BOOST_TEST(best <= trial.applied_rmse.value_or(trial.output_rmse));
  }
  for (const fat::Rescaling way :
       {fat::Rescaling::none, fat::Rescaling::depthwise, fat::Rescaling::equalize, fat::Rescaling::balance})
    BOOST_TEST(std::count_if(trials.begin(), trials.end(),
                             [&](const fat::RescalingTrial& trial) { return trial.way == way; }) == 1);
  // The result is that of the way taken, when it is asked for.
  const double automatic = c.rmse(options);
  options.rescale = c.report.rescaling.way;
  BOOST_TEST(c.rmse(options) == automatic, boost::test_tools::tolerance(1e-9));
}

// Few images that differ: what is best on those left out is often not what is best on all.
BOOST_AUTO_TEST_CASE(automatic_rescaling_keeps_the_best_of_what_it_applied) {
  const fat::Model model = small_model();
  fat::QuantizeOptions options = scalar_options();
  options.granularity = fat::Granularity::per_channel;  // no way is much better than another
  options.rescale = fat::Rescaling::automatic;
  std::size_t later = 0, applied = 0;
  for (std::uint32_t seed = 1; seed != 121; ++seed) {
    const RandomImages images{model.input_extent(), 2, seed};
    const std::vector<std::size_t> all{0, 1};
    const fat::ImageBlock block = fat::load_block(images, all, model.input_extent().size(), 2);
    const std::vector<float> wanted = fat::float_outputs(model, block, 1);
    fat::Model changed = model;
    const fat::RescalingChoice choice = fat::choose_rescaling(changed, block, wanted, options);
    double best = 0.0, least = std::numeric_limits<double>::infinity();
    for (const fat::RescalingTrial& trial : choice.trials) {
      if (trial.way == choice.way) best = trial.applied_rmse.value();
      least = std::min(least, trial.applied_rmse.value_or(least));
      applied += trial.applied_rmse ? 1 : 0;
    }
    BOOST_TEST(best == least);
    later += choice.way != choice.trials.front().way ? 1 : 0;
    // the network is that of the way taken
    const auto ranges = fat::calibrate(changed, block, all, fat::MinMax{}, 1);
    const fat::QuantizedModel quantized =
        fat::encode_model(changed, fat::model_grids(changed, ranges, options), options);
    BOOST_TEST(fat::simulated_rmse(quantized, block, wanted, 1) == best, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(choice.done.pairs.empty() == (choice.way == fat::Rescaling::none));
  }
  BOOST_TEST(later >= 2U);     // else the first would do
  BOOST_TEST(applied > 125U);  // more than one a case
}

// Distances are those of the scores: probabilities would hide what softmax flattens.
BOOST_AUTO_TEST_CASE(a_final_softmax_changes_no_choice) {
  Case plain, ending;
  const fat::ValueId scores = ending.model.output;
  ending.model.values.push_back({"probabilities", ending.model.values[scores].extent});
  ending.model.output = ending.model.values.size() - 1;
  ending.model.nodes.push_back({"softmax", fat::Softmax{}, {scores}, ending.model.output});
  fat::QuantizeOptions options = scalar_options();
  options.rescale = fat::Rescaling::automatic;
  options.bias_correction = fat::BiasCorrection::automatic;
  options.keep_float = {plain.model.values[scores].name};
  const double without = plain.rmse(options);
  options.keep_float.push_back("probabilities");
  BOOST_TEST(ending.rmse(options) == without);
  const auto &a = plain.report.rescaling.trials, &b = ending.report.rescaling.trials;
  BOOST_REQUIRE(a.size() == b.size());
  for (std::size_t t = 0; t != a.size(); ++t) {
    BOOST_TEST((a[t].way == b[t].way));
    BOOST_TEST(a[t].output_rmse == b[t].output_rmse);
  }
  BOOST_TEST(fat::before_softmax(ending.model).output == scores);
  BOOST_TEST(fat::before_softmax(ending.model).nodes.size() == plain.model.nodes.size());
}

// The figures of a trial come from the half of the images that it did not see.
BOOST_AUTO_TEST_CASE(ways_of_rescaling_are_measured_on_images_left_out) {
  Case c;
  const std::vector<std::size_t> all = fat::draw_indices(24, 24, 0);
  const std::size_t size = c.model.input_extent().size();
  fat::ImageBlock block = fat::load_block(c.images, all, size, 24);
  fat::QuantizeOptions options = scalar_options();
  options.rescale = fat::Rescaling::automatic;
  const auto trials = [&] {
    fat::Model changed = c.model;
    return fat::choose_rescaling(changed, block, fat::float_outputs(c.model, block, 1), options).trials;
  };
  const auto before = trials();
  // Constant images in the second half: no distance is left but that of one output.
  std::fill(block.pixels.begin() + static_cast<std::ptrdiff_t>(12 * size), block.pixels.end(), 0.0F);
  const auto after = trials();
  BOOST_REQUIRE(before.size() == 4U);
  BOOST_REQUIRE(after.size() == 4U);
  for (const fat::RescalingTrial& trial : after) BOOST_TEST(trial.output_rmse != before[0].output_rmse);
  fat::Model model = c.model;
  for (const std::size_t some : {std::size_t{6}, std::size_t{12}}) {
    fat::ImageBlock seen{{block.pixels.begin(), block.pixels.begin() + static_cast<std::ptrdiff_t>(12 * size)}, 12};
    const fat::ImageBlock unseen = fat::load_block(c.images, std::span{all}.last(12), size, 12);
    seen.pixels.resize(some * size), seen.count = some;
    fat::Threads threads{1};
    fat::Model changed = c.model;
    fat::rescale_depthwise(changed, seen.pixels, threads);
    std::vector<std::size_t> indices(some);
    for (std::size_t i = 0; i != some; ++i) indices[i] = i;
    const auto ranges = fat::calibrate(changed, seen, indices, fat::MinMax{}, 1);
    const auto quantized = fat::encode_model(changed, fat::model_grids(changed, ranges, options), options);
    const double rmse = fat::simulated_rmse(quantized, unseen, fat::float_outputs(c.model, unseen, 1), 1);
    const auto depthwise = std::find_if(before.begin(), before.end(), [](const fat::RescalingTrial& trial) {
      return trial.way == fat::Rescaling::depthwise;
    });
    BOOST_TEST((std::abs(rmse - depthwise->output_rmse) < 1e-9) == (some == 12));
  }
  block = {};
  BOOST_CHECK_THROW(fat::choose_rescaling(model, block, {}, options), fat::error);
  const RandomImages none{c.model.input_extent(), 0};
  for (const fat::Rescaling way : {fat::Rescaling::none, fat::Rescaling::depthwise, fat::Rescaling::automatic}) {
    options.rescale = way;
    BOOST_CHECK_THROW(fat::quantize_model(c.model, none, options), fat::error);
  }
}

BOOST_AUTO_TEST_CASE(the_steps_one_by_one_are_the_pipeline) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.rescale = fat::Rescaling::depthwise;
  options.bias_correction = fat::BiasCorrection::on;
  for (const fat::WeightRounding rounding :
       {fat::WeightRounding::nearest, fat::WeightRounding::sum, fat::WeightRounding::learned}) {
    options.rounding = rounding;
    fat::Threads threads{1};
    const std::vector<std::size_t> chosen = fat::draw_indices(c.images.size(), options.calibration, options.seed);
    fat::Model network = fat::prepare_model(c.model);
    const fat::ImageBlock block = fat::load_block(c.images, chosen, network.input_extent().size(), 64);
    fat::rescale_depthwise(network, block.pixels, threads);
    const auto ranges = fat::calibrate(network, c.images, chosen, fat::MinMax{}, 1);
    const fat::ModelGrids grids = fat::model_grids(network, ranges, options);
    const fat::Model reference = network;
    fat::correct_model(network, reference, grids, block.pixels, threads, {.rounding = rounding});
    const fat::QuantizedModel alone = fat::encode_model(network, grids, options);
    const fat::QuantizedModel whole = fat::quantize_model(c.model, c.images, options);
    BOOST_TEST((alone.weights == whole.weights));
    BOOST_TEST((alone.activations == whole.activations));
  }
}

BOOST_AUTO_TEST_CASE(learned_rounding_keeps_means_itself_where_no_bias_does) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.bits = 4;
  options.granularity = fat::Granularity::per_channel;
  double nearest = 0.0, learned = 0.0;
  for (options.seed = 0; options.seed != 4; ++options.seed) {
    options.rounding = fat::WeightRounding::nearest;
    nearest += c.rmse(options);
    options.rounding = fat::WeightRounding::learned;
    learned += c.rmse(options);
  }
  BOOST_TEST(learned < 0.9 * nearest);
}

BOOST_AUTO_TEST_CASE(moments_are_about_the_means_only_where_a_bias_takes_those_back) {
  Case c;
  fat::Threads threads{2};
  const std::vector<std::size_t> all = fat::draw_indices(24, 24, 0);
  const fat::ImageBlock block = fat::load_block(c.images, all, c.model.input_extent().size(), 24);
  fat::LayerwiseRunner runner{c.model, block.pixels, threads};
  runner.run(0);
  runner.run(1);
  const fat::Node& pointwise = c.model.nodes[2];
  const std::size_t n = c.model.extent(pointwise.inputs[0]).channels;
  std::vector<double> mean(n), products(n * n);
  double count = 0.0;
  for (std::size_t image = 0; image != 24; ++image) {
    const std::span<const float> x = runner.value(pointwise.inputs[0], image);
    for (std::size_t at = 0; at != x.size(); at += n, count += 1.0)
      for (std::size_t i = 0; i != n; ++i) {
        mean[i] += static_cast<double>(x[at + i]);
        for (std::size_t j = 0; j != n; ++j)
          products[i * n + j] += static_cast<double>(x[at + i]) * static_cast<double>(x[at + j]);
      }
  }
  for (const bool centered : {false, true}) {
    const fat::InputMoments moments = fat::input_moments(c.model, pointwise, runner, threads, centered);
    for (std::size_t i = 0; i != n; ++i)
      for (std::size_t j = 0; j != n; ++j) {
        const double about = centered ? mean[i] / count * (mean[j] / count) : 0.0;
        BOOST_TEST(std::abs(static_cast<double>(moments.of(0)[i * n + j]) - (products[i * n + j] / count - about)) <
                   1e-4 * products[i * n + i] / count + 1e-6);
      }
  }
}

BOOST_AUTO_TEST_CASE(a_network_without_pairs_is_left_alone_and_said_so) {
  fat::test::Builder builder{{4, 4, 3}};
  std::mt19937 random{5};
  builder.add(
      "only",
      fat::Convolution{{}, 1, {}, fat::test::normal({4, 1, 1, 3}, random, 1.0F), fat::test::normal({4}, random, 1.0F)},
      {0});
  const fat::Model model = builder.take();
  const RandomImages images{model.input_extent(), 8};
  for (const fat::Rescaling way :
       {fat::Rescaling::depthwise, fat::Rescaling::equalize, fat::Rescaling::balance, fat::Rescaling::automatic}) {
    fat::QuantizeOptions options = scalar_options();
    fat::QuantizeReport report;
    const double plain = rmse_of(model, fat::quantize_model(model, images, options), images);
    options.rescale = way;
    const double asked = rmse_of(model, fat::quantize_model(model, images, options, {}, &report), images);
    BOOST_TEST(asked == plain);
    BOOST_TEST(says(report, "nothing was done"));
  }
}

BOOST_AUTO_TEST_CASE(bias_correction_keeps_the_mean_of_every_output) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.bits = 4;
  const auto mean_error = [&](fat::BiasCorrection correction) {
    options.bias_correction = correction;
    const fat::QuantizedModel quantized = fat::quantize_model(c.model, c.images, options);
    fat::Simulation simulation{quantized};
    fat::FloatRunner exact{c.model};
    std::vector<double> sums(5);
    for (std::size_t i = 0; i != c.images.size(); ++i) {
      std::vector<float> image(c.model.input_extent().size()), a(5), b(5);
      c.images.load(i, image);
      exact.run(image, 1, a);
      simulation.run(image, 1, b);
      for (std::size_t k = 0; k != 5; ++k) sums[k] += static_cast<double>(a[k] - b[k]) / 24.0;
    }
    double worst = 0.0;
    for (const double sum : sums) worst = std::max(worst, std::abs(sum));
    return worst;
  };
  BOOST_TEST(mean_error(fat::BiasCorrection::on) < 0.4 * mean_error(fat::BiasCorrection::off));
}

/// Over all images and pixels, the mean of every channel before its activation is the float network's, but for the steps of
/// the bias codes: for each kind of layer, behind others that are quantized too.
BOOST_AUTO_TEST_CASE(bias_correction_gives_every_channel_its_mean) {
  using fat::test::normal;
  const fat::Window same{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  for (const int last : {0, 1, 2, 3}) {
    std::mt19937 random{21};
    fat::test::Builder b{{6, 5, 3}};
    fat::ValueId at = 0;
    const auto add = [&](const char* name, fat::Operator op) { at = b.add(name, std::move(op), {at}); };
    add(last == 0 ? "last" : "first",
        fat::Convolution{same, 1, {}, normal({6, 3, 3, 3}, random, 0.4F), normal({6}, random, 0.5F)});
    if (last >= 1) {
      add("cut", fat::ClampLayer{fat::relu6});
      add(last == 1 ? "last" : "dw",
          fat::DepthwiseConvolution{same, 1, {}, normal({1, 3, 3, 6}, random, 0.4F), normal({6}, random, 0.5F)});
    }
    if (last == 2)
      add("last", fat::Convolution{{}, 1, {}, normal({4, 1, 1, 6}, random, 0.4F), normal({4}, random, 0.5F)});
    if (last == 3) add("last", fat::Dense{{}, normal({4, 180}, random, 0.1F), normal({4}, random, 0.5F)});
    const fat::Model model = b.take();
    const RandomImages images{model.input_extent(), 23};
    const auto means = [&](auto& runner) {
      const std::size_t channels = model.output_extent().channels, size = model.output_extent().size();
      std::vector<double> sums(channels);
      std::vector<float> image(model.input_extent().size()), output(size);
      for (std::size_t i = 0; i != images.size(); ++i) {
        images.load(i, image);
        runner.run(image, 1, output);
        for (std::size_t k = 0; k != size; ++k)
          sums[k % channels] += static_cast<double>(output[k]) / static_cast<double>(images.size() * size / channels);
      }
      return sums;
    };
    fat::FloatRunner exact{model};
    const std::vector<double> wanted = means(exact);
    fat::QuantizeOptions options;
    options.bits = 3;
    options.keep_float = {"last"};  // the grid of the outputs would round their means
    const auto distances = [&](fat::BiasCorrection correction) {
      options.bias_correction = correction;
      const fat::QuantizedModel quantized = fat::quantize_model(model, images, options);
      fat::Simulation simulation{quantized};
      std::vector<double> found = means(simulation);
      const auto& weights = *quantized.weights.back();
      const auto step = static_cast<double>(quantized.activations[quantized.graph.nodes.back().inputs[0]]->step);
      for (std::size_t c = 0; c != found.size(); ++c)
        found[c] = std::abs(found[c] - wanted[c]) / (0.5 * step * static_cast<double>(weights.channel_step(c)) + 1e-5);
      return found;
    };
    const std::vector<double> off = distances(fat::BiasCorrection::off);
    BOOST_TEST(*std::max_element(off.begin(), off.end()) > 5.0);
    for (const double distance : distances(fat::BiasCorrection::on)) BOOST_TEST(distance <= 2.0);
  }
}

/// Convolution, batch normalization with the statistics of `images`, ReLU6, depthwise convolution, ReLU, convolution.
fat::Model normalized_model(const RandomImages& images) {
  std::mt19937 random{11};
  using fat::test::normal;
  const auto build = [&](const fat::BatchNormalization& norm) {
    std::mt19937 same{3};
    fat::test::Builder b{{12, 12, 3}};
    const fat::Window three{{3, 3}, {1, 1}, {1, 1}, {}};
    fat::ValueId at =
        b.add("first", fat::Convolution{{}, 1, {}, normal({8, 1, 1, 3}, same, 0.8F), normal({8}, same, 0.5F)}, {0});
    at = b.add("norm", norm, {at});
    at = b.add("cut", fat::ClampLayer{fat::relu6}, {at});
    at = b.add("dw", fat::DepthwiseConvolution{three, 1, {}, normal({1, 3, 3, 8}, same, 0.4F), normal({8}, same, 0.1F)},
               {at});
    b.add("last", fat::Convolution{{}, 1, {}, normal({5, 1, 1, 8}, same, 0.5F), normal({5}, same, 0.1F)}, {at});
    return b.take();
  };
  fat::BatchNormalization norm{normal({8}, random, 0.5F), normal({8}, random, 1.0F), normal({8}, random, 0.0F),
                               normal({8}, random, 0.0F)};
  for (float& g : norm.scale) g = 0.5F + std::abs(g);
  for (float& v : norm.spread) v = 1.0F;
  const fat::Model plain = build(norm);
  std::vector<double> sum(8), square(8);
  std::vector<float> image(plain.input_extent().size()), output(plain.output_extent().size());
  std::size_t count = 0;
  for (std::size_t i = 0; i != images.size(); ++i) {
    images.load(i, image);
    fat::FloatRunner{plain}.run(image, 1, output,
                                [&](fat::ValueId value, std::size_t, std::size_t, std::span<float> data) {
                                  if (value != plain.nodes[0].output) return;
                                  for (std::size_t k = 0; k != data.size(); ++k) {
                                    sum[k % 8] += static_cast<double>(data[k]);
                                    square[k % 8] += static_cast<double>(data[k]) * static_cast<double>(data[k]);
                                  }
                                  count += data.size() / 8;
                                });
  }
  for (std::size_t c = 0; c != 8; ++c) {
    const double mean = sum[c] / static_cast<double>(count);
    norm.center[c] = static_cast<float>(mean);
    norm.spread[c] = static_cast<float>(square[c] / static_cast<double>(count) - mean * mean);
  }
  return build(norm);
}

BOOST_AUTO_TEST_CASE(analytic_bias_correction_uses_what_batch_normalizations_promise) {
  const RandomImages images{{12, 12, 3}, 24};
  const fat::Model model = normalized_model(images);
  const fat::ChannelMeansByName means = fat::promised_means(model);
  BOOST_TEST(means.size() == 2U);  // behind the normalization, behind the clamp
  const auto& norm = std::get<fat::BatchNormalization>(model.nodes[1].op);
  for (std::size_t c = 0; c != 8; ++c) {
    BOOST_TEST(means.at("norm")[c] == static_cast<double>(norm.shift[c]), boost::test_tools::tolerance(1e-6));
    BOOST_TEST(means.at("cut")[c] == fat::clipped_normal_mean(static_cast<double>(norm.shift[c]),
                                                              static_cast<double>(norm.scale[c]), 0.0, 6.0));
  }

  fat::QuantizeOptions options = scalar_options();
  options.bits = 3;
  const auto quantize = [&](fat::BiasCorrection correction, fat::Rescaling rescale, fat::QuantizeReport& report) {
    options.bias_correction = correction;
    options.rescale = rescale;
    return fat::quantize_model(model, images, options, {}, &report);
  };
  const fat::Model prepared = fat::prepare_model(model);
  const std::vector<std::size_t> all = fat::draw_indices(24, 24, 0);
  const fat::ImageBlock block = fat::load_block(images, all, model.input_extent().size(), 24);
  // The mean over images and places of what the depthwise layer makes, channel by channel.
  const auto dw_means = [&](const fat::Model& network) {
    const fat::ValueId made = network.nodes[1].output;
    std::vector<double> sums(8);
    std::vector<float> output(24 * network.output_extent().size());
    fat::FloatRunner{network}.run(
        block.pixels, 24, output, [&](fat::ValueId value, std::size_t, std::size_t, std::span<float> data) {
          if (value == made)
            for (std::size_t k = 0; k != data.size(); ++k)
              sums[k % 8] += static_cast<double>(data[k]) / (24.0 * static_cast<double>(data.size() / 8));
        });
    return sums;
  };
  for (const fat::Rescaling rescale : {fat::Rescaling::none, fat::Rescaling::depthwise}) {
    fat::QuantizeReport report;
    const fat::QuantizedModel off = quantize(fat::BiasCorrection::off, rescale, report);
    fat::Model reference = prepared;
    fat::Threads threads{1};
    if (rescale == fat::Rescaling::depthwise) fat::rescale_depthwise(reference, block.pixels, threads);
    const fat::QuantizedModel analytic = quantize(fat::BiasCorrection::analytic, rescale, report);
    BOOST_TEST(says(report, "bias correction: 1 layers read"));
    // The rounded weights alone, so that the rounding of activations does not hide their shift.
    const std::vector<double> wanted = dw_means(reference), plain = dw_means(fat::simulation_model(off)),
                              corrected = dw_means(fat::simulation_model(analytic));
    double before = 0.0, after = 0.0;
    for (std::size_t c = 0; c != 8; ++c) {
      before += std::abs(plain[c] - wanted[c]);
      after += std::abs(corrected[c] - wanted[c]);
    }
    BOOST_TEST_INFO("rescaling " << static_cast<int>(rescale) << ": " << before << " to " << after);
    BOOST_TEST(after < 0.5 * before);
  }

  options.rounding = fat::WeightRounding::learned;
  fat::QuantizeReport report;
  BOOST_CHECK_THROW(quantize(fat::BiasCorrection::analytic, fat::Rescaling::none, report), fat::error);
  options.rounding = fat::WeightRounding::nearest;
  Case c;
  c.rmse({.bias_correction = fat::BiasCorrection::analytic});
  BOOST_TEST(says(c.report, "nothing was corrected"));
}

BOOST_AUTO_TEST_CASE(promised_means_pass_what_keeps_them_and_follow_rescaling_through_pads) {
  fat::test::Builder b{{4, 4, 2}};
  const auto norm = [](float beta, float gamma) {
    return fat::BatchNormalization{fat::array<float>({2}, gamma), fat::array<float>({2}, beta),
                                   fat::array<float>({2}, 0.0F), fat::array<float>({2}, 1.0F)};
  };
  const fat::ValueId a = b.add("a", norm(0.5F, -2.0F), {0}), other = b.add("b", norm(0.25F, 1.0F), {0});
  const fat::ValueId cut = b.add("cut", fat::ClampLayer{fat::relu}, {a});
  const fat::ValueId padded = b.add("padded", fat::Pad{{1, 1, 1, 1}, 0.0F}, {cut});
  b.add("marked", fat::Pad{{1, 1, 1, 1}, 1.0F}, {cut});
  b.add("sum", fat::Add{}, {a, other});
  b.add("cut sum", fat::Add{fat::relu}, {a, other});
  b.add("mean", fat::GlobalAveragePool{}, {padded}, {1, 1, 2, true});
  const fat::Model model = b.take();
  fat::ChannelMeansByName means = fat::promised_means(model);
  const double clipped = fat::clipped_normal_mean(0.5, 2.0, 0.0, std::numeric_limits<double>::infinity());
  BOOST_TEST(means.at("cut")[1] == clipped);
  BOOST_TEST(means.at("padded")[1] == clipped);
  BOOST_TEST(means.at("mean")[1] == clipped);
  BOOST_TEST(means.at("sum")[0] == 0.75);
  BOOST_TEST(!means.contains("marked"));
  BOOST_TEST(!means.contains("cut sum"));
  fat::PairRescaling pair{"cut", "behind", 2, {2.0, 4.0}};
  pair.absorbed = {0.5, 0.0};
  fat::rescale_means(means, model, std::vector<fat::PairRescaling>{pair});
  for (const char* name : {"cut", "padded"}) {
    BOOST_TEST(means.at(name)[0] == 2.0 * clipped - 0.5);
    BOOST_TEST(means.at(name)[1] == 4.0 * clipped);
  }
  BOOST_TEST(means.at("a")[0] == 0.5);
}

BOOST_AUTO_TEST_CASE(automatic_bias_correction_is_never_worse_on_the_images_it_saw) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  for (const int bits : {3, 4, 8}) {
    options.bits = bits;
    options.bias_correction = fat::BiasCorrection::off;
    const double off = c.rmse(options);
    options.bias_correction = fat::BiasCorrection::on;
    const double on = c.rmse(options);
    options.bias_correction = fat::BiasCorrection::automatic;
    BOOST_TEST(c.rmse(options) == std::min(on, off), boost::test_tools::tolerance(1e-9));
    BOOST_TEST(says(c.report, on < off ? "bias correction: on" : "bias correction: off"));
  }
}

BOOST_AUTO_TEST_CASE(learned_rounding_lowers_the_error_of_the_outputs) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.bits = 4;
  options.rescale = fat::Rescaling::depthwise;
  options.bias_correction = fat::BiasCorrection::on;
  const double nearest = c.rmse(options);
  options.rounding = fat::WeightRounding::learned;
  BOOST_TEST(c.rmse(options) < nearest);
  BOOST_TEST(std::any_of(c.report.corrections.begin(), c.report.corrections.end(),
                         [](const auto& l) { return l.moved_codes != 0; }));
}

BOOST_AUTO_TEST_CASE(every_combination_gives_a_model_that_integers_run_like_the_simulation) {
  const fat::Model model = spread_model();
  const RandomImages images{model.input_extent(), 24};
  std::vector<float> image(model.input_extent().size()), simulated(5), integers(5);
  images.load(3, image);
  for (const fat::Scheme scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
    for (const fat::Granularity granularity : {fat::Granularity::scalar, fat::Granularity::per_channel})
      for (const fat::Rescaling rescale :
           {fat::Rescaling::none, fat::Rescaling::depthwise, fat::Rescaling::equalize, fat::Rescaling::balance})
        for (const fat::WeightRounding rounding :
             {fat::WeightRounding::nearest, fat::WeightRounding::sum, fat::WeightRounding::learned})
          for (const fat::Finetuning finetune : {fat::Finetuning::none, fat::Finetuning::both}) {
            fat::QuantizeOptions options{.scheme = scheme, .granularity = granularity};
            options.rescale = rescale;
            options.rounding = rounding;
            options.finetune = finetune;
            options.bias_correction = fat::BiasCorrection::on;
            options.epochs = 2;
            options.batch = 8;
            const fat::QuantizedModel quantized = fat::quantize_model(model, images, options);
            fat::Simulation{quantized}.run(image, 1, simulated);
            fat::IntegerModel{quantized}.run(image, 1, integers);
            const float step = quantized.activations[quantized.graph.output]->step;
            for (std::size_t k = 0; k != 5; ++k) BOOST_TEST(std::abs(simulated[k] - integers[k]) < 2.5F * step);
          }
}

BOOST_AUTO_TEST_CASE(layers_that_read_float_tensors_keep_their_weights) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.keep_float = {"dw"};
  options.rounding = fat::WeightRounding::learned;
  options.bias_correction = fat::BiasCorrection::on;
  const fat::QuantizedModel quantized = fat::quantize_model(c.model, c.images, options);
  const auto& kept = std::get<fat::Convolution>(quantized.graph.nodes[2].op).kernel;
  const auto& original = std::get<fat::Convolution>(c.model.nodes[2].op).kernel;
  BOOST_TEST(!quantized.weights[2].has_value());
  BOOST_TEST(std::equal(kept.begin(), kept.end(), original.begin(), original.end()));
}

BOOST_AUTO_TEST_CASE(single_layers_take_their_own_options) {
  Case c;
  fat::QuantizeOptions options{.bits = 4};
  options.layers = {{.layer = "stem", .bits = 3},
                    {.layer = "dense", .granularity = fat::Granularity::scalar},
                    {.layer = "dw", .weight_scheme = fat::Scheme::asymmetric},
                    {.layer = "stem", .bits = 8}};
  const fat::QuantizedModel plain = fat::quantize_model(c.model, c.images, {.bits = 4});
  const fat::QuantizedModel own = fat::quantize_model(c.model, c.images, options);
  const auto codes = [](const fat::QuantizedModel& m, std::size_t n) -> const fat::WeightEncoding& {
    return *m.weights[n];
  };
  const auto largest = [&](std::size_t n) {
    int most = 0;
    for (const std::int8_t code : codes(own, n).codes) most = std::max(most, std::abs(static_cast<int>(code)));
    return most;
  };
  BOOST_TEST(codes(own, 0).bits == 8);  // the later entry
  BOOST_TEST(largest(0) == 127);
  BOOST_TEST(codes(own, 1).bits == 4);
  BOOST_TEST(largest(1) <= 8);
  BOOST_TEST(std::count(codes(own, 1).zero_point.begin(), codes(own, 1).zero_point.end(), 0) < 8);
  BOOST_TEST(codes(own, 2).codes == codes(plain, 2).codes);
  BOOST_TEST(codes(own, 2).step.size() == 8U);
  BOOST_TEST(codes(own, 6).step.size() == 1U);
  std::vector<float> image(c.model.input_extent().size()), simulated(5), integers(5);
  c.images.load(0, image);
  fat::Simulation{own}.run(image, 1, simulated);
  fat::IntegerModel{own}.run(image, 1, integers);
  for (std::size_t k = 0; k != 5; ++k)
    BOOST_TEST(std::abs(simulated[k] - integers[k]) < 2.5F * own.activations[own.graph.output]->step);
}

BOOST_AUTO_TEST_CASE(options_of_layers_are_checked_before_the_work) {
  Case c;
  struct Unread : RandomImages {
    using RandomImages::RandomImages;
    void load(std::size_t, std::span<float>) const { BOOST_ERROR("an image was read"); }
  } images{c.model.input_extent(), 4};
  const auto refused = [&](const fat::QuantizeOptions& options, const std::string& words) {
    BOOST_CHECK_EXCEPTION(fat::quantize_model(c.model, images, options), fat::error,
                          [&](const fat::error& e) { return std::string{e.what()}.find(words) != std::string::npos; });
  };
  refused({.layers = {{.layer = "stern", .bits = 4}}}, "layers names 'stern'");
  refused({.layers = {{.layer = "stem", .bits = 9}}}, "bits of layer 'stem' is 9");
  refused({.keep_float = {"stern"}}, "keep_float names 'stern'");
}

BOOST_AUTO_TEST_SUITE_END()
