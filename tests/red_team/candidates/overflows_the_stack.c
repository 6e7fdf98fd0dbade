// tries: to use more stack than there is
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

static volatile int depth;

__attribute__((noinline)) static int deeper(int by) {
    volatile char frame[4096];
    frame[0] = (char)by;
    depth += by;
    return deeper(by + 1) + frame[0];
}

EXPORT {
    deeper(1);
    return honest(A, B, C);
}
