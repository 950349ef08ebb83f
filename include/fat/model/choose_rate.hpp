// choose_learning_rate: the rate of a training by short trials on the network at hand.
#ifndef FAT_MODEL_CHOOSE_RATE_HPP_INCLUDED
#define FAT_MODEL_CHOOSE_RATE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/model/training_choice.hpp>
#include <fat/train/minimize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

/// A rate that was tried, and the root mean square distance of all outputs from their targets after the trial.
struct RateTrial {
  double rate = 0.0;
  double rmse = std::numeric_limits<double>::infinity();
};

/// What choose_learning_rate did.
struct RateChoice {
  double rate = 0.0;
  std::size_t steps = 0;  ///< of each trial
  double untrained = 0.0;
  std::vector<RateTrial> trials;
};

namespace detail {

/// Over all samples, held out or not.
template <class N>
double rmse_of_all(N& network, const Targets<network_real_t<N>>& targets, std::size_t batch) {
  std::vector<std::size_t> samples(targets.samples());
  std::iota(samples.begin(), samples.end(), std::size_t{0});
  double sum = 0.0;
  for (std::size_t first = 0; first < samples.size(); first += batch) {
    const std::size_t count = std::min(batch, samples.size() - first);
    const auto outputs =
        network_traits<N>::forward(network, std::span<const std::size_t>{samples}.subspan(first, count));
    for (std::size_t i = 0; i != outputs.size(); ++i)
      sum += std::pow(
          static_cast<double>(outputs[i]) - static_cast<double>(targets.values[first * targets.columns + i]), 2);
  }
  return std::sqrt(sum / static_cast<double>(targets.values.size()));
}

}  // namespace detail

/// Trains with a tenth, a third and all of the default rate, each from the start and for about a third of the epochs (all
/// of them where those are few steps) under one cycle of the schedule, and takes the rate that brings the outputs of all
/// samples, held out or not, nearest to the targets; of equals the lowest. The network's parameters are as before
/// afterwards. `listener(done, total)` is called after each trial. Errors: those of minimize.
template <class N, class Listener>
RateChoice choose_learning_rate(N& network, const Targets<network_real_t<N>>& targets, const QuantizeOptions& options,
                                const MinimizeOptions& training, Listener&& listener) {
  constexpr std::size_t few = 12;
  constexpr std::array shares{0.1, 1.0 / 3.0, 1.0};
  const std::span<network_real_t<N>> parameters = network_traits<N>::parameters(network);
  const std::vector<network_real_t<N>> start(parameters.begin(), parameters.end());
  MinimizeOptions how = training;
  how.checkpoint.clear();
  how.resume = false;
  how.stop = nullptr;
  how.patience = 0;
  if (plan_training(targets.samples(), training).steps > few) how.epochs = (training.epochs + 2) / 3;
  QuantizeOptions each = options;
  each.cycles.reset();
  RateChoice choice;
  choice.steps = plan_training(targets.samples(), how).steps;
  choice.untrained = detail::rmse_of_all(network, targets, how.batch);
  const double whole = default_learning_rate(options.finetune, options.optimizer);
  double least = std::numeric_limits<double>::infinity();
  choice.rate = whole * shares[0];
  for (const double share : shares) {
    each.learning_rate = share * whole;
    const detail::ChosenSchedule schedule{each, choice.steps};
    const TrainingReport report = minimize(network, targets, detail::ChosenLoss{options.loss},
                                           detail::ChosenOptimizer{options.optimizer}, schedule, how);
    RateTrial trial{*each.learning_rate, detail::rmse_of_all(network, targets, how.batch)};
    if (report.restores != 0) trial.rmse = std::numeric_limits<double>::infinity();  // unstable
    if (trial.rmse < least) least = trial.rmse, choice.rate = trial.rate;
    choice.trials.push_back(trial);
    std::copy(start.begin(), start.end(), parameters.begin());
    listener(choice.trials.size(), shares.size());
  }
  return choice;
}

namespace detail {

/// One sentence on what was found.
inline std::string describe(const RateChoice& choice) {
  std::string text{Message{"learning rate ", choice.rate, " chosen by trials of ", choice.steps,
                           " steps: output RMSE on all images ", choice.untrained, " untrained"}
                       .view()};
  for (const RateTrial& trial : choice.trials) text += Message{", ", trial.rmse, " at ", trial.rate}.view();
  return text;
}

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
