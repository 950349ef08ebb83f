// What the training loop promises whatever the network: repeatable, resumable, recovers from NaN, never ends worse.
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/minimize.hpp>
#include <fat/train/sgd.hpp>

#include "../support/two_layer_network.hpp"

#include <sys/resource.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
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

std::string message_of(auto&& f) {
  try {
    f();
  } catch (const fat::error& raised) {
    return raised.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) == std::string::npos) BOOST_TEST_MESSAGE(text);
  return text.find(part) != std::string::npos;
}

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

/// NaN and infinity wherever they may come from; a projection that hides them.
struct Poisoned : Net {
  enum Where { gradient, huge_gradient } where = gradient;
  std::size_t step = 0;
  std::size_t bad = 5;
  std::vector<float> poisoned;
  std::span<const float> gradients() {
    const auto good = Net::gradients();
    poisoned.assign(good.begin(), good.end());
    if (++step == bad) poisoned[2] = where == gradient ? std::numeric_limits<float>::quiet_NaN() : 1e30F;
    return poisoned;
  }
  void project() {
    for (float& p : parameters()) p = std::max(-4.0F, std::min(4.0F, p));
  }
};

BOOST_AUTO_TEST_CASE(nan_and_infinity_are_seen_before_a_projection_hides_them) {
  auto chosen = options();
  chosen.held_out = 0.0;
  for (const auto where : {Poisoned::gradient, Poisoned::huge_gradient}) {
    Poisoned net;
    net.where = where;
    const auto report = train(net, chosen);
    BOOST_TEST(report.restores == 1U);  // 1e30 is finite, its square in Adam's state is not
    BOOST_TEST(std::isnan(report.losses[4]));
  }
  /// An optimizer that makes nothing of a NaN.
  struct Signs {
    struct State {};
    State start(std::span<const float>) const { return {}; }
    void step(State&, std::span<float> p, std::span<const float> g, double rate) const {
      for (std::size_t i = 0; i != p.size(); ++i)
        p[i] -= static_cast<float>(rate) * static_cast<float>((g[i] > 0.0F) - (g[i] < 0.0F));
    }
  };
  Poisoned hidden;
  BOOST_TEST(
      fat::minimize(hidden, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, Signs{}, fat::ConstantRate{}, chosen)
          .restores == 1U);
  /// An optimizer whose step, not whose gradient, leaves the reals.
  struct Leap : fat::Sgd {
    void step(fat::SgdState<float>& state, std::span<float> p, std::span<const float> g, double rate) const {
      fat::Sgd::step(state, p, g, rate);
      if (rate == 0.5) p[1] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  struct Once {
    fat::StepRate at(std::size_t step) const { return {step == 4 ? 0.5 : 0.01, false}; }
  };
  Poisoned net;
  net.bad = 0;
  const auto report = fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, Leap{}, Once{}, chosen);
  BOOST_TEST(report.restores == 1U);
  for (const float p : net.parameters()) BOOST_TEST(std::fabs(p) < 4.0F);
}

/// The parameters before every step, as an optimizer sees them.
struct Seen {
  std::vector<std::vector<float>> before;
  std::vector<std::size_t> steps_of_state;
};
struct Watched {
  Seen* seen;
  std::size_t nan_at = 1000;
  struct State {
    std::uint64_t steps = 0;
  };
  State start(std::span<const float>) const { return {}; }
  void step(State& state, std::span<float> p, std::span<const float> g, double rate) const {
    seen->before.emplace_back(p.begin(), p.end());
    seen->steps_of_state.push_back(state.steps++);
    for (std::size_t i = 0; i != p.size(); ++i) p[i] -= static_cast<float>(rate) * g[i];
    if (seen->before.size() == nan_at) p[0] = std::numeric_limits<float>::infinity();
  }
};

BOOST_AUTO_TEST_CASE(a_restart_of_the_schedule_and_a_restore_give_a_fresh_optimizer) {
  Net net;
  Seen seen;
  fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, Watched{&seen, 11}, schedule, options());
  // restarts before the steps 7 and 14; the 11th step is undone
  for (std::size_t step = 0; step != 20; ++step) {
    const std::size_t since = step < 7 ? 0 : step < 11 ? 7 : step < 14 ? 11 : 14;
    BOOST_TEST(seen.steps_of_state[step] == step - since);
  }
}

