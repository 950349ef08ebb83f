// How a training is asked for, and how that divides its samples and steps.
#ifndef FAT_TRAIN_PLAN_HPP_INCLUDED
#define FAT_TRAIN_PLAN_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/train/shuffle.hpp>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace fat::inline FAT_ABI {

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
  /// Checkpoint file, written before the first step, after every epoch and when stopped; empty: none. A file that is
  /// there already is an error unless `resume` is set.
  std::string checkpoint = {};
  /// Continue from the checkpoint file; where there is none, start anew and say so.
  bool resume = false;
  /// Of everything the loop cannot see: the model, the bounds, what the images are. Part of a checkpoint's identity.
  std::uint64_t fingerprint = 0;
  /// Training stops after the step in which this becomes true (a signal handler may set it).
  const std::atomic<bool>* stop = nullptr;
};

/// What follows from the options and the number of samples.
struct TrainingPlan {
  std::size_t held = 0;     ///< samples that are measured, not trained on
  std::size_t trained = 0;  ///< the others
  std::size_t steps_per_epoch = 0;
  std::size_t steps = 0;
  std::size_t validate_every = 0;  ///< steps between two measurements
};

/// How many samples a share of them is.
inline std::size_t held_samples(std::size_t samples, double share) {
  return static_cast<std::size_t>(std::lround(share * static_cast<double>(samples)));
}

/// Errors: no samples, batch or epochs 0, a share that is none, fewer samples to train on than a batch, more steps than
/// can be counted; patience and nothing held out to measure.
inline TrainingPlan plan_training(std::size_t samples, const MinimizeOptions& options) {
  expects(options.batch != 0 && options.epochs != 0, "minimize: batch and epochs must be at least 1");
  expects(samples != 0, "minimize: no training samples; give at least one batch of images");
  expects(options.held_out >= 0.0 && options.held_out < 1.0,
          "minimize: held_out is a share of the samples, from 0 to below 1");
  expects(options.backoff > 0.0 && options.backoff <= 1.0, "minimize: backoff is ", options.backoff,
          "; give a factor above 0 and at most 1");
  TrainingPlan plan;
  plan.held = held_samples(samples, options.held_out);
  plan.trained = samples - plan.held;
  expects(plan.trained >= options.batch, "minimize: ", plan.trained, " samples to train on (", plan.held,
          " held out), fewer than a batch of ", options.batch, "; give more images or a smaller batch");
  plan.steps_per_epoch = plan.trained / options.batch;
  expects(options.epochs <= std::numeric_limits<std::uint32_t>::max() / plan.steps_per_epoch, "minimize: ",
          options.epochs, " epochs of ", plan.steps_per_epoch, " steps are too many; give fewer epochs");
  plan.steps = plan.steps_per_epoch * options.epochs;
  expects(options.patience == 0 || plan.held != 0, "minimize: patience needs held-out samples, and all ", samples,
          " are trained on; give more of them, or a smaller batch");
  plan.validate_every = options.validate_every == 0 ? plan.steps_per_epoch : options.validate_every;
  return plan;
}

/// The numbers of all samples in an order of the seed; the first `held` of a plan are the held-out ones.
inline std::vector<std::size_t> sample_order(std::size_t samples, std::uint64_t seed) {
  std::vector<std::size_t> order(samples);
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(std::span{order}, seed);
  return order;
}

}  // namespace fat::inline FAT_ABI

#endif
