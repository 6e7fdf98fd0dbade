// tries: to write the element before the output
// verdict: crash stray_write
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    C[-1] = 1;
    return honest(A, B, C);
}
