// gemm by the specification on tensors: what it accepts, every precondition of a product, and the reference form.
#ifndef FAT_KERNEL_REFERENCE_GEMM_HPP_INCLUDED
#define FAT_KERNEL_REFERENCE_GEMM_HPP_INCLUDED

#include <fat/core/tensor.hpp>
#include <fat/kernel/reference/convolution.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Tag: the 8-line specification.
struct reference {};

/// What a product accepts: codes of 8 bits.
template <class T>
concept Code8 = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t>;

/// What gemm needs of its arguments: matrices of 8-bit codes and a matrix of std::int32_t to write.
template <class A, class B, class C>
concept IntegerProduct = Tensor<A> && Tensor<B> && MutableTensor<C> && Code8<value_type_of<A>> &&
    Code8<value_type_of<B>> && std::same_as<value_type_of<C>, std::int32_t>;

namespace gemm_detail {

/// Extents of a product that passed all checks.
struct Sizes {
  std::size_t rows, depth, columns;
};

template <class T>
constexpr std::size_t magnitude() {
  return std::is_signed_v<T> ? 128 : 255;
}

inline bool overlap(const void* a, std::size_t a_size, const void* b, std::size_t b_size) {
  const auto first = reinterpret_cast<std::uintptr_t>(a), second = reinterpret_cast<std::uintptr_t>(b);
  return first < second + b_size && second < first + a_size;
}

/// Every precondition of gemm; nothing is written before all hold.
template <class A, class B, class C>
Sizes validate(const A& a, const B& b, C& c) {
  const Shape sa = shape_of(a), sb = shape_of(b), sc = shape_of(c);
  expects(sa.rank() == 2 && sb.rank() == 2 && sc.rank() == 2, "gemm: A ", sa, ", B ", sb, " and C ", sc,
          " must have two axes each");
  expects(sa[1] == sb[0], "gemm: A ", sa, " has ", sa[1], " columns, B ", sb, " has ", sb[0],
          " rows; they must be equal");
  expects(sc[0] == sa[0] && sc[1] == sb[1], "gemm: C is ", sc, "; the product of A ", sa, " and B ", sb, " needs [",
          sa[0], ",", sb[1], "]");
  expects(sa.elements() != 0 && sb.elements() != 0, "gemm: A ", sa, " or B ", sb,
          " has an extent of zero; there is nothing to multiply");
  constexpr std::size_t most = 2147483647 / (magnitude<value_type_of<A>>() * magnitude<value_type_of<B>>());
  expects(sa[1] <= most, "gemm: a depth of ", sa[1], " can overflow 32-bit sums; at most ", most,
          " is safe, so split the depth");
  expects(sa[0] < (std::size_t{1} << 31U) && sb[1] < (std::size_t{1} << 31U), "gemm: A ", sa, " or B ", sb,
          " has an extent of 2^31 or more");
  const auto* pa = contiguous_data(a);
  const auto* pb = contiguous_data(b);
  auto* pc = contiguous_data(c);
  expects(pa != nullptr && pb != nullptr && pc != nullptr,
          "gemm: A, B and C must lie in memory row by row without gaps; copy them first");
  expects(reinterpret_cast<std::uintptr_t>(pc) % alignof(std::int32_t) == 0,
          "gemm: C is not aligned to its 4-byte elements");
  const std::size_t bytes = sc.elements() * sizeof(std::int32_t);
  expects(!overlap(pc, bytes, pa, sa.elements()) && !overlap(pc, bytes, pb, sb.elements()),
          "gemm: C overlaps A or B; give it memory of its own");
  return {sa[0], sa[1], sb[1]};
}

}  // namespace gemm_detail
}  // namespace kernel

/// C[MxN] = A[MxK] * B[KxN] by the specification. Errors (of every form): axes that do not match, an extent of zero, a
/// depth whose sums could pass int32, tensors that are not contiguous, C overlapping A or B; nothing is written then.
template <class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(kernel::reference, const A& a, const B& b, C&& c) {
  const auto s = kernel::gemm_detail::validate(a, b, c);
  fat::reference::gemm(contiguous_data(a), contiguous_data(b), contiguous_data(c), s.rows, s.depth, s.columns);
}

}  // namespace fat::inline FAT_ABI

#endif
