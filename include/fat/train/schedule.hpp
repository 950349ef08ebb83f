// Learning-rate schedules (NUMERICS 8): the rate of every step, and where the optimizer starts afresh.
#ifndef FAT_TRAIN_SCHEDULE_HPP_INCLUDED
#define FAT_TRAIN_SCHEDULE_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <numbers>

namespace fat::inline FAT_ABI {

/// Rate of one step; restart: the optimizer's state is reset before it.
struct StepRate {
  double rate = 0.0;
  bool restart = false;
};

/// `schedule.at(step)` for step = 0, 1, 2, ...
template <class S>
concept Schedule = requires(const S& schedule, std::size_t step) {
  { schedule.at(step) } -> std::same_as<StepRate>;
};

/// Always the same rate, no restarts.
struct ConstantRate {
  double rate = 1e-3;
  StepRate at(std::size_t) const noexcept { return {rate, false}; }
};

/// Cosine annealing with warm restarts: over a cycle of T steps the rate falls as rate / 2 * (1 + cos(pi * k / T)),
/// then starts again; each cycle is `growth` times as long as the one before. Errors: a cycle of no steps, or growth 0.
struct CosineRestarts {
  double rate = 1e-3;
  std::size_t cycle = 100;
  std::size_t growth = 1;
  StepRate at(std::size_t step) const {
    expects(cycle != 0 && growth != 0, "CosineRestarts: cycle and growth must be at least 1");
    std::size_t first = 0;
    std::size_t length = cycle;
    if (growth == 1) {
      first = step / cycle * cycle;
    } else {
      while (step - first >= length) {
        first += length;
        length *= growth;
      }
    }
    const double along = static_cast<double>(step - first) / static_cast<double>(length);
    return {0.5 * rate * (1.0 + std::cos(std::numbers::pi * along)), step == first && step != 0};
  }
};

/// The schedule of the method's authors: rate * exp(-decay * step) * |cos(pi * (step mod cycle) / (4 * cycle))| +
/// floor, the optimizer reset at every cycle.
struct AuthorsSchedule {
  double rate = 1e-3;
  std::size_t cycle = 400;
  double decay = 1e-4;
  double floor = 1e-7;
  StepRate at(std::size_t step) const {
    expects(cycle != 0, "AuthorsSchedule: the cycle must be at least 1 step");
    const double along = static_cast<double>(step % cycle) / static_cast<double>(cycle);
    const double fade = std::exp(-decay * static_cast<double>(step));
    return {rate * fade * std::abs(std::cos(std::numbers::pi * along / 4.0)) + floor, step != 0 && step % cycle == 0};
  }
};

}  // namespace fat::inline FAT_ABI

#endif
