// array: the owning row-major tensor of the library, aligned for every vector unit.
#ifndef FAT_CORE_ARRAY_HPP_INCLUDED
#define FAT_CORE_ARRAY_HPP_INCLUDED

#include <fat/core/shape.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace fat::inline FAT_ABI {

/// Allocates on 64-byte boundaries: a cache line, and the widest vector register.
template <class T>
struct aligned_allocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};

  aligned_allocator() = default;
  template <class U>
  constexpr aligned_allocator(const aligned_allocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), alignment)); }
  void deallocate(T* pointer, std::size_t) noexcept { ::operator delete(pointer, alignment); }
  template <class U>
  bool operator==(const aligned_allocator<U>&) const noexcept {
    return true;
  }
};

/// A std::vector on 64-byte boundaries.
template <class T>
using aligned_vector = std::vector<T, aligned_allocator<T>>;

/// An owning row-major tensor. A default array has shape [0].
template <class T>
class array {
 public:
  using value_type = T;

  array() : shape_{0} {}
  /// Errors: more elements than memory can ever hold.
  explicit array(const Shape& shape, const T& value = T{}) : shape_(shape), values_(elements_of(shape), value) {}
  array(const Shape& shape, aligned_vector<T> values) : shape_(shape), values_(std::move(values)) {
    expects(values_.size() == shape_.elements(), "array: ", values_.size(), " values for shape ", shape_);
  }

  std::size_t dimension() const noexcept { return shape_.rank(); }
  std::size_t shape(std::size_t axis) const { return shape_[axis]; }
  const Shape& shape() const noexcept { return shape_; }
  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return values_.empty(); }
  T* data() noexcept { return values_.data(); }
  const T* data() const noexcept { return values_.data(); }
  T* begin() noexcept { return data(); }
  const T* begin() const noexcept { return data(); }
  T* end() noexcept { return data() + size(); }
  const T* end() const noexcept { return data() + size(); }
  T& operator[](std::size_t flat) { return values_[flat]; }
  const T& operator[](std::size_t flat) const { return values_[flat]; }
  bool operator==(const array&) const = default;

 private:
  static std::size_t elements_of(const Shape& shape) {
    const std::size_t count = shape.elements();
    expects(count <= static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T), "array: a tensor of shape ", shape, " with ",
            sizeof(T), " bytes an element is larger than memory can ever be");
    return count;
  }

  Shape shape_;
  aligned_vector<T> values_;
};

}  // namespace fat::inline FAT_ABI

#endif
