// Exact integer products through the float GEMM of a BLAS library: blocks of the depth that keep every sum below 2^24.
#ifndef FAT_KERNEL_BLAS_HPP_INCLUDED
#define FAT_KERNEL_BLAS_HPP_INCLUDED

#include <fat/core/array.hpp>

#include <cblas.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>

namespace fat::inline FAT_ABI {
namespace kernel {

/// Largest depth for which any sum of products of a code of A and one of B is an integer that a float holds:
/// 1024 for int8 x int8, 514 for uint8 x int8.
template <class A, class B>
constexpr std::size_t exact_depth() {
  const auto magnitude = []<class T>(T) {
    return static_cast<std::size_t>(
        std::max(-static_cast<int>(std::numeric_limits<T>::min()), static_cast<int>(std::numeric_limits<T>::max())));
  };
  return (std::size_t{1} << 24U) / (magnitude(A{}) * magnitude(B{}));
}

/// Tag: sgemm of the BLAS library. `depth` replaces exact_depth where it is not 0: weights known to be smaller allow
/// more. Only one thread of the library is used where the library is OpenBLAS.
struct blas {
  std::size_t depth = 0;
};

/// Float copies of A and B blocks and the float product, kept between calls.
struct BlasWorkspace {
  aligned_vector<float> a, b, c;
};

namespace blas_detail {

template <class Code>
void to_float(const Code* from, std::size_t rows, std::size_t stride, std::size_t width, float* to) {
  for (std::size_t row = 0; row != rows; ++row, from += stride)
    for (std::size_t k = 0; k != width; ++k) *to++ = static_cast<float>(from[k]);
}

#if defined(OPENBLAS_VERSION) || defined(OPENBLAS_CONST)
/// How many of ours are inside OpenBLAS, and how many threads it had before.
struct Inside {
  std::mutex mutex;
  int count = 0, before = 1;
};
/// Holds OpenBLAS to one thread while any of ours is inside: the library's own split is above this call.
class OneThread {
 public:
  OneThread() {
    const std::lock_guard lock{inside().mutex};
    if (inside().count++ != 0) return;
    inside().before = openblas_get_num_threads();
    if (inside().before != 1) openblas_set_num_threads(1);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() {
    const std::lock_guard lock{inside().mutex};
    if (--inside().count == 0 && inside().before != 1) openblas_set_num_threads(inside().before);
  }

 private:
  static Inside& inside() {
    static Inside all;
    return all;
  }
};
#else
struct OneThread {};
#endif

}  // namespace blas_detail

/// C[rows, columns] = A[rows, depth] * B[depth, columns], row-major, exact. `block`: depth of one sgemm.
template <class A, class B>
void blas_gemm(const A* a, const B* b, std::int32_t* c, std::size_t rows, std::size_t depth, std::size_t columns,
               std::size_t block, BlasWorkspace& memory) {
  [[maybe_unused]] const blas_detail::OneThread one_thread;
  constexpr std::size_t rows_at_once = 512;
  block = std::min(block, depth);
  memory.b.resize(block * columns);
  for (std::size_t k = 0; k < depth; k += block) {
    const std::size_t width = std::min(block, depth - k);
    blas_detail::to_float(b + k * columns, width, columns, columns, memory.b.data());
    for (std::size_t m = 0; m < rows; m += rows_at_once) {
      const std::size_t height = std::min(rows_at_once, rows - m);
      memory.a.resize(height * width);
      memory.c.resize(height * columns);
      blas_detail::to_float(a + m * depth + k, height, depth, width, memory.a.data());
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(height), static_cast<int>(columns),
                  static_cast<int>(width), 1.0F, memory.a.data(), static_cast<int>(width), memory.b.data(),
                  static_cast<int>(columns), 0.0F, memory.c.data(), static_cast<int>(columns));
      std::int32_t* to = c + m * columns;
      for (std::size_t i = 0; i != height * columns; ++i) {
        const auto part = static_cast<std::int32_t>(memory.c[i]);
        to[i] = k == 0 ? part : to[i] + part;
      }
    }
  }
}

}  // namespace kernel
}  // namespace fat::inline FAT_ABI

#endif
