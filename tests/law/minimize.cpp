// What the training loop promises whatever the network: repeatable, resumable, recovers from NaN, never ends worse.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>
#include <fat/train/sgd.hpp>

#include "../support/two_layer_network.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(law_minimize)

namespace {

using Net = tests::TwoLayerNetwork<float>;

const std::vector<float>& values() {
  static const std::vector<float> made = [] {
    std::vector<float> out;
    for (int sample = 0; sample != 40; ++sample) out.push_back(std::tanh(0.1F * static_cast<float>(sample) - 2.0F));
    return out;
  }();
  return made;
}

fat::MinimizeOptions options() { return {.epochs = 5, .batch = 8, .seed = 3, .held_out = 0.2}; }
const fat::CosineRestarts schedule{.rate = 0.02, .cycle = 7};

template <class N, class... Listeners>
fat::TrainingReport train(N& net, const fat::MinimizeOptions& chosen, Listeners&&... listeners) {
  return fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Adam{}, schedule, chosen,
                       listeners...);
}

bool same_parameters(Net& a, Net& b) { return std::ranges::equal(a.parameters(), b.parameters()); }

/// A file of this process in the temporary folder, removed with the object.
struct TemporaryFile {
  std::string path = (std::filesystem::temp_directory_path() /
                      ("fat_law_minimize_" + std::to_string(std::hash<const void*>{}(this)) + ".ckpt"))
                         .string();
  ~TemporaryFile() { std::remove(path.c_str()); }
};

/// Gives NaN for the outputs of one forward pass.
struct Faulty : Net {
  std::size_t passes = 0;
  std::size_t bad_from = 0;
  std::size_t bad_to = 0;
  std::vector<float> spoiled;
  std::span<const float> forward(std::span<const std::size_t> samples) {
    const auto good = Net::forward(samples);
    if (++passes < bad_from || passes > bad_to) return good;
    spoiled.assign(good.size(), std::numeric_limits<float>::quiet_NaN());
    return spoiled;
  }
};

/// Its gradients grow beyond all bounds.
struct Exploding : Net {
  std::vector<float> huge = std::vector<float>(6, std::numeric_limits<float>::infinity());
  std::span<const float> gradients() { return huge; }
  void project() {}
};

/// Two groups: the first three parameters stand still.
struct Grouped : Net {
  std::vector<fat::ParameterGroup> parts{{0, 3, 0.0}, {3, 3, 1.0}};
  std::span<const fat::ParameterGroup> groups() const { return parts; }
};
static_assert(fat::GroupedNetwork<Grouped>);

}  // namespace

BOOST_AUTO_TEST_CASE(the_seed_decides_everything) {
  Net a;
  Net b;
  Net c;
  auto other = options();
  other.seed = 4;
  const auto first = train(a, options());
  BOOST_TEST((first.losses == train(b, options()).losses));
  BOOST_TEST(same_parameters(a, b));
  BOOST_TEST((first.losses != train(c, other).losses));
}

BOOST_AUTO_TEST_CASE(listeners_hear_every_step) {
  Net net;
  std::vector<double> heard;
  std::size_t measured = 0;
  std::size_t restarts = 0;
  const auto report = train(net, options(), [&](const fat::StepReport& step) {
    heard.push_back(step.loss);
    measured += std::isnan(step.validation) ? 0 : 1;
    restarts += step.restarted ? 1 : 0;
    BOOST_TEST(step.step == heard.size());
    BOOST_TEST(step.steps == 20U);
  });
  BOOST_TEST(heard == report.losses, boost::test_tools::per_element());
  BOOST_TEST(measured == 5U);
  BOOST_TEST(restarts == 2U);
  BOOST_TEST(report.validations.size() == 6U);
}

BOOST_AUTO_TEST_CASE(the_best_parameters_are_kept) {
  Net net;
  const std::vector<float> before(net.parameters().begin(), net.parameters().end());
  // Ascent: every step makes the network worse.
  struct Ascent : fat::Sgd {
    void step(fat::SgdState<float>& state, std::span<float> p, std::span<const float> g, double rate) const {
      fat::Sgd::step(state, p, g, -rate);
    }
  };
  const auto report = fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, Ascent{},
                                    fat::ConstantRate{0.1}, options());
  BOOST_TEST(report.best_step == 0U);
  BOOST_TEST(report.best_validation == report.validations.front());
  BOOST_TEST(std::ranges::equal(net.parameters(), before));
}

