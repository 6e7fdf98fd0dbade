// tries: to make the guards around arrays writable
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    mprotect((void *)(1ul << 36), 1ul << 20, PROT_READ | PROT_WRITE);
}

EXPORT {
    return honest(A, B, C);
}
