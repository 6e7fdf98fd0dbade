// tries: to unmap everything where arrays lie
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    munmap((void *)(1ul << 36), 1ul << 30);
}

EXPORT {
    return honest(A, B, C);
}
