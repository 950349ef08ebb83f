// Losses, optimizers and schedules against values worked out by hand and against finite differences.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/plan.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/sgd.hpp>

#include <limits>
#include <numeric>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_training)

namespace {

static_assert(fat::Objective<fat::BatchRmse> && fat::Objective<fat::ElementRmse, double>);
static_assert(fat::Objective<fat::SmoothedAbsolute> && fat::Objective<fat::CombinedLoss<>, double>);
static_assert(!fat::Objective<int> && !fat::Objective<fat::Adam>);
static_assert(fat::Optimizer<fat::Adam> && fat::Optimizer<fat::Sgd, double>);
static_assert(!fat::Optimizer<fat::BatchRmse>);
static_assert(fat::Schedule<fat::ConstantRate> && fat::Schedule<fat::CosineRestarts> &&
              fat::Schedule<fat::AuthorsSchedule>);

const std::vector<double> student{0.3, -1.2, 2.0, 0.7, 0.1, -0.4};
const std::vector<double> teacher{0.1, -1.0, 2.5, 0.7, 0.0, -1.4};
const std::vector<std::size_t> labels{2, 0};

template <class O>
void expect_true_gradient(const O& objective) {
  std::vector<double> gradient(student.size());
  objective.evaluate(fat::Outputs<double>{student, teacher, 2, labels}, std::span<double>{gradient});
  for (std::size_t i = 0; i != student.size(); ++i) {
    const double h = 1e-6;
    auto up = student;
    auto down = student;
    up[i] += h;
    down[i] -= h;
    const double above = objective.evaluate(fat::Outputs<double>{up, teacher, 2, labels}, std::span<double>{});
    const double below = objective.evaluate(fat::Outputs<double>{down, teacher, 2, labels}, std::span<double>{});
    BOOST_TEST(gradient[i] == (above - below) / (2.0 * h), boost::test_tools::tolerance(1e-5));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_loss_has_the_gradient_of_its_value) {
  expect_true_gradient(fat::BatchRmse{});
  expect_true_gradient(fat::ElementRmse{});
  expect_true_gradient(fat::SmoothedAbsolute{.smoothing = 1e-2});
  expect_true_gradient(fat::CombinedLoss<>{.teacher_labels = 0.3, .student_labels = 0.5, .distillation = 0.7});
  expect_true_gradient(fat::CombinedLoss<fat::ElementRmse>{.student_labels = 2.0, .distillation = 0.0});
}

BOOST_AUTO_TEST_CASE(equal_outputs_have_no_loss_and_no_gradient) {
  std::vector<double> gradient(student.size(), 1.0);
  const fat::Outputs<double> same{student, student, 2, {}};
  BOOST_TEST(fat::BatchRmse{}.evaluate(same, std::span<double>{gradient}) == 0.0);
  for (const double g : gradient) BOOST_TEST(g == 0.0);
}

BOOST_AUTO_TEST_CASE(the_batch_loss_divides_by_the_batch_only) {
  const std::vector<float> a{3.0F, 4.0F, 0.0F, 0.0F};
  const std::vector<float> b(4, 0.0F);
  const fat::Outputs<float> outputs{a, b, 2, {}};
  BOOST_TEST(fat::BatchRmse{}.evaluate(outputs, std::span<float>{}) == std::sqrt(12.5));
  BOOST_TEST(fat::ElementRmse{}.evaluate(outputs, std::span<float>{}) == 2.5);
}

BOOST_AUTO_TEST_CASE(losses_refuse_parts_that_do_not_fit) {
  const std::vector<double> shorter(5);
  std::vector<double> room(4);
  using Outputs = fat::Outputs<double>;
  BOOST_CHECK_THROW(fat::BatchRmse{}.evaluate(Outputs{student, shorter, 2, {}}, std::span<double>{}), fat::error);
  BOOST_CHECK_THROW(fat::BatchRmse{}.evaluate(Outputs{student, teacher, 0, {}}, std::span<double>{}), fat::error);
  BOOST_CHECK_THROW(fat::BatchRmse{}.evaluate(Outputs{student, teacher, 2, {}}, std::span<double>{room}), fat::error);
  const fat::CombinedLoss<> labelled{.student_labels = 1.0};
  BOOST_CHECK_THROW(labelled.evaluate(Outputs{student, teacher, 2, {}}, std::span<double>{}), fat::error);
  const std::vector<std::size_t> wrong{0, 3};
  BOOST_CHECK_THROW(labelled.evaluate(Outputs{student, teacher, 2, wrong}, std::span<double>{}), fat::error);
}

BOOST_AUTO_TEST_CASE(adam_moves_by_the_rate_at_first) {
  std::vector<float> parameters{1.0F, -2.0F};
  const std::vector<float> gradients{5.0F, -1e-3F};
  const fat::Adam adam;
  auto state = adam.start(parameters);
  adam.step(state, parameters, gradients, 0.01);
  BOOST_TEST(parameters[0] == 0.99F, boost::test_tools::tolerance(1e-6F));
  BOOST_TEST(parameters[1] == -1.99F, boost::test_tools::tolerance(1e-5F));
  BOOST_CHECK_THROW(adam.step(state, std::span<float>{parameters}.first(1), gradients, 0.01), fat::error);
}

BOOST_AUTO_TEST_CASE(momentum_sums_up_gradients) {
  std::vector<double> parameters{0.0};
  const std::vector<double> gradients{1.0};
  const fat::Sgd sgd{.momentum = 0.5};
  auto state = sgd.start(parameters);
  for (int i = 0; i != 3; ++i) sgd.step(state, parameters, gradients, 1.0);
  BOOST_TEST(parameters[0] == -(1.0 + 1.5 + 1.75));
  std::vector<double> ahead{0.0};
  const fat::Sgd nesterov{.momentum = 0.5, .nesterov = true};
  auto other = nesterov.start(ahead);
  nesterov.step(other, ahead, gradients, 1.0);
  BOOST_TEST(ahead[0] == -1.5);
}

BOOST_AUTO_TEST_CASE(plans_that_cannot_be_kept_are_refused) {
  BOOST_TEST(fat::plan_training(100, {}).steps == 30U);
  for (const double backoff : {0.0, -1.0, 2.0, std::numeric_limits<double>::quiet_NaN()})
    BOOST_CHECK_THROW(fat::plan_training(100, {.backoff = backoff}), fat::error);
  BOOST_CHECK_THROW(fat::plan_training(100, {.epochs = std::size_t{1} << 62U}), fat::error);
  BOOST_CHECK_THROW(fat::plan_training(100, {.held_out = 0.0, .patience = 2}), fat::error);
}

BOOST_AUTO_TEST_CASE(schedules_restart_at_the_ends_of_their_cycles) {
  const fat::CosineRestarts growing{.rate = 1.0, .cycle = 4, .growth = 2};
  for (std::size_t step = 0; step != 40; ++step) {
    const bool boundary = step == 4 || step == 12 || step == 28;
    BOOST_TEST(growing.at(step).restart == boundary);
    if (boundary || step == 0) BOOST_TEST(growing.at(step).rate == 1.0);
  }
  BOOST_TEST(growing.at(8).rate == 0.5, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(!fat::ConstantRate{}.at(0).restart);
  BOOST_TEST(fat::ConstantRate{0.25}.at(1000).rate == 0.25);
  const fat::AuthorsSchedule authors{.rate = 1.0, .cycle = 5, .decay = 0.0, .floor = 0.0};
  for (std::size_t step = 0; step != 12; ++step) BOOST_TEST(authors.at(step).restart == (step == 5 || step == 10));
  BOOST_TEST(authors.at(5).rate == 1.0);
  BOOST_CHECK_THROW((fat::CosineRestarts{.cycle = 0}.at(0)), fat::error);
  BOOST_CHECK_THROW((fat::AuthorsSchedule{.cycle = 0}.at(0)), fat::error);
}

BOOST_AUTO_TEST_SUITE_END()
