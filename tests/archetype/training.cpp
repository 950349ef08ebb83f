// The least that types of a user must have to train: a network with members, one with traits, an optimizer, a loss.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>

#include "../support/two_layer_network.hpp"

#include <vector>

#include <boost/test/unit_test.hpp>

namespace foreign {

/// A network of another library: other names, no projection.
struct Net {
  tests::TwoLayerNetwork<double> inner;
  std::span<double> theta() { return inner.parameters(); }
};

}  // namespace foreign

template <>
struct fat::network_traits<foreign::Net> {
  static std::span<double> parameters(foreign::Net& net) { return net.theta(); }
  static std::span<const double> gradients(foreign::Net& net) { return net.inner.gradients(); }
  static std::span<const double> forward(foreign::Net& net, std::span<const std::size_t> samples) {
    return net.inner.forward(samples);
  }
  static void backward(foreign::Net& net, std::span<const double> outputs) { net.inner.backward(outputs); }
  static void project(foreign::Net&) {}
};

BOOST_AUTO_TEST_SUITE(archetype_training)

namespace {

/// Descent whose state is a plain number.
struct SlowingDescent {
  struct State {
    double steps = 0.0;
  };
  State start(std::span<const double>) const { return {}; }
  void step(State& state, std::span<double> parameters, std::span<const double> gradients, double rate) const {
    state.steps += 1.0;
    for (std::size_t i = 0; i != parameters.size(); ++i) parameters[i] -= rate / std::sqrt(state.steps) * gradients[i];
  }
};

/// Squared error, of the double outputs only.
struct SquaredError {
  double evaluate(const fat::Outputs<double>& outputs, std::span<double> gradient) const {
    double sum = 0.0;
    for (std::size_t i = 0; i != outputs.student.size(); ++i) {
      const double d = outputs.student[i] - outputs.teacher[i];
      sum += d * d;
      if (!gradient.empty()) gradient[i] = 2.0 * d;
    }
    return sum;
  }
};

struct NoGradients {
  std::span<float> parameters();
  std::span<const float> forward(std::span<const std::size_t>);
  void backward(std::span<const float>);
  void project();
};

static_assert(fat::Network<tests::TwoLayerNetwork<float>> && fat::Network<foreign::Net>);
static_assert(!fat::Network<NoGradients> && !fat::Network<int> && !fat::GroupedNetwork<foreign::Net>);
static_assert(fat::Optimizer<SlowingDescent, double> && !fat::Optimizer<SlowingDescent, float>);
static_assert(fat::Objective<SquaredError, double> && !fat::Objective<SquaredError, float>);

std::vector<double> targets() {
  std::vector<double> values;
  for (std::size_t sample = 0; sample != 40; ++sample)
    values.push_back(std::tanh(0.1 * static_cast<double>(sample) - 2.0));
  return values;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_foreign_network_trains_with_a_users_optimizer_and_loss) {
  foreign::Net net;
  const auto values = targets();
  const auto report = fat::minimize(net, fat::Targets<double>{values, 1}, SquaredError{}, SlowingDescent{},
                                    fat::ConstantRate{0.02}, {.epochs = 50, .batch = 8, .held_out = 0.2});
  BOOST_TEST(report.validations.back() < 0.2 * report.validations.front());
}

BOOST_AUTO_TEST_CASE(a_network_with_members_trains_in_float_and_double) {
  const auto values = targets();
  const std::vector<float> narrow(values.begin(), values.end());
  tests::TwoLayerNetwork<double> wide;
  tests::TwoLayerNetwork<float> single;
  const fat::MinimizeOptions options{.epochs = 60, .batch = 8};
  const fat::CosineRestarts schedule{.rate = 0.02, .cycle = 120};
  const auto a = fat::minimize(wide, fat::Targets<double>{values, 1}, fat::BatchRmse{}, fat::Adam{}, schedule, options);
  const auto b =
      fat::minimize(single, fat::Targets<float>{narrow, 1}, fat::BatchRmse{}, fat::Adam{}, schedule, options);
  BOOST_TEST(a.best_validation < 0.1 * a.validations.front());
  BOOST_TEST(b.best_validation < 0.1 * b.validations.front());
}

BOOST_AUTO_TEST_SUITE_END()
