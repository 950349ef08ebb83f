// The pipeline of quantize_model: rescaling, bias correction and rounding, alone and composed, on small networks.
#include <support/small_model.hpp>

#include <fat/model/integer.hpp>
#include <fat/model/quantize_model.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
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
}

BOOST_AUTO_TEST_CASE(automatic_rescaling_takes_the_best_of_its_trials) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.rescale = fat::Rescaling::automatic;
  c.rmse(options);
  const auto trials = c.report.rescaling.trials;
  BOOST_REQUIRE(trials.size() == 4U);
  for (const fat::RescalingTrial& trial : trials) BOOST_TEST(trials[0].output_rmse <= trial.output_rmse);
  BOOST_TEST((trials[0].way == c.report.rescaling.way && c.report.rescaling.way != fat::Rescaling::none));
  for (const fat::Rescaling way :
       {fat::Rescaling::none, fat::Rescaling::depthwise, fat::Rescaling::equalize, fat::Rescaling::balance})
    BOOST_TEST(std::count_if(trials.begin(), trials.end(),
                             [&](const fat::RescalingTrial& trial) { return trial.way == way; }) == 1);
  // The result is that of the way taken, when it is asked for.
  const double automatic = c.rmse(options);
  options.rescale = trials[0].way;
  BOOST_TEST(c.rmse(options) == automatic, boost::test_tools::tolerance(1e-9));
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
  const auto mean_error = [&](fat::Switch correction) {
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
  BOOST_TEST(mean_error(fat::Switch::on) < 0.4 * mean_error(fat::Switch::off));
}

BOOST_AUTO_TEST_CASE(automatic_bias_correction_is_never_worse_on_the_images_it_saw) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  for (const int bits : {3, 4, 8}) {
    options.bits = bits;
    options.bias_correction = fat::Switch::off;
    const double off = c.rmse(options);
    options.bias_correction = fat::Switch::on;
    const double on = c.rmse(options);
    options.bias_correction = fat::Switch::automatic;
    BOOST_TEST(c.rmse(options) == std::min(on, off), boost::test_tools::tolerance(1e-9));
    BOOST_TEST(says(c.report, on < off ? "bias correction: on" : "bias correction: off"));
  }
}

BOOST_AUTO_TEST_CASE(learned_rounding_lowers_the_error_of_the_outputs) {
  Case c;
  fat::QuantizeOptions options = scalar_options();
  options.bits = 4;
  options.rescale = fat::Rescaling::depthwise;
  options.bias_correction = fat::Switch::on;
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
            options.bias_correction = fat::Switch::on;
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
  options.bias_correction = fat::Switch::on;
  const fat::QuantizedModel quantized = fat::quantize_model(c.model, c.images, options);
  const auto& kept = std::get<fat::Convolution>(quantized.graph.nodes[2].op).kernel;
  const auto& original = std::get<fat::Convolution>(c.model.nodes[2].op).kernel;
  BOOST_TEST(!quantized.weights[2].has_value());
  BOOST_TEST(std::equal(kept.begin(), kept.end(), original.begin(), original.end()));
}

BOOST_AUTO_TEST_SUITE_END()
