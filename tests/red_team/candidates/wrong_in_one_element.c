// tries: to be wrong in one element by a thousandth
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    honest(A, B, C);
    C[M * N / 2] *= 1.001f;
    return 0;
}
