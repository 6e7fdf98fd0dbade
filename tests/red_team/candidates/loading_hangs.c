// tries: never to finish loading
// verdict: timeout
#define _GNU_SOURCE
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    for (;;)
        __asm__ volatile("");
}

EXPORT {
    return honest(A, B, C);
}
