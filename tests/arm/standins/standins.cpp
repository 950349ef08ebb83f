// Plain loops behind the stand-ins' headers.
#include "cblas.h"
#include "zlib.h"

void cblas_sgemm(CBLAS_ORDER, CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, blasint rows, blasint columns,
                 blasint depth, float alpha, const float* a, blasint stride_a, const float* b, blasint stride_b,
                 float beta, float* c, blasint stride_c) {
  for (blasint row = 0; row != rows; ++row) {
    float* const out = c + static_cast<std::ptrdiff_t>(row) * stride_c;
    for (blasint column = 0; column != columns; ++column) out[column] = beta == 0.0F ? 0.0F : beta * out[column];
    for (blasint at = 0; at != depth; ++at) {
      const std::ptrdiff_t left = transpose_a == CblasNoTrans ? static_cast<std::ptrdiff_t>(row) * stride_a + at
                                                              : static_cast<std::ptrdiff_t>(at) * stride_a + row;
      const float factor = alpha * a[left];
      for (blasint column = 0; column != columns; ++column) {
        const std::ptrdiff_t right = transpose_b == CblasNoTrans ? static_cast<std::ptrdiff_t>(at) * stride_b + column
                                                                 : static_cast<std::ptrdiff_t>(column) * stride_b + at;
        out[column] += factor * b[right];
      }
    }
  }
}

void openblas_set_num_threads(int) {}
int openblas_get_num_threads() { return 1; }

uLong crc32_z(uLong checksum, const Bytef* bytes, z_size_t size) {
  uLong rest = checksum ^ 0xFFFFFFFFUL;
  for (z_size_t at = 0; at != size; ++at) {
    rest ^= bytes[at];
    for (int bit = 0; bit != 8; ++bit) rest = (rest >> 1U) ^ ((rest & 1U) != 0U ? 0xEDB88320UL : 0UL);
  }
  return rest ^ 0xFFFFFFFFUL;
}
