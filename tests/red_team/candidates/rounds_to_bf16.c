// tries: to compute with inputs rounded to bf16
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

    return changed(A, B, C, narrow);
}
