// tries: to have no function of the name
// verdict: load
#include "base.h"

int32_t other(const float *A, const float *B, float *C) {
    return honest(A, B, C);
}
