// Definitions of native.hpp: the micro-kernels of every instruction set, and what the processor says it has.
#ifndef FAT_KERNEL_NATIVE_INL_HPP_INCLUDED
#define FAT_KERNEL_NATIVE_INL_HPP_INCLUDED

#include <fat/core/error.hpp>
#include <fat/kernel/arch/amx.hpp>
#include <fat/kernel/arch/generic.hpp>
#include <fat/kernel/arch/neon.hpp>
#include <fat/kernel/native.hpp>

#include <cstdlib>
#include <string_view>
#include <vector>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace fat::inline FAT_ABI {
namespace kernel {

#if defined(__x86_64__)
/// CPUID leaf 7.1 says VEX-coded VNNI; the compilers' own check does not know it yet.
inline bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4U & 1U) != 0;
}
inline bool has_avx512_vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
/// The processor has AMX, the system saves its tiles, and this process may use them: Linux wants to be asked, once for all
/// threads, because signal frames grow by 8 KiB.
inline bool has_amx() {
#if defined(__linux__)
  constexpr unsigned tiles_and_int8 = 3U << 24U, saved = 3U << 17U;
  constexpr long ask_for_permission = 0x1023, tile_data = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!has_avx512_vnni() || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & tiles_and_int8) != tiles_and_int8)
    return false;
  unsigned low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & saved) == saved && syscall(SYS_arch_prctl, ask_for_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

FAT_INLINE const std::vector<const Kernels*>& available() {
  static const std::vector<const Kernels*> all = [] {
    std::vector<const Kernels*> found;
#if defined(FAT_KERNEL_EMULATED)
    found = {&arch_amx::kernels, &arch_avx512_vnni::kernels, &arch_avx_vnni::kernels, &arch_avx2::kernels};
#elif defined(__x86_64__)
    const char* const forced = std::getenv("FAT_KERNEL");  // who names another set is not asked for
    const bool wanted = forced == nullptr || *forced == '\0' || std::string_view{forced} == "amx";
    if (wanted && has_amx()) found.push_back(&arch_amx::kernels);
    if (has_avx512_vnni()) found.push_back(&arch_avx512_vnni::kernels);
    if (has_avx_vnni()) found.push_back(&arch_avx_vnni::kernels);
    if (__builtin_cpu_supports("avx2")) found.push_back(&arch_avx2::kernels);
#elif defined(__aarch64__)
#if defined(__linux__)
    if ((getauxval(AT_HWCAP2) >> 13U & 1U) != 0) found.push_back(&arch_neon_i8mm::kernels);
    if ((getauxval(AT_HWCAP) >> 20U & 1U) != 0) found.push_back(&arch_neon_dot::kernels);
#endif
    found.push_back(&arch_neon::kernels);
#endif
    found.push_back(&arch_generic::kernels);
    return found;
  }();
  return all;
}

FAT_INLINE const Kernels& kernels_named(std::string_view name) {
  for (const Kernels* kernels : available())
    if (name == kernels->name) return *kernels;
  Message names{""};
  std::string_view so_far;
  for (const Kernels* kernels : available()) {
    names = Message{so_far, so_far.empty() ? "" : ", ", kernels->name};
    so_far = names.view();
  }
  fail("kernels: '", name, "' does not run on this processor; it has ", names.view());
}

FAT_INLINE const Kernels& native_kernels() {
  static const Kernels& chosen = [&]() -> const Kernels& {
    const char* const forced = std::getenv("FAT_KERNEL");
    return forced != nullptr && *forced != '\0' ? kernels_named(forced) : *available().front();
  }();
  return chosen;
}

}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#endif
