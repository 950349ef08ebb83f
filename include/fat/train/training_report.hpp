// What a training tells: of every step to listeners, of the whole run to its caller.
#ifndef FAT_TRAIN_TRAINING_REPORT_HPP_INCLUDED
#define FAT_TRAIN_TRAINING_REPORT_HPP_INCLUDED

#include <fat/config.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {

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
  /// Loss, gradients, parameters or the optimizer's state were not finite: the last good parameters are back, the
  /// rate is lowered.
  bool restored = false;
  /// Something the user has to know, else empty; valid during the call.
  std::string_view note = {};
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
  /// Whether the checkpoint file holds the state in which training ended.
  bool saved = false;
  /// What the user has to know, told as StepReport::note where a step followed.
  std::vector<std::string> notes;
};

}  // namespace fat::inline FAT_ABI

#endif
