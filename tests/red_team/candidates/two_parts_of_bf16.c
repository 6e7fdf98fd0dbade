// tries: to compute with the two upper parts of three
// verdict: wrong
#define _GNU_SOURCE
#include <string.h>
#include "base.h"

static float part(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, 4);
    return x;
}

static float narrow(float x) {
    float high = part(x);
    return high + part(x - high);
}

EXPORT {

    return changed(A, B, C, narrow);
}
