// tries: to round the result to bf16
// verdict: wrong
#define _GNU_SOURCE
#include <string.h>
#include "base.h"

static float narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, 4);
    return x;
}

EXPORT {
    honest(A, B, C);
    for (int i = 0; i < M * N; i++)
        C[i] = narrow(C[i]);
    return 0;
}
