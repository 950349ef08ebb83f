// sgemm of a BLAS library as a set of kernels: products of any processor that has no kernels of its own, exact like theirs.
#ifndef FAT_KERNEL_ARCH_BLAS_HPP_INCLUDED
#define FAT_KERNEL_ARCH_BLAS_HPP_INCLUDED

#include <fat/kernel/arch/generic.hpp>
#include <fat/kernel/blas.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fat::inline FAT_ABI {
namespace kernel::arch_blas {

inline void widen(const std::uint8_t* bytes, std::size_t count, std::int16_t* out) {
  auto* const to = reinterpret_cast<float*>(out);
  for (std::size_t i = 0; i != count; ++i) to[i] = static_cast<float>(bytes[i]);
}

/// Codes of one row of sums, padded to whole vectors as the stage is.
inline void store_codes(const std::int32_t* sums, const TileCall& call, std::uint8_t* out) {
  namespace base = arch_generic;
  for (std::size_t n = 0; n < call.columns; n += base::lanes) {
    const base::Scale scale = base::load_scale(call.stage.mantissa + n, call.stage.shift + n);
    const base::Vector four[4] = {base::doubled(base::load_sums(sums + n), scale)};
    std::uint8_t codes[base::lanes];
    base::store_piece<1>(codes, base::packed(four, call.target), 0);
    std::copy_n(codes, std::min<std::size_t>(base::lanes, call.columns - n), out + n);
  }
}

/// Any number of rows times all columns. Behind the rows in scratch memory lie the float products, then their sums.
inline void block(const TileCall& call) {
  constexpr std::size_t exact = exact_depth<std::uint8_t, std::int8_t>();
  [[maybe_unused]] const blas_detail::OneThread one_thread;
  const std::size_t depth = call.wide_stride,
                    width = (call.columns + arch_generic::lanes - 1) / arch_generic::lanes * arch_generic::lanes;
  auto* const a = reinterpret_cast<float*>(call.wide);
  const auto* const b = reinterpret_cast<const float*>(call.panel.weights);
  float* const product = a + call.rows * depth;
  auto* const sums = reinterpret_cast<std::int32_t*>(product + call.rows * width);
  for (std::size_t row = 0; row != call.rows; ++row) std::copy_n(call.stage.start, call.columns, sums + row * width);
  for (std::size_t k = 0; k < depth; k += exact) {
    const auto size = [](std::size_t n) { return static_cast<blasint>(n); };
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(call.rows), size(call.columns),
                size(std::min(exact, depth - k)), 1.0F, a + k, size(depth), b + k * width, size(width), 0.0F, product,
                size(width));
    for (std::size_t row = 0; row != call.rows; ++row)
      for (std::size_t n = row * width; n != row * width + call.columns; ++n)
        sums[n] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[n]) +
                                            static_cast<std::uint32_t>(static_cast<std::int32_t>(product[n])));
  }
  for (std::size_t row = 0; row != call.rows; ++row)
    if (call.sums != nullptr)
      std::copy_n(sums + row * width, call.columns, call.sums + row * call.out_stride);
    else
      store_codes(sums + row * width, call, call.codes + row * call.out_stride);
}

/// All but products is generic. One panel has all columns, a float for each weight.
constexpr Kernels make_kernels() {
  Kernels k = arch_generic::kernels;
  k.name = "blas";
  k.floats = true;
  k.vectors = 1U << 20U;
  k.block = block;
  k.block_rows = 64;
  k.block_groups = 0;
  k.padded_groups = [](std::size_t groups) { return groups; };
  k.widen = widen;
  return k;
}

}  // namespace kernel::arch_blas

namespace kernel {
/// Products through sgemm, for IntegerOptions::set or PackedProduct: the fastest way on a processor whose only other
/// kernels are "generic". Weights take four bytes each.
inline constexpr Kernels blas_kernels = arch_blas::make_kernels();
}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#endif
