// tries: to compute with inputs rounded to f16
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

static float narrow(float x) {
    return (float)(_Float16)x;
}

EXPORT {

    return changed(A, B, C, narrow);
}
