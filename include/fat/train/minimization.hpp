// One run of minimize: its state, its steps, what it does when a step fails, its checkpoints.
#ifndef FAT_TRAIN_MINIMIZATION_HPP_INCLUDED
#define FAT_TRAIN_MINIMIZATION_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/batches.hpp>
#include <fat/train/checkpoint.hpp>
#include <fat/train/network.hpp>
#include <fat/train/objective.hpp>
#include <fat/train/optimizer.hpp>
#include <fat/train/plan.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/training_report.hpp>
#include <fat/train/training_state.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// One run of minimize.
template <class N, class O, class P, class S>
class Minimization {
  using Real = network_real_t<N>;
  using Traits = network_traits<N>;
  using State = optimizer_state_t<P, Real>;
  static_assert(CheckpointableState<State>,
                "an optimizer's state is trivially copyable or has visit(f), see Optimizer");

 public:
  Minimization(N& network, const Targets<Real>& targets, const O& objective, const P& optimizer, const S& schedule,
               const MinimizeOptions& options)
      : network_(network),
        targets_(targets),
        objective_(objective),
        optimizer_(optimizer),
        schedule_(schedule),
        options_(options),
        plan_(plan_training(targets.samples(), options)),
        parameters_(Traits::parameters(network)),
        batches_(targets.samples(), plan_, options),
        rows_(targets, options.batch),
        output_gradients_(options.batch * targets.columns) {
    check();
    groups_ = {{0, parameters_.size(), 1.0}};
    if constexpr (GroupedNetwork<N>) {
      const std::span<const ParameterGroup> own = Traits::groups(network_);
      groups_.assign(own.begin(), own.end());
    }
    check_groups(groups_, parameters_.size());
    for (const ParameterGroup& group : groups_)
      state_.optimizer.push_back(
          optimizer_.start(std::span<const Real>{parameters_.subspan(group.first, group.count)}));
    fresh_ = state_.optimizer;
    state_.snapshot.assign(parameters_.begin(), parameters_.end());
    state_.best.assign(parameters_.begin(), parameters_.end());
    state_.losses.assign(plan_.steps, 0.0);
    const std::size_t measurements = plan_.held == 0 ? 0 : plan_.steps / plan_.validate_every + 2;
    state_.validations.assign(measurements, 0.0);
    state_.validation_steps.assign(measurements, 0);
    begin();
  }

  bool ended() const noexcept { return at().step == plan_.steps || report_.ending != Ending::finished; }

  StepReport step() {
    auto& now = state_.counters;
    const std::size_t step = now.step;
    const StepRate scheduled = schedule_.at(step);
    if (scheduled.restart) state_.optimizer = fresh_;
    StepReport told{step + 1, plan_.steps, step / plan_.steps_per_epoch, 0.0, scheduled.rate * now.rate_factor};
    told.restarted = scheduled.restart;
    told.loss = objective_.evaluate(outputs_of(batches_.of_step(step)), std::span<Real>{output_gradients_});
    told.restored = !std::isfinite(told.loss) || !update(step, told.rate);
    if (told.restored) restore();
    if (told.restored) told.loss = std::numeric_limits<double>::quiet_NaN();
    state_.losses[step] = told.loss;
    ++now.step;
    if (plan_.held != 0 && (now.step % plan_.validate_every == 0 || now.step == plan_.steps || gives_up()))
      told.validation = validate();
    note_ = std::exchange(pending_, {});
    told.note = note_;
    return told;
  }

  /// After the listeners heard of the step, since those may stop the run.
  void close_step() {
    const bool stopped = options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
    report_.saved = false;
    if (!options_.checkpoint.empty() && (stopped || at().step % plan_.steps_per_epoch == 0)) {
      const std::string problem = save();
      if (!problem.empty() && !std::exchange(told_of_disk_, true))
        note(problem + "; training goes on, the last checkpoint that could be written stays");
    }
    judge();
    if (stopped && !ended()) report_.ending = Ending::interrupted;
  }

  TrainingReport finish() {
    if (plan_.held != 0) {
      std::copy(state_.best.begin(), state_.best.end(), parameters_.begin());
      Traits::project(network_);
    }
    report_.steps = at().step;
    report_.restores = at().restores;
    report_.best_validation = at().best_validation;
    report_.best_step = plan_.held != 0 ? at().best_step : at().step;
    state_.losses.resize(at().step);
    state_.validations.resize(at().validations);
    state_.validation_steps.resize(at().validations);
    report_.losses = std::move(state_.losses);
    report_.validations = std::move(state_.validations);
    report_.validation_steps = std::move(state_.validation_steps);
    return std::move(report_);
  }

 private:
  const auto& at() const noexcept { return state_.counters; }
  bool gives_up() const noexcept { return at().restores > options_.max_restores; }
  void note(std::string text) {
    pending_ += (pending_.empty() ? "" : "; ") + text;
    report_.notes.push_back(std::move(text));
  }

  void check() const {
    expects(targets_.values.size() == targets_.samples() * targets_.columns,
            "minimize: no training samples; give at least one batch of images");
    expects(all_finite(targets_.values), "minimize: a target is not finite; check the teacher's images and weights");
    expects(targets_.labels.empty() || targets_.labels.size() == targets_.samples(),
            "minimize: ", targets_.labels.size(), " labels for ", targets_.samples(), " samples");
    expects(all_finite(std::span<const Real>{parameters_}), "minimize: an initial parameter is not finite");
    for (std::size_t step = 0; step != plan_.steps; ++step)
      expects(std::isfinite(schedule_.at(step).rate), "minimize: the schedule's rate of step ", step, " is not finite");
  }

