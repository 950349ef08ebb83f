// Arena planning: where each value of a graph lives in one block of memory, so that values never alive together share it.
#ifndef FAT_MODEL_PLAN_HPP_INCLUDED
#define FAT_MODEL_PLAN_HPP_INCLUDED

#include <fat/model/model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// A buffer of `size` elements that is needed from step `first` to step `last`, both included. Size 0: not needed.
struct Lifetime {
  std::size_t size = 0;
  std::size_t first = 0;
  std::size_t last = 0;
};

/// Offsets, in elements, of the buffers in an arena of `size` elements.
struct ArenaPlan {
  std::vector<std::size_t> offset;
  std::size_t size = 0;
};

/// Every buffer, the largest first.
inline std::vector<std::size_t> largest_first(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  for (std::size_t at = 0; at != order.size(); ++at) order[at] = at;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return lifetimes[a].size > lifetimes[b].size; });
  return order;
}

/// Places buffers in the given order, each at the lowest offset where no buffer alive at the same time lies. Offsets are
/// multiples of 16 elements (a cache line of floats).
inline ArenaPlan plan_in_order(const std::vector<Lifetime>& lifetimes, const std::vector<std::size_t>& order) {
  ArenaPlan plan{std::vector<std::size_t>(lifetimes.size(), 0), 0};
  std::vector<std::size_t> placed;
  for (const std::size_t each : order) {
    const Lifetime& mine = lifetimes[each];
    if (mine.size == 0) continue;
    std::size_t offset = 0;
    for (const std::size_t other : placed) {  // in order of offset
      const Lifetime& theirs = lifetimes[other];
      if (theirs.last < mine.first || mine.last < theirs.first) continue;
      if (offset + mine.size <= plan.offset[other]) break;
      offset = std::max(offset, (plan.offset[other] + theirs.size + 15) / 16 * 16);
    }
    plan.offset[each] = offset;
    plan.size = std::max(plan.size, offset + mine.size);
    const auto after = [&](std::size_t a, std::size_t b) { return plan.offset[a] < plan.offset[b]; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), each, after), each);
  }
  plan.size = (plan.size + 15) / 16 * 16;
  return plan;
}

/// The largest buffers first.
inline ArenaPlan plan_arena(const std::vector<Lifetime>& lifetimes) {
  return plan_in_order(lifetimes, largest_first(lifetimes));
}

/// Elements alive at the busiest step: no plan needs fewer.
inline std::size_t busiest_step(const std::vector<Lifetime>& lifetimes) {
  std::size_t most = 0;
  for (const Lifetime& starting : lifetimes) {  // what is alive grows where a buffer starts
    std::size_t alive = 0;
    for (const Lifetime& each : lifetimes)
      if (each.first <= starting.first && starting.first <= each.last) alive += each.size;
    most = std::max(most, alive);
  }
  return most;
}

/// The smallest of plans in at most `tries` orders: two buffers of the best order so far change places, the same ones in
/// every run. Ends where no plan can be smaller.
inline ArenaPlan plan_small_arena(const std::vector<Lifetime>& lifetimes, std::size_t tries = 4000) {
  std::vector<std::size_t> order = largest_first(lifetimes);
  std::erase_if(order, [&](std::size_t each) { return lifetimes[each].size == 0; });
  const std::size_t least = (busiest_step(lifetimes) + 15) / 16 * 16;
  ArenaPlan best = plan_in_order(lifetimes, order);
  std::uint32_t state = 1;
  const auto place = [&] {
    state = state * 1664525U + 1013904223U;
    return (state >> 8U) % order.size();
  };
  for (std::size_t n = 0; n != tries && best.size > least && order.size() > 1; ++n) {
    const std::size_t a = place(), b = place();
    std::swap(order[a], order[b]);
    ArenaPlan plan = plan_in_order(lifetimes, order);
    if (plan.size <= best.size)
      best = std::move(plan);
    else
      std::swap(order[a], order[b]);
  }
  return best;
}

/// Lifetimes of a model's values for one forward pass over one image: from the step that makes a value to the last that
/// reads it. Step 0 makes the input, step n + 1 is node n, the output lives to the end.
inline std::vector<Lifetime> value_lifetimes(const Model& model) {
  std::vector<Lifetime> lifetimes(model.values.size());
  lifetimes[model.input].size = model.input_extent().size();
  for (std::size_t n = 0; n != model.nodes.size(); ++n) {
    const Node& node = model.nodes[n];
    for (const ValueId input : node.inputs) lifetimes[input].last = n + 1;
    lifetimes[node.output] = {model.extent(node.output).size(), n + 1, n + 1};
  }
  lifetimes[model.output].last = model.nodes.size() + 1;
  return lifetimes;
}

}  // namespace fat::inline FAT_ABI

#endif
