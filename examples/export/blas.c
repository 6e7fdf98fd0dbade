/* A vendor's BLAS behind the interface of exported kernels, to be judged and timed like any candidate:
 *
 *     cc -O2 -fPIC -shared -DM=512 -DN=512 -DK=512 blas.c -o blas.so -lopenblas
 *     tilewright judge product.tw --candidate blas.so --symbol tw_product --profile vendor --time
 *
 * with `kernel product(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }` at these sizes. A library outside of
 * the system's folders needs its folder in LD_LIBRARY_PATH. */
#include <stdint.h>

void cblas_sgemm(int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc);

enum { ROWS = 101, AS_IT_IS = 111 };

static void multiply(const float *a, const float *b, float *c, int m, int n, int k) {
    cblas_sgemm(ROWS, AS_IT_IS, AS_IT_IS, m, n, k, 1, a, k, b, n, 0, c, n);
}

/* Libraries of vendors load code and start threads in their first call, which is forbidden later. */
__attribute__((constructor)) static void warm_up(void) {
    static float a[M * K], b[K * N], c[M * N];
    multiply(a, b, c, M, N, K);
}

int32_t tw_product(const float *a, const float *b, float *c, void *workspace, uint64_t workspace_bytes,
                   const void *parallel) {
    (void)workspace, (void)workspace_bytes, (void)parallel;
    multiply(a, b, c, M, N, K);
    return 0;
}
