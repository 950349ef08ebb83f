// Laws of StudentNetwork: the simulation's bits, gradients, threads.
#include <fat/model/quantize_model.hpp>
#include <fat/model/student.hpp>

#include "../support/small_model.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_student)

namespace {

using fat::test::RandomImages;

constexpr std::size_t images_count = 7;

/// A model with grids from its own images.
struct Setting {
  fat::Model model = fat::test::small_model();
  RandomImages images{model.input_extent(), images_count};
  fat::QuantizeOptions options;
  std::vector<fat::Interval<float>> ranges;
  fat::ModelGrids grids;

  explicit Setting(const fat::QuantizeOptions& chosen) : options(chosen) {
    ranges = fat::calibrate(model, images, samples(), fat::MinMax{}, 1);
    grids = fat::model_grids(model, ranges, options);
  }
  static std::vector<std::size_t> samples() { return fat::draw_indices(images_count, images_count, 0); }
  fat::StudentNetwork student(const fat::StudentParts& parts, std::size_t threads = 1) const {
    fat::StudentOptions how;
    how.parts = parts;
    how.batch = images_count;
    how.threads = threads;
    return {model, grids, [this](std::size_t n, std::span<float> to) { images.load(n, to); }, how, ranges};
  }
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const auto scheme : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
    for (const auto weights : {fat::Scheme::symmetric, fat::Scheme::asymmetric})
      for (const auto granularity : {fat::Granularity::scalar, fat::Granularity::per_channel})
        all.emplace_back(
            fat::QuantizeOptions{.scheme = scheme, .weight_scheme = weights, .granularity = granularity, .bits = 6});
  all.emplace_back(fat::QuantizeOptions{.keep_float = {"dense"}});
  return all;
}

constexpr fat::StudentParts everything{true, true, true, true, {}};

/// Every parameter a little away from its start, inside its bounds.
void stir(fat::StudentNetwork& student, std::uint32_t seed = 5) {
  std::mt19937 random{seed};
  std::uniform_real_distribution<float> uniform{-0.08F, 0.0F};
  for (float& p : student.parameters()) p += uniform(random);
  student.project();
}

/// A loss with different weights for all outputs: its gradient with respect to the outputs.
std::vector<float> slopes(std::size_t count) {
  std::mt19937 random{9};
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  return values;
}

double loss(std::span<const float> outputs, std::span<const float> slope) {
  double sum = 0.0;
  for (std::size_t i = 0; i != outputs.size(); ++i)
    sum += static_cast<double>(outputs[i]) * static_cast<double>(slope[i]);
  return sum;
}

std::vector<float> simulate(const Setting& s, const fat::Model& model, const fat::ModelGrids& grids) {
  fat::Simulation simulation{fat::encode_model(model, grids, s.options)};
  std::vector<float> batch(images_count * model.input_extent().size());
  for (std::size_t n = 0; n != images_count; ++n)
    s.images.load(n, std::span{batch}.subspan(n * model.input_extent().size(), model.input_extent().size()));
  std::vector<float> outputs(images_count * model.output_extent().size());
  simulation.run(batch, images_count, outputs);
  return outputs;
}

}  // namespace

