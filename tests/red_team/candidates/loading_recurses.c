// tries: to recurse without end while it is loaded
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

__attribute__((constructor)) static void begin(void) {
    deeper(1);
}

EXPORT {
    return honest(A, B, C);
}
