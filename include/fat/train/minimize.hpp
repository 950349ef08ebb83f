// minimize: the training loop, generic over network, loss, optimizer and schedule.
#ifndef FAT_TRAIN_MINIMIZE_HPP_INCLUDED
#define FAT_TRAIN_MINIMIZE_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/train/minimization.hpp>
#include <fat/train/network.hpp>
#include <fat/train/objective.hpp>
#include <fat/train/optimizer.hpp>
#include <fat/train/plan.hpp>
#include <fat/train/schedule.hpp>
#include <fat/train/training_report.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

namespace fat::inline FAT_ABI {

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

/// Trains the network's parameters so that its outputs on every sample come to the targets. Batches are drawn without
/// replacement in an order that depends on the seed and the epoch alone; an incomplete last batch is left for later
/// epochs. Each listener is called as listener(const StepReport&) after every step. A step allocates nothing. The
/// result depends on the inputs and the seed alone, bit for bit, if the network's does. A checkpoint that cannot be
/// written any more does not end the run: it is told once.
/// Errors: those of plan_training; targets or labels of another length; groups that overlap; initial parameters,
/// outputs or rates that are not finite; a checkpoint that cannot be created or read, belongs to another run, or is
/// there though none is to be resumed.
template <Network N, class O, class P, Schedule S, class... Listeners>
  requires Objective<O, network_real_t<N>> && Optimizer<P, network_real_t<N>> TrainingReport
  minimize(N& network, const Targets<network_real_t<N>>& targets, const O& objective, const P& optimizer,
           const S& schedule, const MinimizeOptions& options, Listeners&&... listeners) {
    detail::Minimization<N, O, P, S> run{network, targets, objective, optimizer, schedule, options};
    while (!run.ended()) {
      [[maybe_unused]] const StepReport told = run.step();
      (listeners(told), ...);
      run.close_step();
    }
    return run.finish();
  }

}  // namespace fat::inline FAT_ABI

#endif