BOOST_AUTO_TEST_CASE(a_restore_goes_back_to_the_last_snapshot) {
  Net net;
  Seen seen;
  auto chosen = options();
  chosen.snapshot_every = 3;
  fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, Watched{&seen, 12}, schedule, chosen);
  // the 12th step (number 11) is undone; the last snapshot was taken before step number 9
  BOOST_TEST(seen.before[12] == seen.before[9], boost::test_tools::per_element());
  BOOST_TEST((seen.before[12] != seen.before[0] && seen.before[12] != seen.before[11]));
}

/// Writes down which samples it is asked for; its outputs say who they are.
struct Asked {
  std::vector<float> one{0.0F}, slope{0.0F}, out;
  std::vector<std::vector<std::size_t>> asked;
  std::span<float> parameters() { return one; }
  std::span<const float> gradients() { return slope; }
  std::span<const float> forward(std::span<const std::size_t> samples) {
    asked.emplace_back(samples.begin(), samples.end());
    out.assign(samples.begin(), samples.end());
    return out;
  }
  void backward(std::span<const float>) {}
  void project() {}
};

/// Every row must meet its own target and label; the loss is 1 a row, and more in incomplete batches.
struct RowsMatch {
  bool* all;
  double evaluate(const fat::Outputs<float>& outputs, std::span<float> gradient) const {
    for (float& g : gradient) g = 0.0F;
    for (std::size_t row = 0; row != outputs.rows; ++row)
      *all = *all && outputs.student[row] == outputs.teacher[row] &&
             outputs.labels[row] == static_cast<std::size_t>(outputs.student[row]);
    return static_cast<double>(outputs.rows);
  }
};

BOOST_AUTO_TEST_CASE(rows_meet_their_targets_epochs_differ_and_batches_count_by_their_size) {
  std::vector<float> numbers;
  std::vector<std::size_t> labels;
  for (std::size_t sample = 0; sample != 43; ++sample) {
    numbers.push_back(static_cast<float>(sample));
    labels.push_back(sample);
  }
  Asked net;
  bool all = true;
  auto chosen = options();
  chosen.held_out = 11.0 / 43.0;  // batches of 8 and 3
  chosen.epochs = 3;
  const auto report = fat::minimize(net, fat::Targets<float>{numbers, 1, labels}, RowsMatch{&all}, fat::Sgd{},
                                    fat::ConstantRate{}, chosen);
  BOOST_TEST(all);
  for (const double measured : report.validations) BOOST_TEST(measured == (8.0 * 8.0 + 3.0 * 3.0) / 11.0);
  // in front two batches of held-out samples, then 4 batches and two held-out ones an epoch
  const std::vector<std::size_t> held(net.asked[0].begin(), net.asked[0].end());
  BOOST_TEST(held == net.asked[6], boost::test_tools::per_element());
  std::vector<std::vector<std::size_t>> epochs;
  for (std::size_t epoch = 0; epoch != 3; ++epoch) {
    auto& order = epochs.emplace_back();
    for (std::size_t batch = 0; batch != 4; ++batch) {
      const auto& asked = net.asked[2 + 6 * epoch + batch];
      order.insert(order.end(), asked.begin(), asked.end());
    }
  }
  BOOST_TEST((epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2]));
  for (auto& order : epochs) std::ranges::sort(order);
  BOOST_TEST((epochs[0] == epochs[1] && epochs[1] == epochs[2]));
  BOOST_TEST((std::ranges::adjacent_find(epochs[0]) == epochs[0].end()));
}

BOOST_AUTO_TEST_CASE(a_run_that_ended_makes_no_other_step_when_resumed) {
  for (const bool explodes : {false, true}) {
    const TemporaryFile file;
    auto chosen = options();
    chosen.checkpoint = file.path;
    chosen.patience = explodes ? 0 : 1;
    chosen.max_restores = 3;  // the fourth restore, with the fourth step, is at the end of an epoch
    const auto run = [&](auto net) {
      return fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Sgd{}, fat::ConstantRate{0.0},
                           chosen);
    };
    const auto first = explodes ? run(Exploding{}) : run(Net{});
    BOOST_TEST((first.ending == (explodes ? fat::Ending::diverged : fat::Ending::early)));
    chosen.resume = true;
    const auto again = explodes ? run(Exploding{}) : run(Net{});
    BOOST_TEST((again.ending == first.ending));
    BOOST_TEST(again.steps == first.steps);
    BOOST_TEST(again.steps == 4U);
  }
}

