// Losses, schedules and Adam against the reference vectors 08_training.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/schedule.hpp>

#include <vector>

#include "../support/golden.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(golden_training)

namespace {

constexpr auto file = "08_training.npz";

fat::array<double> reals(const char* name) { return fat::test::golden(file).at(name).as<double>(); }

void expect_close(std::span<const double> found, const fat::array<double>& wanted) {
  BOOST_TEST_REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i != found.size(); ++i)
    BOOST_TEST(found[i] == wanted[i], boost::test_tools::tolerance(1e-12));
}

template <class O>
void expect_loss(const O& objective, const char* value, const char* slope) {
  const auto teacher = reals("zt");
  const auto student = reals("za");
  std::vector<double> gradient(student.size());
  const fat::Outputs<double> outputs{
      {student.data(), student.size()}, {teacher.data(), teacher.size()}, student.shape(0), {}};
  BOOST_TEST(objective.evaluate(outputs, std::span{gradient}) == reals(value)[0], boost::test_tools::tolerance(1e-12));
  expect_close(gradient, reals(slope));
}

template <class S>
void expect_schedule(const S& schedule, const char* rates, std::size_t every) {
  const auto wanted = reals(rates);
  std::vector<double> found;
  for (std::size_t i = 0; i != wanted.size(); ++i) found.push_back(schedule.at(i * every).rate);
  expect_close(found, wanted);
}

void expect_restarts(const fat::CosineRestarts& schedule, const char* resets) {
  const auto wanted = fat::test::golden(file).at(resets).as<int>();
  for (std::size_t step = 0; step != wanted.size(); ++step)
    BOOST_TEST(schedule.at(step).restart == (wanted[step] != 0));
}

void expect_adam(const fat::Adam& adam, const char* trajectory) {
  const auto gradients = reals("adam_g");
  const auto wanted = reals(trajectory);
  std::vector<double> parameters{1.0, -2.0, 3.0, 0.0};
  const std::size_t count = parameters.size();
  auto state = adam.start(parameters);
  std::vector<double> found;
  for (std::size_t step = 0; step != gradients.shape(0); ++step) {
    if (step == 7) state = adam.start(parameters);
    adam.step(state, parameters, std::span<const double>{gradients.data() + step * count, count}, 1e-2);
    found.insert(found.end(), parameters.begin(), parameters.end());
  }
  expect_close(found, wanted);
}

}  // namespace

BOOST_AUTO_TEST_CASE(losses_and_their_gradients, *fat::test::needs_golden(file)) {
  expect_loss(fat::BatchRmse{}, "loss_paper", "dloss_paper");
  expect_loss(fat::ElementRmse{}, "loss_elem", "dloss_elem");
  expect_loss(fat::SmoothedAbsolute{}, "loss_code", "dloss_code");
}

BOOST_AUTO_TEST_CASE(equal_outputs_have_no_gradient, *fat::test::needs_golden(file)) {
  const auto z = reals("zt");
  std::vector<double> gradient(z.size());
  const fat::Outputs<double> outputs{{z.data(), z.size()}, {z.data(), z.size()}, z.shape(0), {}};
  BOOST_TEST(fat::BatchRmse{}.evaluate(outputs, std::span{gradient}) == 0.0);
  expect_close(gradient, reals("dloss_equal"));
}

BOOST_AUTO_TEST_CASE(schedules, *fat::test::needs_golden(file)) {
  const fat::CosineRestarts even{.rate = 1e-3, .cycle = 10};
  const fat::CosineRestarts growing{.rate = 1e-3, .cycle = 4, .growth = 2};
  expect_schedule(even, "lr_m1", 1);
  expect_restarts(even, "reset_m1");
  expect_schedule(growing, "lr_m2", 1);
  expect_restarts(growing, "reset_m2");
  expect_schedule(fat::AuthorsSchedule{}, "lr_authors", 7);
}

BOOST_AUTO_TEST_CASE(adam_in_both_forms, *fat::test::needs_golden(file)) {
  expect_adam(fat::Adam{}, "adam_std");
  expect_adam(fat::Adam{.form = fat::Adam::Epsilon::tensorflow}, "adam_tf");
}

BOOST_AUTO_TEST_SUITE_END()
