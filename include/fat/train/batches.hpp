// Which samples a training step sees: batches in an order of the seed and the epoch, and those that are held out.
#ifndef FAT_TRAIN_BATCHES_HPP_INCLUDED
#define FAT_TRAIN_BATCHES_HPP_INCLUDED

#include <fat/train/plan.hpp>
#include <fat/train/shuffle.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI::detail {

/// The samples of every step of a plan, drawn without replacement; every epoch has an order of its own.
class Batches {
 public:
  Batches(std::size_t samples, const TrainingPlan& plan, const MinimizeOptions& options)
      : seed_(options.seed),
        batch_(options.batch),
        held_(plan.held),
        steps_per_epoch_(plan.steps_per_epoch),
        order_(sample_order(samples, options.seed)),
        trained_(order_.begin() + static_cast<std::ptrdiff_t>(held_), order_.end()) {}

  std::span<const std::size_t> held_out() const noexcept { return std::span{order_}.first(held_); }
  /// Valid until the next call. Allocates nothing.
  std::span<const std::size_t> of_step(std::size_t step) {
    const std::size_t epoch = step / steps_per_epoch_ + 1;
    if (std::exchange(shuffled_, epoch) != epoch) {
      std::copy(order_.begin() + static_cast<std::ptrdiff_t>(held_), order_.end(), trained_.begin());
      shuffle(std::span{trained_}, seed_ ^ SplitMix64{epoch}());
    }
    return std::span{trained_}.subspan(step % steps_per_epoch_ * batch_, batch_);
  }

 private:
  std::uint64_t seed_;
  std::size_t batch_;
  std::size_t held_;
  std::size_t steps_per_epoch_;
  std::vector<std::size_t> order_;    ///< of all samples, the held-out ones in front
  std::vector<std::size_t> trained_;  ///< the others in the order of the epoch
  std::size_t shuffled_ = 0;          ///< that epoch, from 1
};

}  // namespace fat::inline FAT_ABI::detail

#endif
