// tries: to unmap its own code
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

static void begin(void);

__attribute__((constructor)) static void begin(void) {
    munmap((void *)((unsigned long)begin & ~4095ul), 4096);
}

EXPORT {
    return honest(A, B, C);
}
