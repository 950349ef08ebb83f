// Interrupt: turns signals into a flag that a training reads, so that its state is saved first.
#ifndef FAT_CLI_INTERRUPT_HPP_INCLUDED
#define FAT_CLI_INTERRUPT_HPP_INCLUDED

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string_view>

namespace cli {

/// While this lives the first SIGINT, SIGTERM or SIGHUP only sets the flag; the second one ends the program as usual.
/// Signals that the program was started to ignore (nohup) stay ignored.
class Interrupt {
 public:
  Interrupt() {
    caught_.store(0);
    flag_.store(false);
    struct sigaction action = {};
    action.sa_handler = [](int signal) {
      caught_.store(signal, std::memory_order_relaxed);
      flag_.store(true, std::memory_order_relaxed);
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i != signals.size(); ++i) {
      ::sigaction(signals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &action, nullptr);
    }
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() {
    for (std::size_t i = 0; i != signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  }
  static const std::atomic<bool>* flag() noexcept { return &flag_; }
  /// The signal that set the flag, or 0.
  static int caught() noexcept { return caught_.load(); }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
                "a signal handler may only touch lock-free atomics");
  static constexpr std::array<int, 3> signals{SIGINT, SIGTERM, SIGHUP};
  static inline std::atomic<bool> flag_{false};
  static inline std::atomic<int> caught_{0};
  std::array<struct sigaction, 3> before_{};
};

/// Follows the stages of a job: only a training looks at the flag, so only while one runs are signals kept from ending
/// the program. One that came too late for the training to heed ends the program when the training is over.
class InterruptTraining {
 public:
  void operator()(std::string_view stage) {
    if (stage == "train") {
      if (!interrupt_) interrupt_.emplace();
    } else if (interrupt_) {
      interrupt_.reset();
      if (const int signal = Interrupt::caught(); signal != 0) std::raise(signal);
    }
  }

 private:
  std::optional<Interrupt> interrupt_;
};

}  // namespace cli

#endif
