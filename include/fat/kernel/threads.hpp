// Threads: a fixed set of workers that run numbered tasks; no allocation and no lock per task.
#ifndef FAT_KERNEL_THREADS_HPP_INCLUDED
#define FAT_KERNEL_THREADS_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace fat::inline FAT_ABI {

/// A fixed pool. `run(tasks, f)` calls f(task, worker) for every task < tasks, worker < size(); the calling thread is
/// worker 0. Which worker takes a task is not fixed, so results must depend on the task only. One run at a time.
/// The first exception of a task is rethrown by run. A waiting worker spins briefly, then sleeps.
class Threads {
 public:
  explicit Threads(std::size_t size = 1) {
    expects(size != 0, "Threads: at least one thread is needed");
    for (std::size_t worker = 1; worker < size; ++worker) workers_.emplace_back([this, worker] { serve(worker); });
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    stop_.store(true);
    announce();
    for (auto& worker : workers_) worker.join();
  }

  std::size_t size() const noexcept { return workers_.size() + 1; }

  template <class Function>
  void run(std::size_t tasks, Function&& function) {
    if (workers_.empty() || tasks <= 1) {
      for (std::size_t task = 0; task != tasks; ++task) function(task, std::size_t{0});
      return;
    }
    using Callable = std::remove_reference_t<Function>;
    call_ = [](void* callable, std::size_t task, std::size_t worker) {
      (*static_cast<Callable*>(callable))(task, worker);
    };
    callable_ = const_cast<void*>(static_cast<const void*>(&function));
    tasks_ = tasks;
    failure_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(workers_.size(), std::memory_order_relaxed);
    announce();
    work(0);
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin)
      if (spin > spins) std::this_thread::yield();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  static constexpr int spins = 4000;

  void announce() {
    {
      const std::lock_guard lock{mutex_};
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
  }
  void work(std::size_t worker) {
    for (std::size_t task = 0; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) {
      try {
        call_(callable_, task, worker);
      } catch (...) {
        const std::lock_guard lock{mutex_};
        if (!failure_) failure_ = std::current_exception();
      }
    }
  }
  void serve(std::size_t worker) {
    std::size_t seen = 0;
    while (true) {
      for (int spin = 0; spin != spins && generation_.load(std::memory_order_acquire) == seen; ++spin) {
      }
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock{mutex_};
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      }
      ++seen;
      if (stop_.load()) return;
      work(worker);
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  void (*call_)(void*, std::size_t, std::size_t) = nullptr;
  void* callable_ = nullptr;
  std::size_t tasks_ = 0;
  std::exception_ptr failure_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> busy_{0};
  std::atomic<std::size_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace fat::inline FAT_ABI

#endif
