// tries: to take the output as the first argument
// verdict: crash wrong
#include "base.h"

int32_t tw_product(float *C, const float *A, const float *B) {
    return honest(A, B, C);
}
