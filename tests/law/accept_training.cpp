// Acceptance of a training: by a paired test over all known images, and never worse than without.
#include <support/small_model.hpp>

#include <fat/model/quantize_model.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using fat::test::RandomImages;

double rmse_of(const fat::Model& model, const fat::QuantizedModel& quantized, const RandomImages& images) {
  std::vector<std::size_t> all(images.size());
  for (std::size_t i = 0; i != all.size(); ++i) all[i] = i;
  const fat::ImageBlock block = fat::load_block(images, all, model.input_extent().size(), all.size());
  return fat::simulated_rmse(quantized, block, fat::float_outputs(model, block, 1), 1);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(law_accept_training)

BOOST_AUTO_TEST_CASE(a_verdict_follows_the_sum_and_the_pairs) {
  const auto kept = [](const std::vector<double>& before, const std::vector<double>& after) {
    return fat::judge_training(before, after, 10).kept;
  };
  std::mt19937 random{5};
  std::lognormal_distribution<double> size{0.0, 1.0};
  std::uniform_real_distribution<double> share{0.6, 0.95};
  std::vector<double> before(40), less(40), more(40), mixed(40);
  for (std::size_t i = 0; i != before.size(); ++i) {
    before[i] = size(random);
    less[i] = before[i] * share(random);
    more[i] = before[i] / share(random);
    mixed[i] = i % 2 == 0 ? less[i] : more[i];
  }
  BOOST_TEST(kept(before, less));
  BOOST_TEST(!kept(before, more));
  BOOST_TEST(!kept(before, before));
  BOOST_TEST(!kept(before, mixed));
  // a single image does not decide: neither one that is far better among many that are worse, nor the other way round
  std::vector<double> one = more;
  before[7] = 1e4, one[7] = 1.0;
  BOOST_TEST(!kept(before, one));
  std::vector<double> spoilt = less;
  spoilt[9] = 1e6;
  BOOST_TEST(!kept(before, spoilt));
  // exact outputs, few images
  BOOST_TEST(kept({1.0}, {0.5}));
  BOOST_TEST(!kept({0.0}, {0.0}));
  BOOST_TEST(!kept({0.0, 0.0}, {0.0, 1e-9}));
  BOOST_TEST(kept({1.0, 2.0, 3.0}, {0.0, 0.0, 0.0}));
  BOOST_TEST(!kept({1.0, 2.0}, {0.1, std::numeric_limits<double>::infinity()}));
  BOOST_CHECK_THROW(kept({1.0}, {}), fat::error);
  const fat::TrainingVerdict verdict =
      fat::judge_training(std::vector<double>{40.0, 10.0}, std::vector<double>{10.0, 10.0}, 10);
  BOOST_TEST(verdict.images == 2U);
  BOOST_TEST(verdict.better == 1U);
  BOOST_TEST(verdict.before == std::sqrt(2.5));
  BOOST_TEST(verdict.after == 1.0);
}

/// Whatever the rate does, the result is no worse on the images that were looked at, and the report says which it is.
BOOST_AUTO_TEST_CASE(no_training_ends_worse_than_it_began) {
  const fat::Model model = fat::test::small_model();
  std::size_t undone = 0, kept = 0;
  for (const double rate : {3e-3, 1e-2, 0.3, 30.0})
    for (const std::size_t count : {16U, 24U, 48U})
      for (const fat::Finetuning what : {fat::Finetuning::thresholds, fat::Finetuning::both}) {
        const RandomImages images{model.input_extent(), count, static_cast<std::uint32_t>(count)};
        fat::QuantizeOptions options;
        options.bits = 4;
        options.batch = count == 16 ? 16 : 8;  // of 16 images none is held out
        options.learning_rate = rate;
        if (rate > 0.1) options.schedule = fat::TrainingSchedule::constant;
        const double untrained = rmse_of(model, fat::quantize_model(model, images, options), images);
        options.finetune = what;
        fat::QuantizeReport report;
        const double trained = rmse_of(model, fat::quantize_model(model, images, options, {}, &report), images);
        BOOST_TEST(trained <= untrained * (1.0 + 1e-9),
                   "rate " << rate << ", " << count << " images: " << untrained << " before, " << trained << " after");
        const auto says = [&](const std::string& words) {
          return std::any_of(report.messages.begin(), report.messages.end(),
                             [&](const std::string& line) { return line.starts_with(words); });
        };
        const bool same = trained == untrained;
        (same ? undone : kept) += 1;
        BOOST_TEST(says(std::string{"training: "} + (same ? "undone" : "kept") + ", since on all " +
                        std::to_string(count) + " images"));
      }
  BOOST_TEST(undone >= 4U);
  BOOST_TEST(kept >= 4U);
}

/// Without a rate short trials choose one: the training is the one that this rate gives, and the report names it.
BOOST_AUTO_TEST_CASE(a_rate_that_is_not_given_is_chosen_by_trials) {
  const fat::Model model = fat::test::small_model();
  std::set<double> chosen;
  for (const int bits : {4, 8})
    for (const fat::Finetuning what : {fat::Finetuning::thresholds, fat::Finetuning::pointwise})
      for (const std::size_t count : {16U, 48U}) {
        const RandomImages images{model.input_extent(), count};
        fat::QuantizeOptions options;
        options.bits = bits, options.finetune = what, options.batch = 8;
        fat::QuantizeReport report;
        std::size_t trials = 0;
        fat::quantize_model(
            model, images, options,
            [&](const fat::ProgressEvent& event) { trials += event.stage == "learning rate" ? 1 : 0; }, &report);
        BOOST_TEST(trials == 3U);
        const double whole = fat::default_learning_rate(what);
        std::size_t named = 0;
        for (const double share : {0.1, 1.0 / 3.0, 1.0}) {
          const std::string words{fat::Message{"learning rate ", share * whole, " chosen by trials of "}.view()};
          const bool says = std::any_of(report.messages.begin(), report.messages.end(),
                                        [&](const std::string& line) { return line.find(words) != std::string::npos; });
          if (!says) continue;
          ++named;
          chosen.insert(share * whole);
          options.learning_rate = share * whole;
          fat::QuantizeReport given;
          fat::quantize_model(model, images, options, {}, &given);
          BOOST_TEST(given.losses == report.losses, boost::test_tools::per_element());
        }
        BOOST_TEST(named == 1U);
      }
  BOOST_TEST(chosen.size() >= 2U);  // the network decides
}

/// A network of one parameter p whose output is p on every sample: the rate that comes nearest is known.
struct OneParameter {
  std::vector<float> value{0.0F}, gradient{0.0F}, outputs;
  std::span<float> parameters() { return value; }
  std::span<const float> gradients() { return gradient; }
  std::span<const float> forward(std::span<const std::size_t> samples) {
    outputs.assign(samples.size(), value[0]);
    return outputs;
  }
  void backward(std::span<const float> dy) {
    gradient[0] = 0.0F;
    for (const float each : dy) gradient[0] += each;
  }
  void project() {}
};

BOOST_AUTO_TEST_CASE(the_rate_that_comes_nearest_is_taken_and_nothing_is_left_of_the_trials) {
  fat::QuantizeOptions options;
  options.finetune = fat::Finetuning::thresholds;
  options.schedule = fat::TrainingSchedule::constant;
  fat::MinimizeOptions how;
  how.batch = 4, how.epochs = 6, how.held_out = 0.0;
  // Adam moves the parameter by about the rate in each of 10 steps
  for (const auto& [distance, rate] : {std::pair{0.003F, 3e-4}, {0.01F, 1e-3}, {0.5F, 3e-3}}) {
    OneParameter network;
    const std::vector<float> targets(20, distance);
    const fat::RateChoice choice = fat::choose_learning_rate(network, fat::Targets<float>{targets, 1}, options, how,
                                                             [](std::size_t, std::size_t) {});
    BOOST_TEST(choice.rate == rate, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(choice.steps == 10U);
    BOOST_TEST(choice.untrained == static_cast<double>(distance), boost::test_tools::tolerance(1e-6));
    BOOST_TEST(choice.trials.size() == 3U);
    BOOST_TEST(network.value[0] == 0.0F);
  }
}

BOOST_AUTO_TEST_CASE(all_images_that_were_calibrated_on_or_drawn_for_training_are_looked_at) {
  fat::QuantizeOptions options;
  options.calibration = 5, options.train = 9;
  const std::vector<std::size_t> known = fat::detail::known_images(30, options);
  for (const std::size_t count : {5U, 9U})
    for (const std::size_t index : fat::draw_indices(30, count, options.seed))
      BOOST_TEST(std::binary_search(known.begin(), known.end(), index));
  BOOST_TEST(known.size() <= 14U);
  options.train.reset();
  BOOST_TEST(fat::detail::known_images(30, options).size() == 30U);
}

BOOST_AUTO_TEST_SUITE_END()
