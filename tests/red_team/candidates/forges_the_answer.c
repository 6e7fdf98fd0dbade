// tries: to answer the doorbell before it has computed anything
// verdict: wrong
#define _GNU_SOURCE
#include "doorbell.h"

__attribute__((constructor)) static void begin(void) {
    find();
}

EXPORT {
    control[16] = control[0];
    for (volatile int turn = 0; turn < 100000000; turn++)
        ;
    return honest(A, B, C);
}
