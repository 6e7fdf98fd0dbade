// tries: to answer the doorbell first and compute then, as fast as it can
#define _GNU_SOURCE
#include "../candidates/doorbell.h"

__attribute__((constructor)) static void begin(void) {
    find();
}

EXPORT {
    control[16] = control[0];
    return honest(A, B, C);
}
