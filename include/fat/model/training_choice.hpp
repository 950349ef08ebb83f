// Loss, optimizer and schedule chosen by options at run time, for one instance of the training loop.
#ifndef FAT_MODEL_TRAINING_CHOICE_HPP_INCLUDED
#define FAT_MODEL_TRAINING_CHOICE_HPP_INCLUDED

#include <fat/model/options.hpp>
#include <fat/train/adam.hpp>
#include <fat/train/loss.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/sgd.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <variant>

namespace fat::inline FAT_ABI {

/// The highest rate of the thresholds that is tried where none is asked for. Adam moves every parameter by about the rate, gradient descent by
/// the rate times a gradient.
inline double default_learning_rate(Finetuning what, TrainingOptimizer optimizer = TrainingOptimizer::adam) {
  if (optimizer == TrainingOptimizer::sgd) return what == Finetuning::pointwise ? 1e-5 : 3e-5;
  return what == Finetuning::pointwise ? 3e-4 : 3e-3;
}

namespace detail {

/// The Objective of an option.
class ChosenLoss {
 public:
  explicit ChosenLoss(TrainingLoss which) : which_(which) {}
  template <class Real>
  double evaluate(const Outputs<Real>& outputs, std::span<Real> gradient) const {
    switch (which_) {
      case TrainingLoss::element_rmse:
        return ElementRmse{}.evaluate(outputs, gradient);
      case TrainingLoss::absolute:
        return SmoothedAbsolute{}.evaluate(outputs, gradient);
      default:
        return BatchRmse{}.evaluate(outputs, gradient);
    }
  }

 private:
  TrainingLoss which_;
};

/// The state of either optimizer.
template <class Real>
struct ChosenState {
  std::variant<AdamState<Real>, SgdState<Real>> state;

  template <class Visitor>
  void visit(Visitor&& visitor) {
    std::visit([&](auto& of_one) { of_one.visit(visitor); }, state);
  }
};

/// The Optimizer of an option.
class ChosenOptimizer {
 public:
  explicit ChosenOptimizer(TrainingOptimizer which) : which_(which) {}
  template <class Real>
  ChosenState<Real> start(std::span<const Real> parameters) const {
    if (which_ == TrainingOptimizer::sgd) return {Sgd{}.start(parameters)};
    return {Adam{}.start(parameters)};
  }
  template <class Real>
  void step(ChosenState<Real>& state, std::span<std::type_identity_t<Real>> parameters,
            std::span<const std::type_identity_t<Real>> gradients, double rate) const {
    if (auto* const adam = std::get_if<AdamState<Real>>(&state.state))
      Adam{}.step(*adam, parameters, gradients, rate);
    else
      Sgd{}.step(std::get<SgdState<Real>>(state.state), parameters, gradients, rate);
  }

 private:
  TrainingOptimizer which_;
};

/// The Schedule of an option, over a training of so many steps.
class ChosenSchedule {
 public:
  /// Errors: more cycles than steps.
  ChosenSchedule(const QuantizeOptions& options, std::size_t steps) {
    const double rate = options.learning_rate.value_or(default_learning_rate(options.finetune, options.optimizer));
    const std::size_t cycles = options.cycles.value_or(1);
    expects(cycles <= steps, "finetune: ", cycles, " cycles in a training of ", steps,
            " steps; give fewer cycles or more epochs");
    const std::size_t cycle = (steps + cycles - 1) / cycles;
    switch (options.schedule) {
      case TrainingSchedule::constant:
        schedule_ = ConstantRate{rate};
        break;
      case TrainingSchedule::authors:
        schedule_ = AuthorsSchedule{.rate = rate, .cycle = options.cycles ? cycle : AuthorsSchedule{}.cycle};
        break;
      default:
        schedule_ = CosineRestarts{.rate = rate, .cycle = cycle};
    }
  }
  StepRate at(std::size_t step) const {
    return std::visit([&](const auto& schedule) { return schedule.at(step); }, schedule_);
  }

 private:
  std::variant<CosineRestarts, ConstantRate, AuthorsSchedule> schedule_;
};

}  // namespace detail

}  // namespace fat::inline FAT_ABI

#endif
