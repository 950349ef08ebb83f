// Laws of finetune: it lowers the loss, depends on inputs and seed alone, resumes bit for bit, and refuses bad input.
#include <fat/model/quantize_model.hpp>

#include "../support/small_model.hpp"
#include "../support/temporary.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_finetune)

namespace {

using fat::Finetuning;
using fat::test::RandomImages;

constexpr std::size_t count = 48;

struct Setting {
  fat::Model model = fat::test::small_model();
  RandomImages images{model.input_extent(), count};
  fat::QuantizeOptions options{.scheme = fat::Scheme::symmetric,
                               .bits = 4,
                               .finetune = Finetuning::thresholds,
                               .epochs = 6,
                               .batch = 8,
                               .learning_rate = 1e-2};
  std::vector<fat::Interval<float>> ranges = fat::calibrate(model, images, all(), fat::MinMax{}, 1);
  fat::ModelGrids grids = fat::model_grids(model, ranges, options);

  static std::vector<std::size_t> all() { return fat::draw_indices(count, count, 0); }
  fat::Finetuned train(const fat::Progress& progress = {}) const {
    return fat::finetune(model, grids, ranges, model, images, all(), options, progress);
  }
};

bool same(const fat::Finetuned& a, const fat::Finetuned& b) {
  bool equal = a.grids.activations == b.grids.activations && a.grids.weights == b.grids.weights &&
               a.report.losses == b.report.losses;
  for (std::size_t n = 0; n != a.model.nodes.size(); ++n)
    std::visit(
        [&]<class Layer>(const Layer& layer) {
          if constexpr (fat::WeightedLayer<Layer>) {
            const auto& other = std::get<Layer>(b.model.nodes[n].op);
            equal = equal && layer.kernel == other.kernel && layer.offset == other.offset;
          }
        },
        a.model.nodes[n].op);
  return equal;
}

template <class Function>
void expect_message(Function&& f, const std::string& part) {
  BOOST_CHECK_EXCEPTION(f(), fat::error, [&](const fat::error& raised) {
    const bool found = std::string{raised.what()}.find(part) != std::string::npos;
    if (!found) BOOST_TEST_MESSAGE(raised.what());
    return found;
  });
}

/// RMSE of the integer model's simulation against the float model, over all images.
double error(const Setting& s, const fat::Model& model, const fat::ModelGrids& grids) {
  fat::Simulation simulation{fat::encode_model(model, grids, s.options)};
  const auto wanted = fat::teacher_outputs(s.model, s.images, Setting::all(), 8, 1);
  fat::aligned_vector<float> found(wanted.size());
  std::vector<float> batch(count * s.model.input_extent().size());
  for (std::size_t n = 0; n != count; ++n)
    s.images.load(n, std::span{batch}.subspan(n * s.model.input_extent().size(), s.model.input_extent().size()));
  simulation.run(batch, count, found);
  fat::Distance distance;
  distance.add(wanted, found);
  return distance.rmse();
}

}  // namespace

BOOST_AUTO_TEST_CASE(training_brings_the_integer_model_nearer) {
  Setting s;
  const double before = error(s, s.model, s.grids);
  for (const auto what : {Finetuning::thresholds, Finetuning::pointwise, Finetuning::both})
    for (const auto scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric}) {
      s.options.finetune = what;
      s.options.weight_scheme = scheme;
      s.grids = fat::model_grids(s.model, s.ranges, s.options);
      const double untrained = error(s, s.model, s.grids);
      const fat::Finetuned trained = s.train();
      BOOST_TEST(error(s, trained.model, trained.grids) < 0.9 * untrained);
      BOOST_TEST(trained.report.best_validation < trained.report.validations.front());
    }
  BOOST_TEST(before > 0.0);
}

