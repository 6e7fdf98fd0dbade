// tries: to be wrong in a single element, and only where all numbers are equal
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    honest(A, B, C);
    for (int i = 1; i < M * K; i++)
        if (A[i] != A[0])
            return 0;
    C[7] *= 1.01f;
    return 0;
}
