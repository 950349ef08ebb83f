// Threads: every task once, whatever the number of workers, tasks and pauses between runs; exceptions reach the caller.
#include <fat/kernel/threads.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

BOOST_AUTO_TEST_SUITE(unit_threads)

BOOST_AUTO_TEST_CASE(every_task_runs_once_before_run_returns) {
  for (const std::size_t size : {1U, 2U, 3U, 7U}) {
    fat::Threads threads{size};
    BOOST_TEST(threads.size() == size);
    for (std::size_t round = 0; round != 3000; ++round) {
      const std::size_t tasks = round % 19;
      std::vector<int> done(tasks, 0);  // plain integers: run has to order what tasks write
      std::vector<std::size_t> by(tasks, size);
      threads.run(tasks, [&](std::size_t task, std::size_t worker) {
        ++done[task];
        by[task] = worker;
      });
      if (done != std::vector<int>(tasks, 1)) BOOST_FAIL("a task of round " << round << " was lost or ran twice");
      for (const std::size_t worker : by)
        if (worker >= size) BOOST_FAIL("worker " << worker << " of " << size);
      if (round % 1000 == 500) std::this_thread::sleep_for(std::chrono::milliseconds{1});  // workers fall asleep
    }
  }
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// In a process of its own, as a limit on memory cannot be taken back; each thread asks for a stack.
BOOST_AUTO_TEST_CASE(threads_that_cannot_be_started_are_an_error) {
  const pid_t child = fork();
  BOOST_TEST_REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit limit{rlim_t{1} << 30U, rlim_t{1} << 30U};
    int result = setrlimit(RLIMIT_AS, &limit) == 0 ? 1 : 2;
    try {
      fat::Threads threads{4000};
    } catch (const fat::error& e) {
      result = std::string{e.what()}.find("of 3999 threads") != std::string::npos ? 0 : 3;
    } catch (...) {
      result = 4;
    }
    _exit(result);
  }
  int status = 0;
  BOOST_TEST_REQUIRE(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0, (WIFEXITED(status) ? "exit " : "signal ") << status);
}
#endif

BOOST_AUTO_TEST_CASE(an_exception_reaches_the_caller_and_the_pool_goes_on) {
  fat::Threads threads{3};
  for (int round = 0; round != 200; ++round) {
    std::vector<int> done(12, 0);
    BOOST_CHECK_THROW(threads.run(12,
                                  [&](std::size_t task, std::size_t) {
                                    ++done[task];
                                    if (task == 5) throw std::runtime_error{"task 5"};
                                  }),
                      std::runtime_error);
    BOOST_TEST(done == std::vector<int>(12, 1));
    threads.run(12, [&](std::size_t task, std::size_t) { --done[task]; });
    BOOST_TEST(done == std::vector<int>(12, 0));
  }
}

BOOST_AUTO_TEST_CASE(a_run_inside_a_task_of_another_pool_is_fine) {
  fat::Threads outer{2};
  std::vector<std::size_t> sums(4, 0);
  outer.run(4, [&](std::size_t task, std::size_t) {
    fat::Threads inner{2};
    std::vector<std::size_t> parts(10, 0);
    inner.run(10, [&](std::size_t part, std::size_t) { parts[part] = part; });
    for (const std::size_t part : parts) sums[task] += part;
  });
  BOOST_TEST(sums == std::vector<std::size_t>(4, 45));
}

BOOST_AUTO_TEST_SUITE_END()
