// The part of CBLAS that fat calls, for processors without an OpenBLAS to link.
#ifndef FAT_TESTS_ARM_CBLAS_H_INCLUDED
#define FAT_TESTS_ARM_CBLAS_H_INCLUDED

using blasint = int;
enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112 };
using CBLAS_LAYOUT = CBLAS_ORDER;

extern "C" {
/// Row-major C = alpha * op(A) * op(B) + beta * C.
void cblas_sgemm(CBLAS_ORDER order, CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, blasint rows,
                 blasint columns, blasint depth, float alpha, const float* a, blasint stride_a, const float* b,
                 blasint stride_b, float beta, float* c, blasint stride_c);
void openblas_set_num_threads(int threads);
int openblas_get_num_threads();
}

#endif
