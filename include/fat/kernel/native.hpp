// Which micro-kernels this processor runs: found at run time, forced by name or by the environment.
#ifndef FAT_KERNEL_NATIVE_HPP_INCLUDED
#define FAT_KERNEL_NATIVE_HPP_INCLUDED

#include <fat/kernel/arch/types.hpp>

#include <string_view>
#include <vector>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Micro-kernels that run on this processor, the best first; "generic" is always the last.
const std::vector<const Kernels*>& available();

/// Micro-kernels by name. Errors: a name this processor has no kernels for (the message lists those it has).
const Kernels& kernels_named(std::string_view name);

/// The best of this processor, or the one that the environment variable FAT_KERNEL names.
const Kernels& native_kernels();

}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#if !defined(FAT_COMPILED)
#include <fat/kernel/native_inl.hpp>
#endif

#endif