BOOST_AUTO_TEST_CASE(patience_ends_training_early) {
  Net net;
  auto chosen = options();
  chosen.patience = 2;
  const auto report = fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Sgd{},
                                    fat::ConstantRate{0.0}, chosen);
  BOOST_TEST((report.ending == fat::Ending::early));
  BOOST_TEST(report.steps == 8U);
}

BOOST_AUTO_TEST_CASE(a_nan_restores_and_slows_down) {
  Faulty net;
  net.bad_from = net.bad_to = 7;  // the fifth step: measurements stand before the first and after the fourth
  std::vector<double> rates;
  std::size_t restored = 0;
  auto chosen = options();
  chosen.held_out = 0.1;
  const auto report = fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Adam{},
                                    fat::ConstantRate{0.01}, chosen, [&](const fat::StepReport& step) {
                                      rates.push_back(step.rate);
                                      if (step.restored) restored = step.step;
                                    });
  BOOST_TEST(report.restores == 1U);
  BOOST_TEST(restored != 0U);
  BOOST_TEST(std::isnan(report.losses[restored - 1]));
  BOOST_TEST(rates.front() == 0.01);
  BOOST_TEST(rates.back() == 0.005);
  BOOST_TEST((report.ending == fat::Ending::finished));
  BOOST_TEST(report.best_validation < report.validations.front());
}

BOOST_AUTO_TEST_CASE(training_that_always_explodes_is_given_up_with_the_initial_parameters) {
  Exploding net;
  const std::vector<float> before(net.parameters().begin(), net.parameters().end());
  const auto report = train(net, options());
  BOOST_TEST((report.ending == fat::Ending::diverged));
  BOOST_TEST(report.restores == 9U);
  BOOST_TEST(std::ranges::equal(net.parameters(), before));
}

BOOST_AUTO_TEST_CASE(a_stopped_run_resumes_bit_for_bit) {
  for (const std::size_t stop_after : {1U, 3U, 4U, 8U, 13U, 19U}) {
    const TemporaryFile file;
    Net whole;
    const auto expected = train(whole, options());
    std::atomic<bool> stop{false};
    auto chosen = options();
    chosen.checkpoint = file.path;
    chosen.stop = &stop;
    Net part;
    const auto interrupted = train(part, chosen, [&](const fat::StepReport& step) { stop = step.step == stop_after; });
    BOOST_TEST((interrupted.ending == fat::Ending::interrupted));
    BOOST_TEST(interrupted.steps == stop_after);
    stop = false;
    chosen.resume = true;
    Net resumed;
    const auto report = train(resumed, chosen);
    BOOST_TEST(report.losses == expected.losses, boost::test_tools::per_element());
    BOOST_TEST(report.validations == expected.validations, boost::test_tools::per_element());
    BOOST_TEST(same_parameters(whole, resumed));
  }
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_run_is_refused) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  Net net;
  train(net, chosen);
  chosen.resume = true;
  for (int change = 0; change != 5; ++change) {
    auto other = chosen;
    if (change == 0) other.seed = 9;
    if (change == 1) other.epochs = 6;
    if (change == 2) other.fingerprint = 1;
    if (change == 3) other.batch = 4;
    if (change == 4) other.held_out = 0.3;
    Net again;
    BOOST_CHECK_THROW(train(again, other), fat::error);
  }
  Net again;
  auto shifted = values();
  shifted[7] += 0.5F;
  BOOST_CHECK_THROW(
      fat::minimize(again, fat::Targets<float>{shifted, 1}, fat::BatchRmse{}, fat::Adam{}, schedule, chosen),
      fat::error);
  BOOST_CHECK_THROW(fat::minimize(again, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Adam{.beta1 = 0.8},
                                  schedule, chosen),
                    fat::error);
  BOOST_CHECK_THROW(fat::minimize(again, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Adam{},
                                  fat::ConstantRate{}, chosen),
                    fat::error);
}

