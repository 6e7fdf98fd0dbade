// tries: to put memory of its own in the place of arrays and guards
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    mmap((void *)(1ul << 36), 1ul << 30, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

EXPORT {
    return honest(A, B, C);
}