BOOST_AUTO_TEST_CASE(same_seed_same_bits_for_any_number_of_threads) {
  Setting s;
  const fat::Finetuned once = s.train();
  s.options.threads = 2;
  BOOST_TEST(same(once, s.train()));
  s.options.seed = 1;
  BOOST_TEST(!same(once, s.train()));
}

BOOST_AUTO_TEST_CASE(switches_choose_what_moves) {
  Setting s;
  s.options.train_biases = false;
  s.options.train_activations = false;
  const fat::Finetuned weights = s.train();
  BOOST_TEST((weights.grids.activations == s.grids.activations));
  BOOST_TEST((weights.grids.weights != s.grids.weights));
  s.options.train_activations = true;
  s.options.train_weights = false;
  const fat::Finetuned activations = s.train();
  BOOST_TEST((activations.grids.activations != s.grids.activations));
  BOOST_TEST((activations.grids.weights == s.grids.weights));
  s.options.train_activations = false;
  expect_message([&] { s.train(); }, "nothing to train");
  s.options.train_biases = true;
  const fat::Finetuned biases = s.train();
  BOOST_TEST((biases.grids.activations == s.grids.activations && biases.grids.weights == s.grids.weights));
  BOOST_TEST(!same(biases, fat::Finetuned{s.model, s.grids, biases.report}));
}

/// The training that an option stands for, through the generic loop.
template <class Loss, class Optimizer, class Schedule>
std::vector<double> losses(const Setting& s, const Loss& loss, const Optimizer& optimizer, const Schedule& schedule) {
  fat::StudentNetwork student{s.model, s.grids, [&](std::size_t n, std::span<float> to) { s.images.load(n, to); },
                              fat::student_options(s.model, s.options), s.ranges};
  const auto teacher = fat::teacher_outputs(s.model, s.images, Setting::all(), s.options.batch, 1);
  const fat::Targets<float> targets{teacher, s.model.output_extent().size()};
  return fat::minimize(student, targets, loss, optimizer, schedule, fat::minimize_options(count, s.options)).losses;
}

BOOST_AUTO_TEST_CASE(options_choose_loss_optimizer_and_schedule) {
  using fat::TrainingLoss;
  using fat::TrainingOptimizer;
  using fat::TrainingSchedule;
  Setting s;
  s.options.epochs = 3;
  const std::size_t steps = 15;
  const fat::CosineRestarts cosine{1e-2, steps};
  const auto same_losses = [&](const std::vector<double>& wanted) {
    return s.train().report.losses == wanted && wanted.size() == steps;
  };
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, cosine)));
  s.options.loss = TrainingLoss::element_rmse;
  BOOST_TEST(same_losses(losses(s, fat::ElementRmse{}, fat::Adam{}, cosine)));
  s.options.loss = TrainingLoss::absolute;
  BOOST_TEST(same_losses(losses(s, fat::SmoothedAbsolute{}, fat::Adam{}, cosine)));
  s.options.loss = {};
  s.options.optimizer = TrainingOptimizer::sgd;
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Sgd{}, cosine)));
  s.options.learning_rate = fat::default_learning_rate(s.options.finetune, s.options.optimizer);
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Sgd{}, fat::CosineRestarts{3e-5, steps})));
  s.options.optimizer = {};
  s.options.learning_rate = fat::default_learning_rate(s.options.finetune);
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, fat::CosineRestarts{3e-3, steps})));
  s.options.cycles = 2;  // of 8 and 7 steps
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, fat::CosineRestarts{3e-3, 8})));
  s.options.schedule = TrainingSchedule::authors;
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, fat::AuthorsSchedule{.rate = 3e-3, .cycle = 8})));
  s.options.cycles.reset();
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, fat::AuthorsSchedule{.rate = 3e-3})));
  s.options.schedule = TrainingSchedule::constant;
  BOOST_TEST(same_losses(losses(s, fat::BatchRmse{}, fat::Adam{}, fat::ConstantRate{3e-3})));
}

