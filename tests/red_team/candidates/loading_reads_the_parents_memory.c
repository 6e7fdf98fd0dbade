// tries: to copy memory of its parent
// verdict: crash
#define _GNU_SOURCE
#include <sys/uio.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x10000, 1};
    process_vm_readv(1, &here, 1, &there, 1, 0);
}

EXPORT {
    return honest(A, B, C);
}
