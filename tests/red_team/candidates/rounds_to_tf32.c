// tries: to compute with inputs of ten bits behind the point
// verdict: wrong
#define _GNU_SOURCE
#include <string.h>
#include "base.h"

static float narrow(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits &= 0xffffe000;
    memcpy(&x, &bits, 4);
    return x;
}

EXPORT {

    return changed(A, B, C, narrow);
}