BOOST_AUTO_TEST_CASE(momentum_is_part_of_a_checkpoint) {
  const TemporaryFile file;
  const auto run = [](Net& net, const fat::MinimizeOptions& how, auto&& listener) {
    return fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Sgd{}, schedule, how, listener);
  };
  const auto silent = [](const fat::StepReport&) {};
  Net whole;
  run(whole, options(), silent);
  std::atomic<bool> stop{false};
  auto chosen = options();
  chosen.checkpoint = file.path;
  chosen.stop = &stop;
  Net part;
  run(part, chosen, [&](const fat::StepReport& step) { stop = step.step == 5; });
  stop = false;
  chosen.resume = true;
  Net resumed;
  run(resumed, chosen, silent);
  BOOST_TEST(same_parameters(whole, resumed));
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
  for (int change = 0; change != 10; ++change) {
    auto other = chosen;
    if (change == 0) other.seed = 9;
    if (change == 1) other.epochs = 6;
    if (change == 2) other.fingerprint = 1;
    if (change == 3) other.batch = 4;
    if (change == 4) other.held_out = 0.3;
    if (change == 5) other.max_restores = 1;
    if (change == 6) other.patience = 9;
    if (change == 7) other.snapshot_every = 3;
    if (change == 8) other.backoff = 0.25;
    if (change == 9) other.validate_every = 3;
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
  const auto refused = [&](const auto& loss, const auto& optimizer, const auto& rates) {
    Net other;
    return contains(message_of([&] {
                      fat::minimize(other, fat::Targets<float>{values(), 1}, loss, optimizer, rates, chosen);
                    }),
                    "belongs to another model");
  };
  BOOST_TEST(!refused(fat::BatchRmse{}, fat::Adam{}, schedule));
  for (const double epsilon : {0.0, 1e-7, 1e-6, 1e-3})
    BOOST_TEST(refused(fat::BatchRmse{}, fat::Adam{.epsilon = epsilon}, schedule), epsilon);
  BOOST_TEST(refused(fat::BatchRmse{}, fat::Adam{.form = fat::Adam::Epsilon::tensorflow}, schedule));
  BOOST_TEST(refused(fat::BatchRmse{}, fat::Adam{.beta2 = 0.9991}, schedule));
  BOOST_TEST(refused(fat::SmoothedAbsolute{}, fat::Adam{}, schedule));
  BOOST_TEST(refused(fat::CombinedLoss<>{.distillation = 0.5}, fat::Adam{}, schedule));
  struct OtherRestarts {
    fat::StepRate at(std::size_t step) const { return {schedule.at(step).rate, step == 5}; }
  };
  BOOST_TEST(refused(fat::BatchRmse{}, fat::Adam{}, OtherRestarts{}));
}

/// An optimizer is asked for the parameters it will get, and for nothing where there is no checkpoint.
BOOST_AUTO_TEST_CASE(an_optimizer_with_a_rate_for_every_parameter_trains) {
  struct OwnRates {
    std::vector<float> rates = std::vector<float>(6, 0.5F);
    struct State {
      int unused = 0;
    };
    mutable std::size_t starts = 0;
    State start(std::span<const float> parameters) const {
      fat::expects(parameters.size() == rates.size(), "OwnRates: other parameters");
      ++starts;
      return {};
    }
    void step(State&, std::span<float> p, std::span<const float> g, double rate) const {
      for (std::size_t i = 0; i != p.size(); ++i) p[i] -= static_cast<float>(rate) * rates[i] * g[i];
    }
  };
  const TemporaryFile file;
  auto chosen = options();
  const OwnRates own;
  Net net;
  fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, own, schedule, chosen);
  BOOST_TEST(own.starts == 1U);
  chosen.checkpoint = file.path;
  fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, own, schedule, chosen);
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
    std::filesystem::remove(file.path);
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

/// No file may grow beyond this while it lives: what a full disk does to a write.
struct FullDisk {
  explicit FullDisk(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit few{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &few);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before); }
  rlimit before{};
};

