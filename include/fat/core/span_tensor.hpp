// span_tensor: a row-major tensor over memory that is not ours.
#ifndef FAT_CORE_SPAN_TENSOR_HPP_INCLUDED
#define FAT_CORE_SPAN_TENSOR_HPP_INCLUDED

#include <fat/core/shape.hpp>

#include <cstddef>
#include <type_traits>

namespace fat::inline FAT_ABI {

/// A view of `shape.elements()` contiguous values in row-major order. Copies are shallow; the memory must outlive the
/// view.
///   auto a = fat::span_tensor(pointer, {37, 1100});
template <class T>
class span_tensor {
 public:
  using value_type = std::remove_const_t<T>;

  constexpr span_tensor(T* data, const Shape& shape) : data_(data), shape_(shape), size_(shape.elements()) {
    expects(data_ != nullptr || size_ == 0, "span_tensor: null pointer for shape ", shape_);
  }
  constexpr span_tensor(T* data, std::initializer_list<std::size_t> shape) : span_tensor(data, Shape(shape)) {}

  constexpr std::size_t dimension() const noexcept { return shape_.rank(); }
  constexpr std::size_t shape(std::size_t axis) const { return shape_[axis]; }
  constexpr const Shape& shape() const noexcept { return shape_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr T* data() const noexcept { return data_; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t flat) const { return data_[flat]; }

 private:
  T* data_;
  Shape shape_;
  std::size_t size_;
};

template <class T>
span_tensor(T*, const Shape&) -> span_tensor<T>;
template <class T>
span_tensor(T*, std::initializer_list<std::size_t>) -> span_tensor<T>;

}  // namespace fat::inline FAT_ABI

#endif
