// The float kernels compiled for every instruction set worth having, and the choice among them at run time.
#ifndef FAT_KERNEL_FLOAT_NATIVE_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_NATIVE_HPP_INCLUDED

#include <fat/kernel/float/calls.hpp>

#include <cstddef>

namespace fat::inline FAT_ABI::float_kernels {

/// 128-bit vectors: SSE2, NEON, or whatever the compiler's flags allow.
namespace portable {
constexpr int width = 4;
constexpr int tile_rows = 6;
#include <fat/kernel/float/body.inl>
}  // namespace portable

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
constexpr int width = 8;
constexpr int tile_rows = 6;
#include <fat/kernel/float/body.inl>
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,fma,prefer-vector-width=512")
#endif
namespace avx512 {
constexpr int width = 16;
constexpr int tile_rows = 12;
#include <fat/kernel/float/body.inl>
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

/// The kernels for the best instruction set of this processor.
inline const Table& native() {
#if defined(__x86_64__)
  static const Table& best =
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
          ? avx512::table()
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::table()
                                                                        : portable::table();
  return best;
#else
  return portable::table();
#endif
}

}  // namespace fat::inline FAT_ABI::float_kernels

#endif
