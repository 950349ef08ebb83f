// Alternate: runs several pieces of work in turn, round after round, and gives medians of the ratios of their times.
#ifndef FAT_BENCHMARKS_SUPPORT_ALTERNATE_HPP_INCLUDED
#define FAT_BENCHMARKS_SUPPORT_ALTERNATE_HPP_INCLUDED

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace benchmarks {

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Seconds of `clock`: the wall's, or those this process had of all processors.
inline double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Rows of work that are timed in turn, so that a busy moment of the machine hits all of them.
class Alternate {
 public:
  /// The processor's time is what other programs disturb least; work on several threads needs the wall's.
  explicit Alternate(clockid_t clock = CLOCK_PROCESS_CPUTIME_ID) : clock_(clock) {}

  void add(std::string name, std::function<void()> work) { rows_.push_back({std::move(name), std::move(work), {}}); }

  /// `rounds` rounds of at least `least` seconds a row.
  void run(std::size_t rounds, double least = 0.02) {
    std::vector<std::size_t> repeats;
    for (Row& row : rows_) {
      row.work();
      const double before = seconds(clock_);
      row.work();
      repeats.push_back(static_cast<std::size_t>(least / std::max(seconds(clock_) - before, 1e-7)) + 1);
    }
    for (std::size_t round = 0; round != rounds; ++round)
      for (std::size_t at = 0; at != rows_.size(); ++at) {
        Row& row = rows_[round % 2 == 0 ? at : rows_.size() - 1 - at];
        const std::size_t runs = repeats[round % 2 == 0 ? at : rows_.size() - 1 - at];
        const double before = seconds(clock_);
        for (std::size_t run = 0; run != runs; ++run) row.work();
        row.times.push_back((seconds(clock_) - before) / static_cast<double>(runs));
      }
  }
  double time(const std::string& name) const { return median(find(name).times); }
  /// Median over the rounds of the time of one row over that of another.
  double ratio(const std::string& name, const std::string& peer) const {
    std::vector<double> ratios;
    for (std::size_t round = 0; round != find(name).times.size(); ++round)
      ratios.push_back(find(name).times[round] / find(peer).times[round]);
    return median(ratios);
  }
  bool has(const std::string& name) const {
    return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
  }
  /// Where both rows exist: what their times have to be and are.
  void require(const std::string& name, const std::string& peer, double most, const char* what) const {
    if (!has(name) || !has(peer)) return;
    const double found = ratio(name, peer);
    std::printf("  %-22s %6.2f x the time of %-14s at most %.2f x: %s (%s)\n", name.c_str(), found, peer.c_str(), most,
                found <= most ? "reached" : "NOT REACHED", what);
  }
  /// All rows: time, speed where `operations` is not 0, and the ratio to every one of `peers` that exists.
  void print(double operations, const std::vector<std::string>& peers) const {
    std::printf("  %-22s %9s %8s", "", "ms", "GOP/s");
    for (const auto& peer : peers)
      if (has(peer)) std::printf("  / %-13s", peer.c_str());
    std::puts("");
    for (const Row& row : rows_) {
      std::printf("  %-22s %9.3f %8.1f", row.name.c_str(), 1e3 * median(row.times),
                  1e-9 * operations / median(row.times));
      for (const auto& peer : peers)
        if (has(peer)) std::printf("  %-15.2f", ratio(row.name, peer));
      std::puts("");
    }
  }

 private:
  struct Row {
    std::string name;
    std::function<void()> work;
    std::vector<double> times;
  };
  const Row& find(const std::string& name) const {
    return *std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
  }
  clockid_t clock_;
  std::vector<Row> rows_;
};

}  // namespace benchmarks

#endif
