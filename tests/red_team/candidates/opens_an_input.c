// tries: to make an input writable
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

EXPORT {
    mprotect((void *)((unsigned long)A & ~4095ul), 4096, PROT_READ | PROT_WRITE);
    ((float *)A)[7] = 0;
    return honest(A, B, C);
}
