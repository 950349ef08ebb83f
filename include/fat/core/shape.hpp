// Shape: the extents of a tensor, stored in place (rank at most 8).
#ifndef FAT_CORE_SHAPE_HPP_INCLUDED
#define FAT_CORE_SHAPE_HPP_INCLUDED

#include <fat/core/error.hpp>

#include <array>
#include <cstddef>
#include <initializer_list>

namespace fat::inline FAT_ABI {

/// Extents of a row-major tensor, outermost first. A default Shape has rank 0 and one element (a scalar).
class Shape {
 public:
  static constexpr std::size_t max_rank = 8;
  using value_type = std::size_t;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::size_t> extents) {
    for (const std::size_t extent : extents) push_back(extent);
  }

  constexpr std::size_t rank() const noexcept { return rank_; }
  /// Number of elements, 1 for rank 0. Errors: a product that does not fit std::size_t.
  constexpr std::size_t elements() const {
    std::size_t product = 1;
    for (std::size_t axis = 0; axis != rank_; ++axis) {
      std::size_t next = 0;
      expects(!__builtin_mul_overflow(product, extents_[axis], &next), "Shape: the number of elements overflows");
      product = next;
    }
    return product;
  }
  constexpr void push_back(std::size_t extent) {
    expects(rank_ < max_rank, "Shape: rank is at most ", max_rank);
    extents_[rank_++] = extent;
  }
  constexpr std::size_t size() const noexcept { return rank_; }
  constexpr std::size_t& operator[](std::size_t axis) { return extents_[axis]; }
  constexpr std::size_t operator[](std::size_t axis) const { return extents_[axis]; }
  constexpr const std::size_t* begin() const noexcept { return extents_.data(); }
  constexpr const std::size_t* end() const noexcept { return extents_.data() + rank_; }
  constexpr bool operator==(const Shape& other) const noexcept {
    if (rank_ != other.rank_) return false;
    for (std::size_t axis = 0; axis != rank_; ++axis)
      if (extents_[axis] != other.extents_[axis]) return false;
    return true;
  }

 private:
  std::array<std::size_t, max_rank> extents_{};
  std::size_t rank_ = 0;
};

}  // namespace fat::inline FAT_ABI

#endif
