// tries: to count what is no number as zero
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

static float narrow(float x) {
    return x == x ? x : 0;
}

EXPORT {

    return changed(A, B, C, narrow);
}
