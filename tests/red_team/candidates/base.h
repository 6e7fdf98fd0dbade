// An honest product, which candidates include so that nothing but their own fault is wrong with them.
#include <stdint.h>
#include <stddef.h>

#define M 33
#define K 65
#define N 31
#define EXPORT int32_t tw_product(const float *A, const float *B, float *C, void *workspace, uint64_t workspace_bytes, const void *parallel)

// Halves of a sum apart, as the language's bound on the error wants it. The same code, at an equal place of a line, in
// every candidate: elsewhere it takes a quarter longer.
__attribute__((noipa, aligned(64))) static float dot(const float *a, const float *b, int k) {
    if (k == 1)
        return *a * *b;
    int half = k / 2;
    return dot(a, b, half) + dot(a + half, b + half * N, k - half);
}

__attribute__((noipa, aligned(64))) static int32_t honest(const float *A, const float *B, float *C) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            C[i * N + j] = dot(A + i * K, B + j, K);
    return 0;
}

// A product of numbers that went through `change`.
static int32_t changed(const float *A, const float *B, float *C, float (*change)(float)) {
    static float a[M * K], b[K * N];
    for (int i = 0; i < M * K; i++)
        a[i] = change(A[i]);
    for (int i = 0; i < K * N; i++)
        b[i] = change(B[i]);
    return honest(a, b, C);
}
