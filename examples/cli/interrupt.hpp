// Interrupt: turns SIGINT and SIGTERM into a flag that a training reads, so that its state is saved first.
#ifndef FAT_CLI_INTERRUPT_HPP_INCLUDED
#define FAT_CLI_INTERRUPT_HPP_INCLUDED

#include <atomic>
#include <csignal>

namespace cli {

/// While this lives the first signal only sets the flag; the second one ends the program as usual.
class Interrupt {
 public:
  Interrupt() {
    flag_.store(false);
    struct sigaction action = {};
    action.sa_handler = [](int) { flag_.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &before_[0]);
    ::sigaction(SIGTERM, &action, &before_[1]);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() {
    ::sigaction(SIGINT, &before_[0], nullptr);
    ::sigaction(SIGTERM, &before_[1], nullptr);
  }
  const std::atomic<bool>* flag() const noexcept { return &flag_; }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");
  static inline std::atomic<bool> flag_{false};
  struct sigaction before_[2] = {};
};

}  // namespace cli

#endif
