// tries: to write the element behind the output
// verdict: crash stray_write
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    C[M * N] = 1;
    return honest(A, B, C);
}
