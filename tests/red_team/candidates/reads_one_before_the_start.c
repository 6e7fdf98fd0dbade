// tries: to read the element before an input
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    volatile float other = A[-1];
    (void)other;
    return honest(A, B, C);
}
