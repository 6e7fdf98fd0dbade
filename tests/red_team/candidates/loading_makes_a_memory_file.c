// tries: to make a file that needs no folder
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    memfd_create("other", 0);
}

EXPORT {
    return honest(A, B, C);
}