  /// Continues from the checkpoint, or measures where training starts from and keeps that: a place that cannot be
  /// written shows before the work is done.
  void begin() {
    const bool keeps = !options_.checkpoint.empty();
    if (keeps) identity_ = identity();
    if (keeps && has_checkpoint(options_.checkpoint, options_.resume)) {
      CheckpointReader reader{options_.checkpoint, identity_};
      state_.visit(parameters_, reader);
      report_.saved = true;
      return judge();
    }
    if (keeps && options_.resume) note("no checkpoint at " + options_.checkpoint + ", training starts anew");
    if (plan_.held != 0)
      expects(std::isfinite(validate()), "minimize: the loss of the untrained network is not finite");
    if (!keeps) return;
    const std::string problem = save();
    expects(problem.empty(), std::string_view{problem}, "; choose another place or free some space");
  }

  /// Everything that decides the course of the run.
  std::uint64_t identity() const {
    Fingerprint print;
    print.add(options_.fingerprint).add(options_.epochs).add(options_.batch).add(options_.seed).add(plan_.held);
    print.add(plan_.validate_every).add(options_.patience).add(options_.snapshot_every).add(options_.backoff);
    print.add(options_.max_restores).add(parameters_.size()).add(targets_.values).add(targets_.labels);
    for (std::size_t step = 0; step != plan_.steps; ++step)
      print.add(schedule_.at(step).rate).add(schedule_.at(step).restart);
    for (const ParameterGroup& group : groups_) {
      print.add(group.first).add(group.count).add(group.rate);
      add_behaviour<Real>(print, optimizer_, group.count);
    }
    add_behaviour<Real>(print, objective_, targets_);
    return print.value();
  }

  std::string save() {
    CheckpointWriter writer{options_.checkpoint, identity_};
    state_.visit(parameters_, writer);
    std::string problem = writer.finish();
    report_.saved = problem.empty();
    return problem;
  }

  /// Whether the run has to end here, however many steps are planned.
  void judge() noexcept {
    if (gives_up())
      report_.ending = Ending::diverged;
    else if (options_.patience != 0 && at().stale >= options_.patience)
      report_.ending = Ending::early;
  }

  Outputs<Real> outputs_of(std::span<const std::size_t> chosen) {
    const std::span<const Real> student = Traits::forward(network_, chosen);
    expects(student.size() == chosen.size() * targets_.columns, "minimize: the network gives ", student.size(),
            " outputs for ", chosen.size(), " samples, the targets have ", targets_.columns, " columns");
    return rows_.join(chosen, student);
  }

  /// One update; false where something is not finite. Parameters are looked at before they are projected: std::min and
  /// std::max would make a bound of a NaN.
  bool update(std::size_t step, double rate) {
    if (step % std::max<std::size_t>(options_.snapshot_every, 1) == 0)
      std::copy(parameters_.begin(), parameters_.end(), state_.snapshot.begin());
    Traits::backward(network_, std::span<const Real>{output_gradients_});
    const std::span<const Real> gradients = Traits::gradients(network_);
    if (!all_finite(gradients)) return false;
    for (std::size_t g = 0; g != groups_.size(); ++g) {
      optimizer_.step(state_.optimizer[g], parameters_.subspan(groups_[g].first, groups_[g].count),
                      gradients.subspan(groups_[g].first, groups_[g].count), rate * groups_[g].rate);
      if (!finite_state(state_.optimizer[g])) return false;
    }
    if (!all_finite(std::span<const Real>{parameters_})) return false;
    Traits::project(network_);
    return all_finite(std::span<const Real>{parameters_});
  }

  void restore() {
    std::copy(state_.snapshot.begin(), state_.snapshot.end(), parameters_.begin());
    state_.optimizer = fresh_;
    state_.counters.rate_factor *= options_.backoff;
    ++state_.counters.restores;
  }

  double validate() {
    double sum = 0.0;
    for (std::size_t first = 0; first < plan_.held; first += options_.batch) {
      const std::size_t count = std::min(options_.batch, plan_.held - first);
      sum += objective_.evaluate(outputs_of(batches_.held_out().subspan(first, count)), std::span<Real>{}) *
             static_cast<double>(count);
    }
    const double loss = sum / static_cast<double>(plan_.held);
    auto& now = state_.counters;
    state_.validations[now.validations] = loss;
    state_.validation_steps[now.validations++] = now.step;
    ++now.stale;
    if (loss < now.best_validation) {
      now.best_validation = loss;
      now.best_step = now.step;
      now.stale = 0;
      std::copy(parameters_.begin(), parameters_.end(), state_.best.begin());
    }
    return loss;
  }

  N& network_;
  Targets<Real> targets_;
  const O& objective_;
  const P& optimizer_;
  const S& schedule_;
  const MinimizeOptions& options_;
  TrainingPlan plan_;
  std::span<Real> parameters_;
  Batches batches_;
  TargetRows<Real> rows_;
  aligned_vector<Real> output_gradients_;
  std::vector<ParameterGroup> groups_;
  TrainingState<Real, State> state_;
  std::vector<State> fresh_;
  std::uint64_t identity_ = 0;
  std::string pending_, note_;
  bool told_of_disk_ = false;
  TrainingReport report_;
};

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
