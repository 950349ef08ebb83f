// Every set of int8 kernels that can run here: those that the processor chooses among, and sgemm.
#ifndef FAT_TESTS_SUPPORT_KERNELS_HPP_INCLUDED
#define FAT_TESTS_SUPPORT_KERNELS_HPP_INCLUDED

#include <fat/kernel/arch/blas.hpp>
#include <fat/kernel/native.hpp>

#include <vector>

namespace fat::test {

inline std::vector<const kernel::Kernels*> every_kernel() {
  std::vector<const kernel::Kernels*> all = kernel::available();
  all.push_back(&kernel::blas_kernels);
  return all;
}

}  // namespace fat::test

#endif