BOOST_AUTO_TEST_CASE(a_disk_full_from_the_start_says_why) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  Net net;
  std::string said;
  {
    const FullDisk full{10};
    said = message_of([&] { train(net, chosen); });
  }
  BOOST_TEST(contains(said, std::strerror(EFBIG)));
  BOOST_TEST(!std::filesystem::exists(file.path));
  for (const auto& each : std::filesystem::directory_iterator{std::filesystem::temp_directory_path()})
    BOOST_TEST(!each.path().string().starts_with(file.path));
}

BOOST_AUTO_TEST_CASE(a_disk_that_fills_up_keeps_the_earlier_checkpoint_and_the_run) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  Net whole;
  const auto expected = train(whole, options());
  Net net;
  std::optional<FullDisk> full;
  std::size_t told = 0;
  const auto report = train(net, chosen, [&](const fat::StepReport& step) {
    told += step.note.empty() ? 0U : 1U;
    if (step.step == 6) full.emplace(10);  // the checkpoint of the fourth step is there
  });
  full.reset();
  BOOST_TEST(told == 1U);
  BOOST_TEST(report.notes.size() == 1U);
  BOOST_TEST(contains(report.notes.at(0), std::strerror(EFBIG)));
  BOOST_TEST(!report.saved);
  BOOST_TEST((report.losses == expected.losses));
  chosen.resume = true;
  Net resumed;
  std::size_t first = 0;
  const auto again = train(resumed, chosen, [&](const fat::StepReport& step) {
    if (first == 0) first = step.step;
  });
  BOOST_TEST(first == 5U);
  BOOST_TEST(again.saved);
  BOOST_TEST((again.losses == expected.losses));
}

BOOST_AUTO_TEST_CASE(only_a_missing_file_is_no_checkpoint) {
  const TemporaryFile file;
  auto chosen = options();
  chosen.checkpoint = file.path;
  chosen.resume = true;
  Net net;
  const auto anew = train(net, chosen);
  BOOST_TEST_REQUIRE(anew.notes.size() == 1U);
  BOOST_TEST(contains(anew.notes[0], "training starts anew"));
  BOOST_TEST(train(net, chosen).notes.empty());
  chosen.resume = false;
  BOOST_TEST(contains(message_of([&] { train(net, chosen); }), "resume that (--resume), or remove the file"));
  chosen.resume = true;
  std::filesystem::remove(file.path);
  std::filesystem::create_symlink(file.path, file.path);  // cannot be opened, by nobody
  const std::string said = message_of([&] { train(net, chosen); });
  BOOST_TEST(contains(said, std::strerror(ELOOP)));
  BOOST_TEST(std::filesystem::is_symlink(file.path));
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
  net.parts[1] = {2, 4, 1.0};
  BOOST_TEST(contains(message_of([&] { train(net, chosen); }), "overlap at parameter 2"));
  net.parts[1] = {3, 3, std::numeric_limits<double>::quiet_NaN()};
  BOOST_TEST(contains(message_of([&] { train(net, chosen); }), "rate of a parameter group"));
}

/// A network may give a vector; what cannot be written to is no network.
BOOST_AUTO_TEST_CASE(parameters_are_anything_that_a_span_can_write_to) {
  struct WithVector : Net {
    std::vector<float> own = std::vector<float>(6, 0.5F);
    std::vector<float>& parameters() { return own; }
  };
  struct WithConst : Net {
    std::span<const float> parameters() { return Net::parameters(); }
  };
  struct WithCopy : Net {
    std::vector<float> parameters() { return {}; }
  };
  static_assert(fat::Network<WithVector> && std::same_as<fat::network_real_t<WithVector>, float>);
  static_assert(!fat::Network<WithConst> && !fat::Network<WithCopy>);
  WithVector net;
  auto chosen = options();
  chosen.held_out = 0.0;
  train(net, chosen);
  BOOST_TEST((net.own != std::vector<float>(6, 0.5F)));
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
  BOOST_TEST(contains(message_of([&] {
                        fat::minimize(net, fat::Targets<float>{values(), 1}, fat::BatchRmse{}, fat::Adam{},
                                      fat::ConstantRate{std::numeric_limits<double>::quiet_NaN()}, options());
                      }),
                      "rate of step 0 is not finite"));
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
