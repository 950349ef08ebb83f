// Partition: a tensor seen as [outer][channel][inner] around one axis.
#ifndef FAT_CORE_PARTITION_HPP_INCLUDED
#define FAT_CORE_PARTITION_HPP_INCLUDED

#include <fat/core/shape.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI {

/// Element `flat` of the row-major order belongs to channel (flat / inner) % channels.
struct Partition {
  std::size_t outer = 1;
  std::size_t channels = 1;
  std::size_t inner = 1;
  constexpr std::size_t size() const noexcept { return outer * channels * inner; }
  constexpr std::size_t channel(std::size_t flat) const noexcept { return flat / inner % channels; }
  bool operator==(const Partition&) const = default;
};

/// The whole tensor as one channel.
constexpr Partition partition(const Shape& shape) { return {1, 1, shape.elements()}; }

/// One channel per index of `axis`. Errors: the tensor has no such axis.
constexpr Partition partition(const Shape& shape, std::size_t axis) {
  expects(axis < shape.rank(), "partition: axis ", axis, " of a tensor of shape ", shape,
          "; choose an axis below its rank");
  Partition parts{1, shape[axis], 1};
  for (std::size_t other = 0; other != shape.rank(); ++other)
    (other < axis ? parts.outer : parts.inner) *= other == axis ? 1 : shape[other];
  return parts;
}

}  // namespace fat::inline FAT_ABI

#endif