BOOST_AUTO_TEST_CASE(a_damaged_checkpoint_is_refused) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  Net net;
  train(net, chosen);
  const auto size = std::filesystem::file_size(file.path);
  for (const auto length : {std::uintmax_t{0}, std::uintmax_t{7}, size / 2, size - 1}) {
    std::filesystem::resize_file(file.path, length);
    chosen.resume = true;
    Net again;
    BOOST_CHECK_THROW(train(again, chosen), fat::error);
    chosen.resume = false;
    train(again, chosen);
  }
  std::FILE* const opened = std::fopen(file.path.c_str(), "r+b");
  std::fseek(opened, static_cast<long>(size / 2), SEEK_SET);
  const int byte = std::fgetc(opened);
  std::fseek(opened, static_cast<long>(size / 2), SEEK_SET);
  std::fputc(byte ^ 1, opened);
  std::fclose(opened);
  chosen.resume = true;
  Net again;
  BOOST_CHECK_THROW(train(again, chosen), fat::error);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_that_cannot_be_written_says_so) {
  auto chosen = options();
  chosen.checkpoint = "no such folder/checkpoint";
  Net net;
  BOOST_CHECK_THROW(train(net, chosen), fat::error);
}

BOOST_AUTO_TEST_CASE(a_full_disk_keeps_the_earlier_checkpoint,
                     *boost::unit_test::precondition([](auto) { return std::filesystem::exists("/dev/full"); })) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  Net net;
  const auto report = train(net, chosen);
  std::filesystem::create_symlink("/dev/full", file.path + ".partial");
  Net again;
  BOOST_CHECK_EXCEPTION(train(again, chosen), fat::error, [](const fat::error& raised) {
    return std::string{raised.what()}.find("free some space") != std::string::npos;
  });
  BOOST_TEST(!std::filesystem::exists(std::filesystem::symlink_status(file.path + ".partial")));
  chosen.resume = true;
  Net resumed;
  BOOST_TEST(train(resumed, chosen).losses == report.losses, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(groups_have_rates_of_their_own) {
  Grouped net;
  const std::vector<float> before(net.parameters().begin(), net.parameters().end());
  auto chosen = options();
  chosen.held_out = 0.0;
  train(net, chosen);
  for (std::size_t i = 0; i != 3; ++i) BOOST_TEST(net.parameters()[i] == before[i]);
  for (std::size_t i = 3; i != 6; ++i) BOOST_TEST(net.parameters()[i] != before[i]);
  net.parts[1].count = 4;
  BOOST_CHECK_THROW(train(net, chosen), fat::error);
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused) {
  Net net;
  auto chosen = options();
  chosen.batch = 33;  // 32 samples are left to train on
  BOOST_CHECK_THROW(train(net, chosen), fat::error);
  chosen = options();
  chosen.epochs = 0;
  BOOST_CHECK_THROW(train(net, chosen), fat::error);
  chosen = options();
  chosen.held_out = 1.0;
  BOOST_CHECK_THROW(train(net, chosen), fat::error);
  auto run = [&](const std::vector<float>& targets, std::size_t columns, const std::vector<std::size_t>& labels) {
    fat::minimize(net, fat::Targets<float>{targets, columns, labels}, fat::BatchRmse{}, fat::Adam{}, schedule,
                  options());
  };
  BOOST_CHECK_THROW(run({}, 1, {}), fat::error);
  BOOST_CHECK_THROW(run(values(), 3, {}), fat::error);
  BOOST_CHECK_THROW(run(values(), 1, {0, 1}), fat::error);
  auto infinite = values();
  infinite[5] = std::numeric_limits<float>::infinity();
  BOOST_CHECK_THROW(run(infinite, 1, {}), fat::error);
  net.parameters()[0] = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK_THROW(train(net, options()), fat::error);
}

BOOST_AUTO_TEST_CASE(cached_outputs_are_those_of_the_network) {
  Net net;
  const auto cached =
      fat::cache_outputs<float>([&](std::span<const std::size_t> samples) { return net.forward(samples); }, 10, 4);
  for (std::size_t sample = 0; sample != 10; ++sample)
    BOOST_TEST(cached[sample] == net.forward(std::span<const std::size_t>{&sample, 1})[0]);
  BOOST_CHECK_THROW(fat::cache_outputs<float>([&](std::span<const std::size_t> s) { return net.forward(s); }, 0, 4),
                    fat::error);
}

BOOST_AUTO_TEST_SUITE_END()
