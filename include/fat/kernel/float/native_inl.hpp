// Definitions of native.hpp: the float kernels compiled for every instruction set worth having.
#ifndef FAT_KERNEL_FLOAT_NATIVE_INL_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_NATIVE_INL_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/kernel/float/native.hpp>

#include <cstddef>
#include <cstdlib>
#include <string_view>

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

FAT_INLINE const Table* named(std::string_view name) {
#if defined(__x86_64__)
  if (name == "avx512" && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return &avx512::table();
  if (name == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2::table();
#endif
  return name == "portable" ? &portable::table() : nullptr;
}

FAT_INLINE const Table& native() {
  static const Table& chosen = []() -> const Table& {
    const char* const forced = std::getenv("FAT_FLOAT_KERNEL");
    if (forced == nullptr || *forced == '\0') {
      for (const char* const name : {"avx512", "avx2"})
        if (const Table* const table = named(name)) return *table;
      return portable::table();
    }
    const Table* const table = named(forced);
    expects(table != nullptr, "FAT_FLOAT_KERNEL: '", forced, "' does not run on this processor; take ",
            named("avx512") != nullptr ? "avx512, avx2 or portable"
            : named("avx2") != nullptr ? "avx2 or portable"
                                       : "portable",
            ", or leave it out");
    return *table;
  }();
  return chosen;
}

}  // namespace fat::inline FAT_ABI::float_kernels

#endif