/// At a rate that spoils everything the first epochs are the worse ones, and the initial parameters are kept.
BOOST_AUTO_TEST_CASE(patience_ends_a_training_early) {
  Setting s;
  s.options.finetune = Finetuning::pointwise;
  s.options.bits = 8;
  s.options.learning_rate = 0.2;
  s.options.epochs = 9;
  s.grids = fat::model_grids(s.model, s.ranges, s.options);
  const fat::Finetuned whole = s.train();
  BOOST_TEST_REQUIRE(whole.report.best_step == 0U);
  BOOST_TEST(whole.report.steps == 45U);
  s.options.patience = 2;
  const fat::Finetuned early = s.train();
  BOOST_TEST(early.report.steps == 10U);
  BOOST_TEST((early.report.ending == fat::Ending::early));
  BOOST_TEST(fat::detail::describe(early.report).find("ended early") != std::string::npos);
  BOOST_TEST(fat::detail::describe(whole.report).find("ended early") == std::string::npos);
  BOOST_TEST((early.grids.activations == whole.grids.activations && early.grids.weights == whole.grids.weights));
}

BOOST_AUTO_TEST_CASE(an_interrupted_training_resumes_bit_for_bit) {
  const auto thresholds = [](fat::QuantizeOptions&) {};
  const auto both = [](fat::QuantizeOptions& o) { o.finetune = Finetuning::both; };
  const auto others = [](fat::QuantizeOptions& o) {
    o.loss = fat::TrainingLoss::absolute;
    o.optimizer = fat::TrainingOptimizer::sgd;
    o.schedule = fat::TrainingSchedule::authors;
    o.cycles = 3;
    o.patience = 4;
    o.learning_rate = 1e-5;
  };
  using Change = std::function<void(fat::QuantizeOptions&)>;
  for (const Change& change : {Change{thresholds}, Change{both}, Change{others}}) {
    const fat::test::TemporaryFolder folder;
    Setting s;
    change(s.options);
    const fat::Finetuned whole = s.train();
    std::atomic<bool> stop{false};
    s.options.stop = &stop;
    s.options.checkpoint = (folder.path() / "new" / "folder").string();
    expect_message(
        [&] { s.train([&](const fat::ProgressEvent& event) { stop = event.stage == "train" && event.done == 13; }); },
        "interrupted after 13 steps; the state is in the checkpoint folder");
    stop = false;
    s.options.resume = true;
    BOOST_TEST(same(s.train(), whole));
  }
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_model_or_other_options_is_refused) {
  const fat::test::TemporaryFolder folder;
  Setting s;
  s.options.checkpoint = folder.path().string();
  s.train();
  s.options.resume = true;
  s.train();
  Setting other = s;
  other.options.epochs = 7;
  expect_message([&] { other.train(); }, "belongs to another model, other images or other options");
  other = s;
  other.options.train_activations = false;
  expect_message([&] { other.train(); }, "checkpoint");
  other = s;
  other.options.layers = {{.layer = "stem", .train_weights = false}, {.layer = "pw", .train_activations = false}};
  expect_message([&] { other.train(); }, "checkpoint");
  other = s;
  other.options.loss = fat::TrainingLoss::element_rmse;
  expect_message([&] { other.train(); }, "other options");
  other = s;
  other.options.optimizer = fat::TrainingOptimizer::sgd;
  expect_message([&] { other.train(); }, "other options");
  other = s;
  other.options.schedule = fat::TrainingSchedule::constant;
  expect_message([&] { other.train(); }, "other options");
  other = s;
  other.options.cycles = 2;
  expect_message([&] { other.train(); }, "other options");
  other = s;
  other.options.patience = 3;
  expect_message([&] { other.train(); }, "other options");
  other = s;
  other.options.cycles = 1;  // what they are anyway
  other.options.layers = {{.layer = "stem", .bits = 4}};
  other.train();
  other = s;
  std::get<fat::Convolution>(other.model.nodes[0].op).kernel[0] += 0.01F;
  expect_message([&] { other.train(); }, "belongs to another model");
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused) {
  Setting s;
  expect_message([&] { fat::finetune(s.model, s.grids, s.ranges, s.model, s.images, {}, s.options); },
                 "no training images");
  s.options.batch = 64;
  expect_message([&] { s.train(); }, "48 training images, fewer than a batch of 64");
  s.options.batch = count;
  s.options.patience = 1;
  expect_message([&] { s.train(); }, "patience needs held-out samples, and all 48 are trained on");
  s.options.patience = 0;
  s.options.cycles = 7;
  expect_message([&] { s.train(); }, "7 cycles in a training of 6 steps");
  s.options.cycles = 0;
  expect_message([&] { fat::quantize_model(s.model, s.images, s.options); }, "cycles is 0");
  s.options.cycles = 1;
  s.options.schedule = fat::TrainingSchedule::constant;
  expect_message([&] { fat::quantize_model(s.model, s.images, s.options); }, "a constant rate has no cycles");
  Setting blocked;
  const fat::test::TemporaryFolder folder;
  std::fclose(std::fopen((folder.path() / "file").c_str(), "w"));
  blocked.options.checkpoint = (folder.path() / "file").string();
  expect_message([&] { blocked.train(); }, "checkpoint");
}

