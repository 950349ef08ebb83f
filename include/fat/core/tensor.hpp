// What a tensor is: the Tensor concept, how foreign types model it, contiguous access and owning results.
#ifndef FAT_CORE_TENSOR_HPP_INCLUDED
#define FAT_CORE_TENSOR_HPP_INCLUDED

#include <fat/core/array.hpp>
#include <fat/core/shape.hpp>

#include <concepts>
#include <cstddef>
// <span> brings contiguous_iterator and to_address; <iterator> and <memory> would cost a compiler three times as much.
#include <span>
#include <type_traits>

namespace fat::inline FAT_ABI {

/// Types that are tensors by their members: value_type, dimension(), shape(axis), size(), begin(), end() in row-major
/// order. xtensor containers, views and lazy expressions, fat::array and fat::span_tensor are; nothing is included for
/// it.
template <class T>
concept MemberTensor = requires(const T& t, std::size_t axis) {
  typename T::value_type;
  { t.dimension() } -> std::convertible_to<std::size_t>;
  { t.shape(axis) } -> std::convertible_to<std::size_t>;
  { t.size() } -> std::convertible_to<std::size_t>;
  { *t.begin() } -> std::convertible_to<typename T::value_type>;
  { t.begin() != t.end() } -> std::convertible_to<bool>;
};

/// How the library reads a tensor type. Specialise it for a type without those members (adapt/eigen.hpp does):
///   value_type; dimension(t), shape(t, axis), size(t), begin(t), end(t), like<U>(t): an owning tensor of t's shape.
template <class T>
struct tensor_traits {};

template <MemberTensor T>
struct tensor_traits<T> {
  using value_type = std::remove_const_t<typename T::value_type>;
  static constexpr std::size_t dimension(const T& t) { return static_cast<std::size_t>(t.dimension()); }
  static constexpr std::size_t shape(const T& t, std::size_t axis) { return static_cast<std::size_t>(t.shape(axis)); }
  static constexpr std::size_t size(const T& t) { return static_cast<std::size_t>(t.size()); }
  template <class Self>
  static constexpr auto begin(Self& t) {
    return t.begin();
  }
  template <class Self>
  static constexpr auto end(Self& t) {
    return t.end();
  }
  template <class U>
  static array<U> like(const T& t) {
    Shape extents;
    for (std::size_t axis = 0; axis != dimension(t); ++axis) extents.push_back(shape(t, axis));
    return array<U>{extents};
  }
};

template <class T>
using traits_of = tensor_traits<std::remove_cvref_t<T>>;

/// A finite multi-dimensional sequence of values. Laws: size() is the product of the extents; begin()..end() visits the
/// elements in row-major order (last axis fastest), each once, and any number of times with the same result.
template <class T>
concept Tensor = requires(const std::remove_cvref_t<T>& t, std::size_t axis) {
  typename traits_of<T>::value_type;
  { traits_of<T>::dimension(t) } -> std::convertible_to<std::size_t>;
  { traits_of<T>::shape(t, axis) } -> std::convertible_to<std::size_t>;
  { traits_of<T>::size(t) } -> std::convertible_to<std::size_t>;
  { *traits_of<T>::begin(t) } -> std::convertible_to<typename traits_of<T>::value_type>;
  { traits_of<T>::begin(t) != traits_of<T>::end(t) } -> std::convertible_to<bool>;
};

/// Element type of a tensor.
template <Tensor T>
using value_type_of = typename traits_of<T>::value_type;

/// A tensor whose elements can be written: containers, and views of them (temporary views too).
template <class T>
concept MutableTensor = Tensor<T> && requires(std::remove_reference_t<T>& t, value_type_of<T> value) {
  *traits_of<T>::begin(t) = value;
};

/// A tensor of floats or doubles.
template <class T>
concept RealTensor = Tensor<T> &&(std::same_as<value_type_of<T>, float> || std::same_as<value_type_of<T>, double>);

/// The owning tensor that results from T with elements of another type: the same container rebound where there is one
/// (an xtensor container; for an xtensor expression xt::xtensor), else fat::array.
template <Tensor T, class U>
using rebind_t = decltype(traits_of<T>::template like<U>(std::declval<const std::remove_cvref_t<T>&>()));

/// Extents of a tensor.
template <Tensor T>
constexpr Shape shape_of(const T& t) {
  Shape extents;
  for (std::size_t axis = 0; axis != traits_of<T>::dimension(t); ++axis)
    extents.push_back(traits_of<T>::shape(t, axis));
  return extents;
}

/// Number of elements of a tensor.
template <Tensor T>
constexpr std::size_t size_of(const T& t) {
  return traits_of<T>::size(t);
}

/// An owning tensor of the shape of t with elements of type U (unspecified values).
template <class U, Tensor T>
auto make_like(const T& t) {
  return traits_of<T>::template like<U>(t);
}

namespace detail {

template <class T>
using iterator_of = decltype(traits_of<T>::begin(std::declval<std::remove_reference_t<T>&>()));

template <class T>
concept Strided = std::is_lvalue_reference_v<std::iter_reference_t<iterator_of<T>>> &&
    requires(const std::remove_cvref_t<T>& t, std::size_t axis) {
  { t.strides()[axis] } -> std::convertible_to<std::ptrdiff_t>;
};

/// Do the strides say "row-major without gaps"? Axes of extent 1 may have any stride.
template <class T>
bool dense_row_major(const T& t) {
  std::ptrdiff_t expected = 1;
  for (std::size_t axis = traits_of<T>::dimension(t); axis-- != 0;) {
    const std::size_t extent = traits_of<T>::shape(t, axis);
    if (extent != 1 && static_cast<std::ptrdiff_t>(t.strides()[axis]) != expected) return false;
    expected *= static_cast<std::ptrdiff_t>(extent);
  }
  return true;
}

}  // namespace detail

/// Pointer to the first of size_of(t) consecutive elements in row-major order, or null where the tensor has none:
/// lazy expressions, column-major containers, views with gaps. Also null for an empty tensor.
template <class T>
  requires Tensor<T>
constexpr auto contiguous_data(T& t) {
  using Iterator = detail::iterator_of<T&>;
  using Element = std::remove_reference_t<std::iter_reference_t<Iterator>>;
  using Pointer = std::conditional_t<std::is_lvalue_reference_v<std::iter_reference_t<Iterator>>, Element*,
                                     const value_type_of<T>*>;
  if (size_of(t) == 0) return Pointer{nullptr};
  if constexpr (std::contiguous_iterator<Iterator>) {
    return Pointer{std::to_address(traits_of<T>::begin(t))};
  } else if constexpr (detail::Strided<T&>) {
    return detail::dense_row_major(t) ? Pointer{std::addressof(*traits_of<T>::begin(t))} : Pointer{nullptr};
  } else {
    return Pointer{nullptr};
  }
}

}  // namespace fat::inline FAT_ABI

#endif