BOOST_AUTO_TEST_CASE(forward_is_the_simulation_bit_for_bit) {
  for (const Setting& s : settings()) {
    auto student = s.student(everything);
    const auto untouched = student.forward(Setting::samples());
    BOOST_TEST(std::vector<float>(untouched.begin(), untouched.end()) == simulate(s, s.model, s.grids),
               boost::test_tools::per_element());
    stir(student);
    const auto moved = student.forward(Setting::samples());
    BOOST_TEST(
        std::vector<float>(moved.begin(), moved.end()) == simulate(s, student.trained_model(), student.trained_grids()),
        boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(start_parameters_give_the_grids_back) {
  for (const Setting& s : settings()) {
    const auto student = s.student(everything);
    const fat::ModelGrids again = student.trained_grids();
    BOOST_TEST((again.activations == s.grids.activations));
    BOOST_TEST((again.weights == s.grids.weights));
  }
}

BOOST_AUTO_TEST_CASE(same_bits_for_any_number_of_threads) {
  for (const Setting& s : settings())
    for (const fat::StudentParts& parts : {everything, fat::StudentParts{}}) {
      std::vector<std::vector<float>> outputs, gradients;
      for (const std::size_t threads : {1U, 2U, 3U}) {
        auto student = s.student(parts, threads);
        stir(student);
        const auto made = student.forward(Setting::samples());
        outputs.emplace_back(made.begin(), made.end());
        student.backward(slopes(made.size()));
        gradients.emplace_back(student.gradients().begin(), student.gradients().end());
      }
      BOOST_TEST((outputs[0] == outputs[1] && outputs[0] == outputs[2]));
      BOOST_TEST((gradients[0] == gradients[1] && gradients[0] == gradients[2]));
    }
}

/// Slopes along packed directions, and gradients of all weights reduced to thresholds, are two ways to the same
/// numbers.
BOOST_AUTO_TEST_CASE(both_ways_to_the_threshold_gradients_agree) {
  const Setting s{{.scheme = fat::Scheme::symmetric, .bits = 5}};
  auto few = s.student({true, true, false, false, {}});
  auto all = s.student({true, true, false, true, {}});
  const auto slope = slopes(few.forward(Setting::samples()).size());
  all.forward(Setting::samples());
  few.backward(slope);
  all.backward(slope);
  const std::size_t count = few.parameters().size();
  double size = 0.0;
  for (std::size_t i = 0; i != count; ++i) size = std::fmax(size, std::fabs(static_cast<double>(few.gradients()[i])));
  BOOST_TEST_REQUIRE(size > 0.0);
  for (std::size_t i = 0; i != count; ++i)
    BOOST_TEST(std::fabs(static_cast<double>(few.gradients()[i] - all.gradients()[i])) <= 1e-5 * size);
}

/// Without grids nothing rounds: gradients of biases and factors are plain derivatives.
BOOST_AUTO_TEST_CASE(gradients_of_biases_and_factors_are_finite_differences) {
  Setting s{{}};
  s.grids.activations.assign(s.model.values.size(), std::nullopt);
  for (auto& of_layer : s.grids.weights) of_layer.clear();
  auto student = s.student({false, false, true, true, {}});
  std::mt19937 random{3};
  for (float& p : student.parameters()) p += std::uniform_real_distribution<float>{-0.05F, 0.05F}(random);
  const auto slope = slopes(student.forward(Setting::samples()).size());
  student.backward(slope);
  const std::vector<float> gradients(student.gradients().begin(), student.gradients().end());
  double size = 0.0;
  for (const float g : gradients) size = std::fmax(size, std::fabs(static_cast<double>(g)));
  std::size_t off = 0;
  for (std::size_t i = 0; i != gradients.size(); ++i) {
    float& p = student.parameters()[i];
    const float before = p;
    constexpr float step = 1.0F / 512.0F;
    p = before + step;
    const double above = loss(student.forward(Setting::samples()), slope);
    p = before - step;
    const double below = loss(student.forward(Setting::samples()), slope);
    p = before;
    const double difference = (above - below) / (2.0 * static_cast<double>(step));
    off += std::fabs(difference - static_cast<double>(gradients[i])) > 2e-3 * size ? 1U : 0U;
  }
  BOOST_TEST(off * 50 <= gradients.size(),
             off << " of " << gradients.size() << " gradients are off (kinks account for a few)");
}

BOOST_AUTO_TEST_CASE(projection_keeps_every_factor_in_its_bounds) {
  const Setting s{{}};
  auto student = s.student(everything);
  for (float& p : student.parameters()) p = 9.0F;
  student.project();
  const auto groups = student.groups();
  for (std::size_t i = 0; i != groups[0].count; ++i) BOOST_TEST(student.parameters()[i] <= 1.0F);
  for (std::size_t i = 0; i != groups[2].count; ++i) BOOST_TEST(student.parameters()[groups[2].first + i] == 1.25F);
}

/// The same grid with codes from 0 or from -128 is moved alike: where its codes begin does not make it symmetric.
BOOST_AUTO_TEST_CASE(a_zero_point_makes_a_grid_asymmetric) {
  const fat::Interval<float> range{-1.0F, 3.0F};
  const fat::Grid<float> from_zero = fat::asymmetric_grid(range.low, 4.0F, fat::Codes{0, 255, 255});
  const fat::Grid<float> centered = fat::asymmetric_grid(range.low, 4.0F, fat::Codes{-128, 127, 255});
  const fat::TrainedGrid a{from_zero, range, fat::PaperBounds::value};
  const fat::TrainedGrid b{centered, range, fat::PaperBounds::value};
  BOOST_TEST(a.count() == 2U);
  BOOST_TEST(b.count() == 2U);
  const float factors[] = {0.1F, 0.7F};
  BOOST_TEST(a.grid(factors).step == b.grid(factors).step);
  BOOST_TEST(a.grid(factors).zero_point == b.grid(factors).zero_point + 128);
  const fat::Grid<float> symmetric = fat::symmetric_grid(3.0F, fat::Codes{0, 255, 255});
  BOOST_TEST((fat::TrainedGrid{symmetric, {0.0F, 3.0F}, fat::PaperBounds::value}.count() == 1U));
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_too_large_is_refused) {
  const Setting s{{}};
  auto student = s.student({});
  const std::vector<std::size_t> many(images_count + 1, 0);
  BOOST_CHECK_EXCEPTION(student.forward(many), fat::error, [](const fat::error& e) {
    return std::string{e.what()}.find("8 samples in a batch of at most 7") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
