// tries: to make infinity the largest number
// verdict: wrong
#define _GNU_SOURCE
#include <math.h>
#include <float.h>
#include "base.h"

static float narrow(float x) {
    return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x;
}

EXPORT {

    return changed(A, B, C, narrow);
}
