// The float kernels of this processor, chosen at run time among those of every instruction set worth having.
#ifndef FAT_KERNEL_FLOAT_NATIVE_HPP_INCLUDED
#define FAT_KERNEL_FLOAT_NATIVE_HPP_INCLUDED

#include <fat/kernel/float/calls.hpp>

#include <string_view>

namespace fat::inline FAT_ABI::float_kernels {

/// Kernels by name, null where this processor or this build has none such: "avx512", "avx2", "portable".
const Table* named(std::string_view name);

/// The kernels for the best instruction set of this processor, or those that the environment variable FAT_FLOAT_KERNEL
/// names. Errors: a name that `named` does not know here.
const Table& native();

}  // namespace fat::inline FAT_ABI::float_kernels

#if !defined(FAT_COMPILED)
#include <fat/kernel/float/native_inl.hpp>
#endif

#endif
