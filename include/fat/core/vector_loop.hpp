// Loops over contiguous memory that the compiler turns into vector code at -O2 without flags from the user.
#ifndef FAT_CORE_VECTOR_LOOP_HPP_INCLUDED
#define FAT_CORE_VECTOR_LOOP_HPP_INCLUDED

#include <fat/core/partition.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace fat::inline FAT_ABI::detail {

#if defined(__x86_64__) && !defined(__AVX2__)
template <class Body>
[[gnu::target("avx2")]] void run_with_avx2(Body body) {
  body();
}
#endif

/// Calls body(), an always-inline callable, in a function compiled for the widest vectors of this processor. No fused
/// multiply-add is enabled with them, so every processor computes the same bits.
template <class Body>
void vectorized(Body body) {
#if defined(__x86_64__) && !defined(__AVX2__)
  if (__builtin_cpu_supports("avx2")) return run_with_avx2(body);
#endif
  body();
}

/// Asks for the memory 2 KiB beyond the block of 32 elements at `i` of n. Where a loop reads several streams and writes
/// one, processors fetch the lines that are written too late by themselves: up to a fifth of the time of such a loop.
template <class Real>
[[gnu::always_inline]] inline void fetch_ahead(const Real* values, std::size_t i, std::size_t n) {
  constexpr std::size_t line = 64 / sizeof(Real);
  for (std::size_t at = 0; at != 32; at += line)
    __builtin_prefetch(values + std::min(i + 2048 / sizeof(Real) + at, n - 1));
}

/// Calls cell(i) for i < Count; the calls are independent of each other.
template <std::size_t Count, class Cell>
[[gnu::always_inline]] inline void each_of_block(std::size_t first, const Cell& cell) {
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#else
#pragma GCC ivdep
#endif
  for (std::size_t i = 0; i != Count; ++i) cell(first + i);
}

struct Nothing {
  constexpr void operator()(std::size_t) const noexcept {}
};

/// Calls cell(i) for i < n; the calls are independent of each other. Blocks of a fixed length need no run-time checks,
/// which is what g++ asks of a loop that it vectorises at -O2. Before each of 32 calls it calls ahead(i) of the first.
template <class Cell, class Ahead = Nothing>
[[gnu::always_inline]] inline void each(std::size_t n, const Cell& cell, const Ahead& ahead = {}) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    ahead(i);
    each_of_block<32>(i, cell);
  }
  for (; i + 8 <= n; i += 8) each_of_block<8>(i, cell);
  for (; i != n; ++i) cell(i);
}

/// K parameters for each channel, one array for each parameter: element j of column k is parameter k of channel j.
template <class Real, std::size_t K>
struct Columns {
  std::array<const Real*, K> column;

  /// The parameters of one channel. No loop over k: g++ vectorises the loop around only when this one is gone.
  [[gnu::always_inline]] std::array<Real, K> at(std::size_t channel) const {
    return [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
      return std::array<Real, K>{column[k][channel]...};
    }
    (std::make_index_sequence<K>{});
  }
};

/// The parameters of consecutive elements, copied beside each other where neighbours belong to different channels.
template <class Real, std::size_t K>
class Tile {
 public:
  static constexpr std::size_t capacity = 4096 / sizeof(Real);

  /// Elements [first, first + count) of the partition's row-major order, count <= capacity.
  [[gnu::always_inline]] void fill(const Columns<Real, K>& columns, const Partition& parts, std::size_t first,
                                   std::size_t count) {
    std::array<std::uint32_t, capacity> channel_of;
    auto channel = static_cast<std::uint32_t>(parts.channel(first));
    std::size_t left = parts.inner - first % parts.inner;
    for (std::size_t i = 0; i != count; ++i) {
      channel_of[i] = channel;
      if (--left != 0) continue;
      left = parts.inner;
      if (++channel == parts.channels) channel = 0;
    }
    for (std::size_t k = 0; k != K; ++k)
      for (std::size_t i = 0; i != count; ++i) values_[k][i] = columns.column[k][channel_of[i]];
  }
  [[gnu::always_inline]] Columns<Real, K> columns() const {
    Columns<Real, K> view;
    for (std::size_t k = 0; k != K; ++k) view.column[k] = values_[k].data();
    return view;
  }

 private:
  std::array<std::array<Real, capacity>, K> values_;
};

/// Calls cell(flat, parameters) for every element of the partition, in an order that suits the memory and the vectors:
/// runs of one channel, rows of all channels, or tiles of neighbouring short runs.
template <class Real, std::size_t K, class Cell>
[[gnu::always_inline]] inline void for_each_cell(const Partition& parts, const Columns<Real, K>& columns,
                                                 const Cell& cell) {
  constexpr std::size_t long_run = 32;
  const std::size_t row = parts.channels * parts.inner;
  if (parts.inner >= long_run || parts.channels == 1) {
    for (std::size_t first = 0; first != parts.size(); first += parts.inner) {
      const std::array<Real, K> parameters = columns.at(parts.channel(first));
      each(
          parts.inner, [=](std::size_t i) __attribute__((always_inline)) { cell(first + i, parameters); });
    }
  } else if (parts.inner == 1 && row >= long_run) {
    for (std::size_t first = 0; first != parts.size(); first += row)
      each(
          row, [=](std::size_t i) __attribute__((always_inline)) { cell(first + i, columns.at(i)); });
  } else if (row != 0) {
    constexpr std::size_t capacity = Tile<Real, K>::capacity;
    Tile<Real, K> tile;
    const std::size_t rows = std::max<std::size_t>(4 * long_run / row, 1);
    const std::size_t period = rows * row;
    for (std::size_t left = 0; left < period; left += capacity) {
      const std::size_t width = std::min(capacity, period - left);
      tile.fill(columns, parts, left, width);
      const Columns<Real, K> local = tile.columns();
      for (std::size_t first = left; first < parts.size(); first += period)
        each(
            std::min(width, parts.size() - first), [=](std::size_t i) __attribute__((always_inline)) {
              cell(first + i, local.at(i));
            });
    }
  }
}

}  // namespace fat::inline FAT_ABI::detail

#endif
