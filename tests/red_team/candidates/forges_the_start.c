// tries: to say that it is locked in before it is
// verdict: load crash timeout
#define _GNU_SOURCE
#include "doorbell.h"

__attribute__((constructor)) static void begin(void) {
    find();
    control[32] = 1;
    for (;;)
        if (control[16] != control[0])
            control[16] = control[0];
}

EXPORT {
    return honest(A, B, C);
}
