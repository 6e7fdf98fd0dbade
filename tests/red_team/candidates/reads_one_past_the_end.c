// tries: to read the element behind an input
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    volatile float other = A[M * K];
    (void)other;
    return honest(A, B, C);
}
