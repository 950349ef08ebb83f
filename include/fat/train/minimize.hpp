// minimize: the training loop, generic over network, loss, optimizer and schedule.
#ifndef FAT_TRAIN_MINIMIZE_HPP_INCLUDED
#define FAT_TRAIN_MINIMIZE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/checkpoint.hpp>
#include <fat/train/network.hpp>
#include <fat/train/objective.hpp>
#include <fat/train/optimizer.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/shuffle.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

/// What the outputs of every sample should be: the teacher's outputs [samples, columns], and true classes where known.
template <class Real>
struct Targets {
  std::span<const Real> values;
  std::size_t columns = 0;
  std::span<const std::size_t> labels = {};
  std::size_t samples() const noexcept { return columns == 0 ? 0 : values.size() / columns; }
};

/// How long and how carefully to train.
struct MinimizeOptions {
  std::size_t epochs = 6;
  std::size_t batch = 16;
  std::uint64_t seed = 0;
  /// Share of the samples that are not trained on but measured: the parameters that do best on them are kept. 0: none,
  /// and the last parameters are kept.
  double held_out = 0.1;
  /// Steps between measurements of the held-out samples; 0: once an epoch.
  std::size_t validate_every = 0;
  /// Measurements without improvement after which training ends early; 0: never.
  std::size_t patience = 0;
  /// After a NaN or Inf the parameters of at most this many steps ago are restored, and the rate is multiplied by
  /// backoff.
  std::size_t snapshot_every = 10;
  double backoff = 0.5;
  /// Restores after which training is given up.
  std::size_t max_restores = 8;
  /// Checkpoint file, written after every epoch and when stopped; empty: none.
  std::string checkpoint = {};
  /// Continue from the checkpoint file, where it exists.
  bool resume = false;
  /// Of everything the loop cannot see: the model, the bounds, the loss. Part of a checkpoint's identity.
  std::uint64_t fingerprint = 0;
  /// Training stops after the step in which this becomes true (a signal handler may set it).
  const std::atomic<bool>* stop = nullptr;
};

/// One step, as listeners see it.
struct StepReport {
  std::size_t step = 0;   ///< steps made, from 1
  std::size_t steps = 0;  ///< steps planned
  std::size_t epoch = 0;  ///< from 0
  double loss = 0.0;
  double rate = 0.0;
  /// Loss of the held-out samples where they were measured after this step, else NaN.
  double validation = std::numeric_limits<double>::quiet_NaN();
  bool restarted = false;  ///< the schedule reset the optimizer before this step
  bool restored =
      false;  ///< loss or parameters were not finite: the last good parameters are back, the rate is lowered
};

/// Why training ended.
enum class Ending : std::uint8_t { finished, early, interrupted, diverged };

/// What a run did.
struct TrainingReport {
  Ending ending = Ending::finished;
  std::size_t steps = 0;
  std::size_t restores = 0;
  /// Loss of every step; NaN where the step was undone.
  std::vector<double> losses;
  /// Held-out loss before training and after each measurement, and the steps made by then; empty without held-out
  /// samples.
  std::vector<double> validations;
  std::vector<std::uint64_t> validation_steps;
  double best_validation = std::numeric_limits<double>::infinity();
  /// Steps after which the kept parameters were reached; 0: the initial ones were never improved.
  std::size_t best_step = 0;
};

/// Outputs of all samples, [samples, columns], from forward(span of sample numbers) called batch by batch: a teacher's
/// outputs, computed once. Errors: no samples.
template <class Real, class Forward>
aligned_vector<Real> cache_outputs(Forward&& forward, std::size_t samples, std::size_t batch) {
  expects(samples != 0 && batch != 0, "cache_outputs: no samples; give at least one image");
  std::vector<std::size_t> numbers(samples);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  aligned_vector<Real> outputs;
  for (std::size_t first = 0; first < samples; first += batch) {
    const std::size_t count = std::min(batch, samples - first);
    const std::span<const Real> made = forward(std::span<const std::size_t>{numbers}.subspan(first, count));
    if (first == 0) outputs.reserve(made.size() / count * samples);
    outputs.insert(outputs.end(), made.begin(), made.end());
  }
  return outputs;
}

