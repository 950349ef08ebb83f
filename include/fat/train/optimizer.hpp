// Optimizer: moves parameters against their gradients; hyper-parameters apart from the state of a run.
#ifndef FAT_TRAIN_OPTIMIZER_HPP_INCLUDED
#define FAT_TRAIN_OPTIMIZER_HPP_INCLUDED

#include <fat/config.hpp>

#include <concepts>
#include <span>
#include <type_traits>
#include <utility>

namespace fat::inline FAT_ABI {

/// The state `optimizer.start(parameters)` returns.
template <class O, class Real>
using optimizer_state_t = decltype(std::declval<const O&>().start(std::declval<std::span<const Real>>()));

/// `start(parameters)` makes the state of a new run (copyable; copies between states of equal length do not allocate);
/// `step(state, parameters, gradients, rate)` moves the parameters in place and allocates nothing. Hyper-parameters are
/// public members of the optimizer. Each parameter group has a state; spans are valid during the call. Where a run has
/// a checkpoint, the optimizer is also tried for a few steps on made-up parameters and gradients, as many as each group
/// has, so that the checkpoint is refused under other hyper-parameters: results may depend on the arguments alone.
template <class O, class Real = float>
concept Optimizer = requires(const O& optimizer, std::span<const Real> start, std::span<Real> parameters,
                             std::span<const Real> gradients, optimizer_state_t<O, Real>& state, double rate) {
  optimizer.start(start);
  optimizer.step(state, parameters, gradients, rate);
}
&&std::copyable<optimizer_state_t<O, Real>>;

/// A state a checkpoint can hold: `state.visit(f)` calls f(std::span<T>) for every buffer, always in one order; the
/// spans' lengths follow from the parameters given to start. A trivially copyable state needs no visit.
template <class State>
concept CheckpointableState = std::is_trivially_copyable_v<State> || requires(State& state) {
  state.visit([](auto) {});
};

}  // namespace fat::inline FAT_ABI

#endif
