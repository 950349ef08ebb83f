// What a training works on: the targets, and the state that a checkpoint holds.
#ifndef FAT_TRAIN_TRAINING_STATE_HPP_INCLUDED
#define FAT_TRAIN_TRAINING_STATE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/checkpoint.hpp>
#include <fat/train/network.hpp>
#include <fat/train/objective.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

namespace fat::inline FAT_ABI {

/// What the outputs of every sample should be: the teacher's outputs [samples, columns], and true classes where known.
/// The memory is the caller's and has to live as long as the training.
template <class Real>
struct Targets {
  std::span<const Real> values;
  std::size_t columns = 0;
  std::span<const std::size_t> labels = {};
  std::size_t samples() const noexcept { return columns == 0 ? 0 : values.size() / columns; }
};

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

/// Without an early end, so that compilers make vectors of it.
template <class Real>
bool all_finite(std::span<const Real> values) noexcept {
  bool finite = true;
  for (const Real value : values) finite &= std::isfinite(value);
  return finite;
}

/// Whether every real number in an optimizer's state is finite: squares of gradients overflow before the gradients do,
/// and an infinite moment makes every later step 0.
template <class State>
bool finite_state(State& state) {
  bool finite = true;
  const auto look = [&]<class T>(std::span<T> values) {
    if constexpr (std::is_floating_point_v<T>) finite = finite && all_finite(std::span<const T>{values});
  };
  if constexpr (requires { state.visit(look); })
    state.visit(look);
  else
    look(std::span<State>{&state, 1});
  return finite;
}

/// Errors: groups that reach beyond the parameters or overlap, a rate that is not finite.
inline void check_groups(std::span<const ParameterGroup> groups, std::size_t parameters) {
  for (const ParameterGroup& group : groups) {
    expects(group.first <= parameters && group.count <= parameters - group.first,
            "minimize: a parameter group reaches beyond the ", parameters, " parameters");
    expects(std::isfinite(group.rate), "minimize: the rate of a parameter group is not finite");
    for (const ParameterGroup& other : groups.first(static_cast<std::size_t>(&group - groups.data())))
      expects(group.first >= other.first + other.count || other.first >= group.first + group.count ||
                  group.count == 0 || other.count == 0,
              "minimize: two parameter groups overlap at parameter ", std::max(group.first, other.first),
              "; give every parameter to one group");
  }
}

/// What optimizers with other hyper-parameters do differently, on parameters of the real number: a few steps with
/// gradients of many sizes, rising, because a small one after a large one does not count, and an epsilon shows only
/// beside gradients of its own size.
template <class Real, class Optimizer>
void add_behaviour(Fingerprint& print, const Optimizer& optimizer, std::size_t count) {
  constexpr double sizes[] = {1e-9, -1e-8, 1e-7, -1e-5, 1e-3, -0.5};
  aligned_vector<Real> parameters(count, Real(1.0 / 1024.0));
  aligned_vector<Real> gradients(count);
  auto state = optimizer.start(std::span<const Real>{parameters});
  for (std::size_t step = 0; step != std::size(sizes); ++step) {
    for (std::size_t i = 0; i != count; ++i)
      gradients[i] = static_cast<Real>(sizes[std::min(step + i % 2, std::size(sizes) - 1)]);
    optimizer.step(state, std::span<Real>{parameters}, std::span<const Real>{gradients}, 0.125);
    print.add(std::span<const Real>{parameters});
  }
}

/// What other losses give: value and gradient a little beside the first targets.
template <class Real, class Objective>
void add_behaviour(Fingerprint& print, const Objective& objective, const Targets<Real>& targets) {
  const std::size_t rows = std::min<std::size_t>(targets.samples(), 2);
  const auto teacher = targets.values.first(rows * targets.columns);
  aligned_vector<Real> student(teacher.begin(), teacher.end());
  for (std::size_t i = 0; i != student.size(); ++i) student[i] += static_cast<Real>(0.125 * double(i % 5) - 0.1875);
  aligned_vector<Real> gradient(student.size());
  const auto labels = targets.labels.first(targets.labels.empty() ? 0 : rows);
  print.add(objective.evaluate(Outputs<Real>{student, teacher, rows, labels}, std::span<Real>{gradient}));
  print.add(std::span<const Real>{gradient});
}

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
