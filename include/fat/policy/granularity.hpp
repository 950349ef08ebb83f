// Granularity: which elements of a tensor share one grid.
#ifndef FAT_POLICY_GRANULARITY_HPP_INCLUDED
#define FAT_POLICY_GRANULARITY_HPP_INCLUDED

#include <fat/core/partition.hpp>
#include <fat/policy/slot.hpp>

namespace fat::inline FAT_ABI {

struct GranularitySlot {};

/// One grid for the whole tensor.
struct Scalar {
  using slot = GranularitySlot;
  static constexpr Partition partition(const Shape& shape) { return fat::partition(shape); }
};

/// One grid for each index of an axis (convolution weights: the output channel).
template <std::size_t Axis>
struct PerChannel {
  using slot = GranularitySlot;
  static constexpr std::size_t axis = Axis;
  static constexpr Partition partition(const Shape& shape) { return fat::partition(shape, Axis); }
};

}  // namespace fat::inline FAT_ABI

#endif
