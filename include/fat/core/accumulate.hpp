// One pass over a partition that folds a few numbers per element into one total per channel, in a fixed order.
#ifndef FAT_CORE_ACCUMULATE_HPP_INCLUDED
#define FAT_CORE_ACCUMULATE_HPP_INCLUDED

#include <fat/core/vector_loop.hpp>

namespace fat::inline FAT_ABI::detail {

struct AddFold {
  template <class Real>
  static constexpr Real identity = Real{0};
  template <class Real>
  [[gnu::always_inline]] constexpr Real operator()(Real a, Real b) const {
    return a + b;
  }
};

struct MinFold {
  template <class Real>
  static constexpr Real identity = std::numeric_limits<Real>::infinity();
  template <class Real>
  [[gnu::always_inline]] constexpr Real operator()(Real a, Real b) const {
    return b < a ? b : a;
  }
};

/// A partial results for each of Width neighbouring elements. Elements are folded into the lane of their position,
/// lanes pairwise, and the sums of bounded stretches into a double: errors stay near one rounding, and the order of the
/// additions depends neither on the processor nor on how the work is cut.
template <class Fold, class Real, std::size_t A, std::size_t Width>
class Lanes {
 public:
  [[gnu::always_inline]] void clear(std::size_t width) {
    for (auto& lanes : values_)
      for (std::size_t i = 0; i != width; ++i) lanes[i] = Fold::template identity<Real>;
  }
  [[gnu::always_inline]] void add(std::size_t lane, const std::array<Real, A>& contribution) {
    [&]<std::size_t... a>(std::index_sequence<a...>) __attribute__((always_inline)) {
      ((values_[a][lane] = Fold{}(values_[a][lane], contribution[a])), ...);
    }
    (std::make_index_sequence<A>{});
  }
  /// Folds all lanes into the totals of one channel.
  [[gnu::always_inline]] void flush_all(const std::array<double*, A>& totals, std::size_t channel) {
    for (std::size_t a = 0; a != A; ++a) {
      for (std::size_t half = Width / 2; half != 0; half /= 2)
        for (std::size_t i = 0; i != half; ++i) values_[a][i] = Fold{}(values_[a][i], values_[a][i + half]);
      totals[a][channel] = Fold{}(totals[a][channel], static_cast<double>(values_[a][0]));
    }
  }
  /// Folds one lane into the totals of its channel.
  [[gnu::always_inline]] void flush(std::size_t lane, const std::array<double*, A>& totals, std::size_t channel) const {
    for (std::size_t a = 0; a != A; ++a)
      totals[a][channel] = Fold{}(totals[a][channel], static_cast<double>(values_[a][lane]));
  }

 private:
  std::array<std::array<Real, Width>, A> values_;
};

/// Calls cell(flat, parameters) -> std::array<Real, A> for every element and folds result a into totals[a][channel],
/// which the caller has set to the identity. Walks the memory as for_each_cell does, and calls ahead(flat) of the first
/// element before each block of 32.
template <class Fold, std::size_t A, class Real, std::size_t K, class Cell, class Ahead = Nothing>
[[gnu::always_inline]] inline void accumulate_cells(const Partition& parts, const Columns<Real, K>& columns,
                                                    const std::array<double*, A>& totals, const Cell& cell,
                                                    const Ahead& ahead = {}) {
  constexpr std::size_t width = 32;
  constexpr std::size_t stretch = 128 * width;
  const std::size_t row = parts.channels * parts.inner;
  // Runs of one channel, each folded by itself; many short ones are cheaper side by side.
  const bool short_runs = parts.inner < 8 * width && parts.outer >= 16;
  if (parts.channels == 1 || (parts.inner >= width && !short_runs)) {
    Lanes<Fold, Real, A, width> lanes;
    for (std::size_t first = 0; first != parts.size(); first += parts.inner) {
      const std::size_t channel = parts.channel(first);
      const std::array<Real, K> parameters = columns.at(channel);
      for (std::size_t from = 0; from < parts.inner; from += stretch) {
        const std::size_t count = std::min(stretch, parts.inner - from);
        lanes.clear(width);
        std::size_t i = 0;
        for (; i + width <= count; i += width) {
          ahead(first + from + i);
          each_of_block<width>(
              0, [&](std::size_t lane)
                     __attribute__((always_inline)) { lanes.add(lane, cell(first + from + i + lane, parameters)); });
        }
        for (std::size_t lane = 0; i != count; ++i, ++lane) lanes.add(lane, cell(first + from + i, parameters));
        lanes.flush_all(totals, channel);
      }
    }
  } else if (row != 0) {
    constexpr std::size_t capacity = Tile<Real, K>::capacity;
    constexpr std::size_t rows_per_stretch = 128;
    Tile<Real, K> tile;
    Lanes<Fold, Real, A, capacity> lanes;
    const bool whole_blocks = parts.inner % width == 0;  // of one channel: its parameters stay in registers
    const std::size_t period = std::max<std::size_t>(4 * width / row, 1) * row;
    for (std::size_t left = 0; left < period; left += capacity) {
      const std::size_t reach = std::min(capacity, period - left);
      tile.fill(columns, parts, left, reach);
      const Columns<Real, K> local = tile.columns();
      for (std::size_t from = left; from < parts.size(); from += rows_per_stretch * period) {
        lanes.clear(reach);
        const std::size_t to = std::min(parts.size(), from + rows_per_stretch * period);
        for (std::size_t first = from; first < to; first += period) {
          const std::size_t count = std::min(reach, parts.size() - first);
          if (whole_blocks)
            for (std::size_t block = 0; block != count; block += width) {
              const std::array<Real, K> parameters = local.at(block);
              ahead(first + block);
              each_of_block<width>(
                  block, [&, first ](std::size_t i)
                             __attribute__((always_inline)) { lanes.add(i, cell(first + i, parameters)); });
            }
          else
            each(
                count, [&, first ](std::size_t i) __attribute__((always_inline)) {
                  lanes.add(i, cell(first + i, local.at(i)));
                },
                [&, first ](std::size_t i) __attribute__((always_inline)) { ahead(first + i); });
        }
        for (std::size_t i = 0; i != reach; ++i) lanes.flush(i, totals, parts.channel(left + i));
      }
    }
  }
}

}  // namespace fat::inline FAT_ABI::detail

#endif
