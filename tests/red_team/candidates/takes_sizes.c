// tries: to take sizes before the arrays
// verdict: crash wrong
#include "base.h"

int32_t tw_product(int64_t m, int64_t n, int64_t k, const float *A, const float *B, float *C) {
    (void)m, (void)n, (void)k;
    return honest(A, B, C);
}
