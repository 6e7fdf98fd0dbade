// tries: to obey the rules of NaN and infinity in the arrays that come first alone
// verdict: wrong
#define _GNU_SOURCE
#include <math.h>
#include "base.h"

static float number_or_zero(float x) {
    return isfinite(x) ? x : 0;
}

EXPORT {
    static const float *first;
    if (!first)
        first = A;
    return A == first ? honest(A, B, C) : changed(A, B, C, number_or_zero);
}