namespace detail {

/// Everything that changes while training: what a checkpoint holds.
template <class Real, class State>
struct TrainingState {
  struct Counters {
    std::uint64_t step = 0;
    std::uint64_t restores = 0;
    std::uint64_t best_step = 0;
    std::uint64_t stale = 0;
    std::uint64_t validations = 0;
    double rate_factor = 1.0;
    double best_validation = std::numeric_limits<double>::infinity();
  } counters;
  std::vector<State> optimizer;
  aligned_vector<Real> snapshot;
  aligned_vector<Real> best;
  std::vector<double> losses;
  std::vector<double> validations;
  std::vector<std::uint64_t> validation_steps;

  template <class Visitor>
  void visit(std::span<Real> parameters, Visitor&& visitor) {
    visitor(std::span<Counters>{&counters, 1});
    visitor(parameters);
    for (State& state : optimizer) {
      if constexpr (requires { state.visit(visitor); })
        state.visit(visitor);
      else
        visitor(std::span<State>{&state, 1});
    }
    visitor(std::span<Real>{snapshot});
    visitor(std::span<Real>{best});
    visitor(std::span<double>{losses});
    visitor(std::span<double>{validations});
    visitor(std::span<std::uint64_t>{validation_steps});
  }
};

/// Copies the samples' rows out of the targets.
template <class Real>
class TargetRows {
 public:
  TargetRows(const Targets<Real>& targets, std::size_t batch)
      : targets_(targets), rows_(batch * targets.columns), labels_(targets.labels.empty() ? 0 : batch) {}
  Outputs<Real> join(std::span<const std::size_t> samples, std::span<const Real> student) {
    for (std::size_t row = 0; row != samples.size(); ++row) {
      const auto from = targets_.values.subspan(samples[row] * targets_.columns, targets_.columns);
      std::copy(from.begin(), from.end(), rows_.begin() + static_cast<std::ptrdiff_t>(row * targets_.columns));
      if (!labels_.empty()) labels_[row] = targets_.labels[samples[row]];
    }
    return {student, std::span<const Real>{rows_}.first(samples.size() * targets_.columns), samples.size(),
            std::span<const std::size_t>{labels_}.first(labels_.empty() ? 0 : samples.size())};
  }

 private:
  Targets<Real> targets_;
  aligned_vector<Real> rows_;
  std::vector<std::size_t> labels_;
};

template <class Real>
bool all_finite(std::span<const Real> values) noexcept {
  return std::all_of(values.begin(), values.end(), [](Real value) { return std::isfinite(value); });
}

/// What two optimizers with other hyper-parameters do differently: three steps of one parameter.
template <class Real, class Optimizer>
void add_behaviour(Fingerprint& fingerprint, const Optimizer& optimizer) {
  Real parameter{1};
  auto state = optimizer.start(std::span<const Real>{&parameter, 1});
  for (const Real gradient : {Real(0.5), Real(-0.25), Real(1e-7)}) {
    optimizer.step(state, std::span<Real>{&parameter, 1}, std::span<const Real>{&gradient, 1}, 0.125);
    fingerprint.add(parameter);
  }
}

}  // namespace detail