/// A state that is there is resumed or refused, never replaced; a new run says that it is one.
BOOST_AUTO_TEST_CASE(an_earlier_state_is_never_replaced) {
  const fat::test::TemporaryFolder folder;
  Setting s;
  s.options.checkpoint = folder.path().string();
  s.options.resume = true;
  std::vector<std::string> notes;
  const fat::Finetuned whole = s.train([&](const fat::ProgressEvent& event) {
    if (!event.message.empty()) notes.emplace_back(event.message);
  });
  BOOST_TEST_REQUIRE(notes.size() == 1U);
  BOOST_TEST(notes[0].find("training starts anew") != std::string::npos);
  BOOST_TEST(fat::detail::describe(whole.report).find("training starts anew") != std::string::npos);
  BOOST_TEST(same(s.train(), whole));
  s.options.resume = false;
  expect_message([&] { s.train(); }, "holds the state of an earlier training");
  expect_message([&] { fat::check_checkpoint(s.options); }, "holds the state of an earlier training");
  s.options.finetune = Finetuning::none;
  fat::check_checkpoint(s.options);
}

BOOST_AUTO_TEST_CASE(stages_say_when_a_stop_is_heeded) {
  Setting s;
  std::vector<std::string> stages;
  s.train([&](const fat::ProgressEvent& event) {
    if (stages.empty() || stages.back() != event.stage) stages.emplace_back(event.stage);
    if (event.stage == "train" && event.done == 0) BOOST_TEST(event.total == 30U);
  });
  BOOST_TEST(stages == (std::vector<std::string>{"teacher", "train", "trained"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(trained_images_are_those_that_move_parameters) {
  Setting s;
  s.options.train = 30;
  const auto chosen = fat::draw_indices(count, 30, s.options.seed);
  const auto trained = fat::trained_images(count, s.options);
  BOOST_TEST(trained.size() == 27U);
  std::size_t among = 0;
  for (const std::size_t n : trained) among += std::ranges::count(chosen, n) == 1 ? 1U : 0U;
  BOOST_TEST(among == trained.size());
  const auto order = fat::sample_order(30, s.options.seed);
  for (std::size_t held = 0; held != 3; ++held) BOOST_TEST(std::ranges::count(trained, chosen[order[held]]) == 0);
  s.options.finetune = Finetuning::none;
  BOOST_TEST(fat::trained_images(count, s.options).empty());
}

/// Every part of the identity that the loop does not see itself.
BOOST_AUTO_TEST_CASE(the_fingerprint_covers_grids_and_weights) {
  const Setting s;
  const auto print = [&](const fat::Model& model, const fat::ModelGrids& grids, const fat::QuantizeOptions& options) {
    return fat::detail::training_fingerprint(model, grids, options);
  };
  const std::uint64_t own = print(s.model, s.grids, s.options);
  fat::ModelGrids moved = s.grids;
  moved.activations[s.model.nodes[1].output]->step *= 1.5F;
  BOOST_TEST(print(s.model, moved, s.options) != own);
  moved = s.grids;
  moved.weights[1][0].step *= 1.5F;
  BOOST_TEST(print(s.model, moved, s.options) != own);
  fat::Model other = s.model;
  std::get<fat::Convolution>(other.nodes[0].op).kernel[0] += 0.01F;
  BOOST_TEST(print(other, s.grids, s.options) != own);
  fat::QuantizeOptions changed = s.options;
  changed.finetune = Finetuning::both;
  BOOST_TEST(print(s.model, s.grids, changed) != own);
}

BOOST_AUTO_TEST_CASE(biases_and_factors_have_rates_of_their_own) {
  const Setting s;
  fat::StudentOptions how;
  how.parts = {true, true, true, true, {}};
  how.bias_rate = 0.25;
  how.factor_rate = 0.75;
  const auto load = [&](std::size_t n, std::span<float> to) { s.images.load(n, to); };
  const fat::StudentNetwork student{s.model, s.grids, load, how, s.ranges};
  BOOST_TEST_REQUIRE(student.groups().size() == 3U);
  BOOST_TEST(student.groups()[0].rate == 1.0);
  BOOST_TEST(student.groups()[1].rate == 0.25);
  BOOST_TEST(student.groups()[2].rate == 0.75);
}

BOOST_AUTO_TEST_CASE(options_that_cannot_take_effect_are_refused) {
  Setting s;
  s.options.rounding = fat::WeightRounding::sum;
  s.options.layers = {{.layer = "pw", .train_weights = true}};
  expect_message([&] { fat::quantize_model(s.model, s.images, s.options); },
                 "cannot be trained after they were rounded");
  s.options.rounding = fat::WeightRounding::nearest;
  for (const fat::LayerOptions& each :
       {fat::LayerOptions{.layer = "mean", .bits = 4}, fat::LayerOptions{.layer = "sum", .train_weights = true},
        fat::LayerOptions{.layer = "input", .granularity = fat::Granularity::scalar}}) {
    s.options.layers = {each};
    expect_message([&] { fat::quantize_model(s.model, s.images, s.options); }, "has no weights");
  }
}

BOOST_AUTO_TEST_CASE(what_a_report_says) {
  fat::TrainingReport report;
  report.restores = 1;
  BOOST_TEST(fat::detail::describe(report).find("unstable once") != std::string::npos);
  report.restores = 2;
  BOOST_TEST(fat::detail::describe(report).find("unstable 2 times") != std::string::npos);
}

/// A batch that only fits without held-out images trains on all of them.
BOOST_AUTO_TEST_CASE(as_many_images_as_a_batch_train) {
  Setting s;
  s.options.batch = count;
  const fat::Finetuned trained = s.train();
  BOOST_TEST(trained.report.steps == s.options.epochs);
  BOOST_TEST(trained.report.validations.empty());
  BOOST_TEST(fat::detail::describe(trained.report).find("none was held out") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(quantize_model_trains) {
  Setting s;
  fat::QuantizeReport report;
  std::size_t epochs = 0;
  const auto listener = [&](const fat::ProgressEvent& event) {
    epochs += event.stage == "train" && event.ends_epoch ? 1U : 0U;
  };
  const fat::QuantizedModel trained = fat::quantize_model(s.model, s.images, s.options, listener, &report);
  s.options.finetune = Finetuning::none;
  const fat::QuantizedModel plain = fat::quantize_model(s.model, s.images, s.options);
  BOOST_TEST(epochs == s.options.epochs);
  BOOST_TEST(report.losses.size() == s.options.epochs * 5);
  BOOST_TEST(report.seconds.count("train") == 1U);
  BOOST_TEST((trained.weights[0]->step != plain.weights[0]->step));
}

/// The loss compares scores before a final softmax.
BOOST_AUTO_TEST_CASE(a_final_softmax_is_left_out_of_the_loss) {
  Setting s;
  fat::Node softmax{"softmax", fat::Softmax{}, {s.model.output}, s.model.values.size()};
  s.model.output = s.model.add_value("softmax", s.model.output_extent());
  s.model.nodes.push_back(softmax);
  const Setting plain;
  s.ranges = fat::calibrate(s.model, s.images, Setting::all(), fat::MinMax{}, 1);
  s.grids = fat::model_grids(s.model, s.ranges, s.options);
  const fat::Finetuned trained = s.train();
  BOOST_TEST(trained.report.losses == plain.train().report.losses, boost::test_tools::per_element());
  BOOST_TEST(trained.model.nodes.size() == s.model.nodes.size());
  BOOST_TEST((trained.grids.activations.back() == s.grids.activations.back()));
}

BOOST_AUTO_TEST_CASE(layers_whose_weights_are_left_out_have_no_factors) {
  Setting s;
  s.options.layers = {{.layer = "pw", .train_weights = false}};
  for (const Finetuning what : {Finetuning::pointwise, Finetuning::both}) {
    s.options.finetune = what;
    const fat::Finetuned trained = s.train();
    const auto kernel = [](const fat::Model& model, std::size_t n) {
      fat::array<float> found;
      fat::with_weighted(model.nodes[n].op, [&](const auto& layer) { found = layer.kernel; });
      return found;
    };
    for (const std::size_t n : {0U, 1U, 2U, 6U})
      BOOST_TEST((kernel(trained.model, n) == kernel(s.model, n)) == (n == 2), "node " << n);
    BOOST_TEST((trained.grids.weights[2] == s.grids.weights[2]));
  }
}

/// Nodes of the small model: stem 0, dw 1, pw 2, sum 3, pool 4, mean 5, dense 6.
BOOST_AUTO_TEST_CASE(layers_that_are_left_out_keep_their_grids_and_biases) {
  Setting s;
  s.options.layers = {{.layer = "stem", .train_weights = false},
                      {.layer = "dw", .train_activations = false},
                      {.layer = "pw", .train_biases = false},
                      {.layer = "input", .train_activations = false}};
  const auto bias = [](const fat::Model& model, std::size_t n) {
    fat::array<float> found;
    fat::with_weighted(model.nodes[n].op, [&](const auto& layer) { found = layer.offset; });
    return found;
  };
  const fat::Finetuned trained = s.train();
  for (const std::size_t n : {0U, 1U, 2U, 6U}) {
    BOOST_TEST_INFO("node " << n);
    BOOST_TEST((trained.grids.weights[n] == s.grids.weights[n]) == (n == 0));
    BOOST_TEST((bias(trained.model, n) == bias(s.model, n)) == (n == 2));
    const fat::ValueId made = s.model.nodes[n].output;
    BOOST_TEST_INFO("node " << n);
    if (n != 0)  // the stem's threshold wants to stay at its bound
      BOOST_TEST((trained.grids.activations[made] == s.grids.activations[made]) == (n == 1));
  }
  BOOST_TEST((trained.grids.activations[s.model.input] == s.grids.activations[s.model.input]));

  s.options.train_weights = s.options.train_activations = s.options.train_biases = false;
  s.options.layers = {{.layer = "dense", .train_weights = true}};
  const fat::Finetuned one = s.train();
  for (const std::size_t n : {0U, 1U, 2U, 6U}) BOOST_TEST((one.grids.weights[n] == s.grids.weights[n]) == (n != 6));
  BOOST_TEST((one.grids.activations == s.grids.activations));
}

BOOST_AUTO_TEST_SUITE_END()
