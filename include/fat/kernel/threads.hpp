// Threads: a fixed set of workers that run numbered tasks; no allocation and no lock per task.
#ifndef FAT_KERNEL_THREADS_HPP_INCLUDED
#define FAT_KERNEL_THREADS_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fat::inline FAT_ABI {

/// A fixed pool. `run(tasks, f)` calls f(task, worker) for every task < tasks, worker < size(); the calling thread is
/// worker 0. Each worker begins with its own share of neighbouring tasks, so that what it made in one run it finds in its
/// caches in the next, and then helps the others: which worker takes a task is not fixed, and results must depend on the
/// task only. A worker that comes too late is not waited for. One run at a time. The first exception of a task is rethrown
/// by run. A waiting worker looks out for a while, then sleeps.
class Threads {
 public:
  explicit Threads(std::size_t size = 1) : shares_(size) {
    expects(size != 0, "Threads: at least one thread is needed");
    try {
      for (std::size_t worker = 1; worker < size; ++worker) workers_.emplace_back([this, worker] { serve(worker); });
    } catch (const std::system_error& error) {
      const std::size_t started = workers_.size();
      stop();
      fail("Threads: the system started ", started, " of ", size - 1, " threads (", error.what(), "); ask for fewer");
    } catch (...) {
      stop();
      throw;
    }
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop(); }

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
    for (std::size_t worker = 0; worker != size(); ++worker) {
      shares_[worker].next.store(tasks * worker / size(), std::memory_order_relaxed);
      shares_[worker].end = tasks * (worker + 1) / size();
    }
    failure_ = nullptr;
    gate_.store(open, std::memory_order_release);
    announce();
    work(0);
    gate_.fetch_sub(open, std::memory_order_acquire);  // whoever has not come by now has nothing to do
    for (int wait = 0; gate_.load(std::memory_order_acquire) != 0; ++wait) idle(wait);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  /// Tasks that one worker begins with: those from `next` on, below `end`. On a cache line of its own.
  struct alignas(64) Share {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };

  void stop() noexcept {
    stop_.store(true);
    announce();
    for (auto& worker : workers_) worker.join();
  }

  static constexpr std::size_t open = ~(~std::size_t{0} >> 1U);
  static constexpr int patience = 100'000;  // a millisecond or a few: a sleeping worker is slow to wake

  /// One moment of waiting: mostly a pause of the processor, now and then a place for another thread on this one.
  static void idle(int wait) noexcept {
    if (wait % 16 == 15) std::this_thread::yield();
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void announce() {
    {
      const std::lock_guard lock{mutex_};
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
  }
  void work(std::size_t worker) {
    for (std::size_t other = worker; other != worker + size(); ++other) {
      Share& share = shares_[other % size()];
      for (std::size_t task = 0; (task = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) {
        try {
          call_(callable_, task, worker);
        } catch (...) {
          const std::lock_guard lock{mutex_};
          if (!failure_) failure_ = std::current_exception();
        }
      }
    }
  }
  void serve(std::size_t worker) {
    std::size_t seen = 0;
    while (true) {
      for (int wait = 0; wait != patience && generation_.load(std::memory_order_acquire) == seen; ++wait) idle(wait);
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock{mutex_};
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_.load()) return;
      std::size_t inside = gate_.load(std::memory_order_relaxed);
      while ((inside & open) != 0)
        if (gate_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
          work(worker);
          gate_.fetch_sub(1, std::memory_order_release);
          break;
        }
    }
  }

  std::vector<Share> shares_;
  std::vector<std::thread> workers_;
  void (*call_)(void*, std::size_t, std::size_t) = nullptr;
  void* callable_ = nullptr;
  std::exception_ptr failure_;
  std::atomic<std::size_t> gate_{0};  ///< workers inside, and `open` while more may come
  std::atomic<std::size_t> generation_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace fat::inline FAT_ABI

#endif
