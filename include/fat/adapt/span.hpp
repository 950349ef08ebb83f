// std::span and std::vector as tensors of one axis.
#ifndef FAT_ADAPT_SPAN_HPP_INCLUDED
#define FAT_ADAPT_SPAN_HPP_INCLUDED

#include <fat/core/tensor.hpp>

#include <span>
#include <type_traits>
#include <vector>

namespace fat::inline FAT_ABI {

namespace detail {

/// tensor_traits of a contiguous range: one axis of size() elements.
template <class Range, class Value>
struct SequenceTraits {
  using value_type = Value;
  static constexpr std::size_t dimension(const Range&) noexcept { return 1; }
  static constexpr std::size_t shape(const Range& range, std::size_t) noexcept { return range.size(); }
  static constexpr std::size_t size(const Range& range) noexcept { return range.size(); }
  template <class Self>
  static constexpr auto begin(Self& range) noexcept {
    return range.begin();
  }
  template <class Self>
  static constexpr auto end(Self& range) noexcept {
    return range.end();
  }
};

}  // namespace detail

template <class T, std::size_t Extent>
struct tensor_traits<std::span<T, Extent>> : detail::SequenceTraits<std::span<T, Extent>, std::remove_cv_t<T>> {
  template <class U>
  static array<U> like(const std::span<T, Extent>& span) {
    return array<U>{Shape{span.size()}};
  }
};

template <class T, class Allocator>
struct tensor_traits<std::vector<T, Allocator>> : detail::SequenceTraits<std::vector<T, Allocator>, T> {
  template <class U>
  static std::vector<U> like(const std::vector<T, Allocator>& vector) {
    return std::vector<U>(vector.size());
  }
};

}  // namespace fat::inline FAT_ABI

#endif