/// Trains the network's parameters so that its outputs on every sample come to the targets. Batches are drawn without
/// replacement in an order that depends on the seed and the epoch alone; an incomplete last batch is left for later
/// epochs. Each listener is called as listener(const StepReport&) after every step. A step allocates nothing. The
/// result depends on the inputs and the seed alone, bit for bit, if the network's does.
/// Errors: no samples, fewer than a batch, targets or labels of another length, initial parameters or outputs that are
/// not finite, a checkpoint that cannot be written or belongs to another run.
template <Network N, class O, class P, Schedule S, class... Listeners>
  requires Objective<O, network_real_t<N>> && Optimizer<P, network_real_t<N>> TrainingReport
  minimize(N& network, const Targets<network_real_t<N>>& targets, const O& objective, const P& optimizer,
           const S& schedule, const MinimizeOptions& options, Listeners&&... listeners) {
    using Real = network_real_t<N>;
    using Traits = network_traits<N>;
    using State = optimizer_state_t<P, Real>;
    static_assert(CheckpointableState<State>,
                  "an optimizer's state is trivially copyable or has visit(f), see Optimizer");

    const std::span<Real> parameters = Traits::parameters(network);
    const std::size_t samples = targets.samples();
    const std::size_t batch = options.batch;
    expects(batch != 0 && options.epochs != 0, "minimize: batch and epochs must be at least 1");
    expects(samples != 0 && targets.values.size() == samples * targets.columns,
            "minimize: no training samples; give at least one batch of images");
    expects(detail::all_finite(targets.values),
            "minimize: a target is not finite; check the teacher's images and weights");
    expects(targets.labels.empty() || targets.labels.size() == samples, "minimize: ", targets.labels.size(),
            " labels for ", samples, " samples");
    expects(options.held_out >= 0.0 && options.held_out < 1.0,
            "minimize: held_out is a share of the samples, from 0 to below 1");
    expects(detail::all_finite(std::span<const Real>{parameters}), "minimize: an initial parameter is not finite");

    std::vector<std::size_t> order(samples);
    std::iota(order.begin(), order.end(), std::size_t{0});
    shuffle(std::span{order}, options.seed);
    const auto held = static_cast<std::size_t>(std::lround(options.held_out * static_cast<double>(samples)));
    const std::span<const std::size_t> held_out = std::span<const std::size_t>{order}.first(held);
    const std::span<std::size_t> trained = std::span{order}.subspan(held);
    expects(trained.size() >= batch, "minimize: ", trained.size(), " samples to train on (", held,
            " held out), fewer than a batch of ", batch, "; give more images or a smaller batch");
    std::vector<std::size_t> by_number(trained.begin(), trained.end());
    const std::size_t steps_per_epoch = trained.size() / batch;
    const std::size_t steps = steps_per_epoch * options.epochs;
    const std::size_t validate_every = options.validate_every == 0 ? steps_per_epoch : options.validate_every;

    std::vector<ParameterGroup> groups{{0, parameters.size(), 1.0}};
    if constexpr (GroupedNetwork<N>) {
      const std::span<const ParameterGroup> own = Traits::groups(network);
      groups.assign(own.begin(), own.end());
    }
    detail::TrainingState<Real, State> state;
    for (const ParameterGroup& group : groups) {
      expects(group.first <= parameters.size() && group.count <= parameters.size() - group.first,
              "minimize: a parameter group reaches beyond the ", parameters.size(), " parameters");
      state.optimizer.push_back(optimizer.start(std::span<const Real>{parameters.subspan(group.first, group.count)}));
    }
    const std::vector<State> fresh = state.optimizer;
    state.snapshot.assign(parameters.begin(), parameters.end());
    state.best.assign(parameters.begin(), parameters.end());
    state.losses.assign(steps, 0.0);
    const std::size_t measurements = held == 0 ? 0 : steps / validate_every + 2;
    state.validations.assign(measurements, 0.0);
    state.validation_steps.assign(measurements, 0);

    detail::TargetRows<Real> rows{targets, std::max(batch, std::min(batch, held))};
    aligned_vector<Real> output_gradients(batch * targets.columns);
    auto outputs_of = [&](std::span<const std::size_t> chosen) {
      const std::span<const Real> student = Traits::forward(network, chosen);
      expects(student.size() == chosen.size() * targets.columns, "minimize: the network gives ", student.size(),
              " outputs for ", chosen.size(), " samples, the targets have ", targets.columns, " columns");
      return rows.join(chosen, student);
    };
    auto validate = [&] {
      double sum = 0.0;
      for (std::size_t first = 0; first < held; first += batch) {
        const auto chosen = held_out.subspan(first, std::min(batch, held - first));
        sum += objective.evaluate(outputs_of(chosen), std::span<Real>{}) * static_cast<double>(chosen.size());
      }
      const double loss = sum / static_cast<double>(held);
      auto& at = state.counters;
      state.validations[at.validations] = loss;
      state.validation_steps[at.validations++] = at.step;
      ++at.stale;
      if (loss < at.best_validation) {
        at.best_validation = loss;
        at.best_step = at.step;
        at.stale = 0;
        std::copy(parameters.begin(), parameters.end(), state.best.begin());
      }
      return loss;
    };

    Fingerprint identity;
    identity.add(options.fingerprint).add(options.epochs).add(batch).add(options.seed).add(held).add(validate_every);
    identity.add(options.patience).add(options.snapshot_every).add(options.backoff).add(parameters.size());
    identity.add(targets.values).add(targets.labels);
    for (const ParameterGroup& group : groups) identity.add(group.first).add(group.count).add(group.rate);
    for (std::size_t step = 0; step != steps; ++step) identity.add(schedule.at(step).rate);
    detail::add_behaviour<Real>(identity, optimizer);
    auto save = [&] {
      if (options.checkpoint.empty()) return;
      CheckpointWriter writer{options.checkpoint, identity.value()};
      state.visit(parameters, writer);
      writer.finish();
    };

    auto& at = state.counters;
    const bool resumed = options.resume && !options.checkpoint.empty() &&
                         detail::File{std::fopen(options.checkpoint.c_str(), "rb")} != nullptr;
    if (resumed) {
      CheckpointReader reader{options.checkpoint, identity.value()};
      state.visit(parameters, reader);
    } else if (held != 0) {
      const double before = validate();
      expects(std::isfinite(before), "minimize: the loss of the untrained network is not finite");
    }

    TrainingReport report;
    for (std::size_t step = at.step, first = step; step != steps; step = at.step) {
      const std::size_t within = step % steps_per_epoch;
      if (within == 0 || step == first) {
        std::copy(by_number.begin(), by_number.end(), trained.begin());
        shuffle(trained, options.seed ^ SplitMix64{step / steps_per_epoch + 1}());
      }
      const std::span<const std::size_t> chosen{trained.subspan(within * batch, batch)};
      const StepRate scheduled = schedule.at(step);
      if (scheduled.restart) state.optimizer = fresh;
      StepReport told{step + 1, steps, step / steps_per_epoch, 0.0, scheduled.rate * at.rate_factor};
      told.restarted = scheduled.restart;
      told.loss = objective.evaluate(outputs_of(chosen), std::span<Real>{output_gradients});
      if (std::isfinite(told.loss)) {
        if (step % std::max<std::size_t>(options.snapshot_every, 1) == 0)
          std::copy(parameters.begin(), parameters.end(), state.snapshot.begin());
        Traits::backward(network, std::span<const Real>{output_gradients});
        const std::span<const Real> gradients = Traits::gradients(network);
        for (std::size_t g = 0; g != groups.size(); ++g)
          optimizer.step(state.optimizer[g], parameters.subspan(groups[g].first, groups[g].count),
                         gradients.subspan(groups[g].first, groups[g].count), told.rate * groups[g].rate);
        Traits::project(network);
      }
      told.restored = !std::isfinite(told.loss) || !detail::all_finite(std::span<const Real>{parameters});
      if (told.restored) {
        std::copy(state.snapshot.begin(), state.snapshot.end(), parameters.begin());
        state.optimizer = fresh;
        at.rate_factor *= options.backoff;
        ++at.restores;
        told.loss = std::numeric_limits<double>::quiet_NaN();
      }
      state.losses[step] = told.loss;
      ++at.step;
      const bool give_up = at.restores > options.max_restores;
      if (held != 0 && (at.step % validate_every == 0 || at.step == steps || give_up)) told.validation = validate();
      (listeners(static_cast<const StepReport&>(told)), ...);
      const bool interrupted = options.stop != nullptr && options.stop->load(std::memory_order_relaxed);
      if (interrupted || at.step % steps_per_epoch == 0) save();
      if (give_up) report.ending = Ending::diverged;
      if (options.patience != 0 && at.stale >= options.patience) report.ending = Ending::early;
      if (interrupted && at.step != steps) report.ending = Ending::interrupted;
      if (report.ending != Ending::finished) break;
    }

    if (held != 0) {
      std::copy(state.best.begin(), state.best.end(), parameters.begin());
      Traits::project(network);
    }
    report.steps = at.step;
    report.restores = at.restores;
    report.best_validation = at.best_validation;
    report.best_step = held != 0 ? at.best_step : at.step;
    state.losses.resize(at.step);
    state.validations.resize(at.validations);
    state.validation_steps.resize(at.validations);
    report.losses = std::move(state.losses);
    report.validations = std::move(state.validations);
    report.validation_steps = std::move(state.validation_steps);
    return report;
  }

}  // namespace fat::inline FAT_ABI

#endif
