// gemm: exact products of integer matrices, by the reference, the BLAS library or this processor's own kernels.
#ifndef FAT_KERNEL_GEMM_HPP_INCLUDED
#define FAT_KERNEL_GEMM_HPP_INCLUDED

#include <fat/core/tensor.hpp>
#include <fat/kernel/blas.hpp>
#include <fat/kernel/native.hpp>
#include <fat/kernel/product.hpp>
#include <fat/kernel/reference/gemm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Tag: the best micro-kernels of this processor, or those named: native{"avx2"}.
struct native {
  const char* name = nullptr;
};

/// Tags: the micro-kernels of one instruction set. Using one that the processor lacks is an error.
struct generic {};
struct avx2 {};
struct avx_vnni {};
struct avx512_vnni {};
struct amx {};
struct neon {};
struct neon_dot {};
struct neon_i8mm {};

template <class Tag>
inline constexpr const char* name_of = nullptr;
template <>
inline constexpr const char* name_of<generic> = "generic";
template <>
inline constexpr const char* name_of<avx2> = "avx2";
template <>
inline constexpr const char* name_of<avx_vnni> = "avx_vnni";
template <>
inline constexpr const char* name_of<avx512_vnni> = "avx512_vnni";
template <>
inline constexpr const char* name_of<amx> = "amx";
template <>
inline constexpr const char* name_of<neon> = "neon";
template <>
inline constexpr const char* name_of<neon_dot> = "neon_dot";
template <>
inline constexpr const char* name_of<neon_i8mm> = "neon_i8mm";

/// One of the tags above.
template <class Tag>
concept InstructionSet = name_of<Tag>
!= nullptr;

namespace gemm_detail {

/// Rows of A as bytes 0..255 (the sign bit flipped where A is signed), each padded as the weights are.
template <Code8 Code>
void copy_rows(const Code* a, std::size_t rows, std::size_t depth, std::size_t padded, std::uint8_t* to) {
  constexpr unsigned flip = std::is_signed_v<Code> ? 0x80U : 0U;
  for (std::size_t row = 0; row != rows; ++row, a += depth, to += padded)
    for (std::size_t k = 0; k != depth; ++k) to[k] = static_cast<std::uint8_t>(static_cast<unsigned char>(a[k]) ^ flip);
}

template <Code8 A, Code8 B>
void native_gemm(const Kernels& kernels, const A* a, const B* b, std::int32_t* c, const Sizes& s) {
  // B as signed codes; unsigned ones are lowered by 128 and sum(A) * 128 is added back.
  std::vector<std::int8_t> lowered;
  const std::int8_t* weights = nullptr;
  if constexpr (std::is_signed_v<B>) {
    weights = b;
  } else {
    lowered.resize(s.depth * s.columns);
    for (std::size_t i = 0; i != lowered.size(); ++i) lowered[i] = static_cast<std::int8_t>(b[i] - 128);
    weights = lowered.data();
  }
  const PackedProduct product{kernels, {weights, s.depth, s.columns, s.columns, 1}};
  const std::int32_t a_offset = (std::is_signed_v<A> ? -128 : 0) + kernels.offset;
  std::vector<std::int32_t> start(product.columns_padded());
  for (std::size_t n = 0; n != s.columns; ++n)
    start[n] = static_cast<std::int32_t>(static_cast<std::uint32_t>(a_offset) *
                                         static_cast<std::uint32_t>(product.column_sums()[n]));
  const std::size_t at_once = product.rows_at_once(), padded = product.depth_padded();
  aligned_vector<std::int16_t> scratch(product.scratch());
  aligned_vector<std::uint8_t> rows(at_once * padded);
  for (std::size_t first = 0; first < s.rows; first += at_once) {
    const std::size_t count = std::min(at_once, s.rows - first);
    const A* block = a + first * s.depth;
    const std::uint8_t* from = rows.data();
    if constexpr (!std::is_signed_v<A>) from = padded == s.depth ? block : from;
    if (from == rows.data()) copy_rows(block, count, s.depth, padded, rows.data());
    product.sums(from, padded, count, start.data(), scratch.data(), c + first * s.columns, s.columns);
  }
  if constexpr (!std::is_signed_v<B>)
    for (std::size_t m = 0; m != s.rows; ++m) {
      std::uint32_t sum = 0;
      for (std::size_t k = 0; k != s.depth; ++k) sum += static_cast<std::uint32_t>(std::int32_t{a[m * s.depth + k]});
      for (std::size_t n = 0; n != s.columns; ++n)
        c[m * s.columns + n] = static_cast<std::int32_t>(static_cast<std::uint32_t>(c[m * s.columns + n]) + 128U * sum);
    }
}

}  // namespace gemm_detail

}  // namespace kernel

/// C[MxN] = A[MxK] * B[KxN] as gemm(kernel::reference{}, ...) through sgemm: blas{.depth = d} sets the depth of one
/// block, for weights whose range allows more.
template <class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(kernel::blas tag, const A& a, const B& b, C&& c) {
  const auto s = kernel::gemm_detail::validate(a, b, c);
  constexpr std::size_t exact = kernel::exact_depth<value_type_of<A>, value_type_of<B>>();
  kernel::BlasWorkspace memory;
  kernel::blas_gemm(contiguous_data(a), contiguous_data(b), contiguous_data(c), s.rows, s.depth, s.columns,
                    tag.depth == 0 ? exact : tag.depth, memory);
}

/// The same on this processor's micro-kernels. B is packed at every call: keep a PackedProduct to reuse it.
template <class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(const kernel::Kernels& kernels, const A& a, const B& b, C&& c) {
  const auto s = kernel::gemm_detail::validate(a, b, c);
  kernel::gemm_detail::native_gemm(kernels, contiguous_data(a), contiguous_data(b), contiguous_data(c), s);
}
template <class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(kernel::native tag, const A& a, const B& b, C&& c) {
  gemm(tag.name == nullptr ? kernel::native_kernels() : kernel::kernels_named(tag.name), a, b, c);
}
template <kernel::InstructionSet Tag, class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(Tag, const A& a, const B& b, C&& c) { gemm(kernel::kernels_named(kernel::name_of<Tag>), a, b, c); }

/// The same by the fastest way: native kernels where the processor has an instruction set for them, else BLAS.
template <class A, class B, class C>
  requires kernel::IntegerProduct<A, B, C>
void gemm(const A& a, const B& b, C&& c) {
  const kernel::Kernels& kernels = kernel::native_kernels();
  if (&kernels == kernel::available().back())  // the generic ones
    gemm(kernel::blas{}, a, b, c);
  else
    gemm(kernels, a, b, c);
}

}  // namespace fat::inline FAT_ABI

#endif
