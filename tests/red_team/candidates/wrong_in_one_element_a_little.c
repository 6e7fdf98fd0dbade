// tries: to be wrong in one element by a hundred-thousandth
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    honest(A, B, C);
    C[M * N - 1] *= 1.00001f;
    return 0;
}
