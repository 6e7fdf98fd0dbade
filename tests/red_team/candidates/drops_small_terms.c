// tries: to leave terms that hardly count
// verdict: wrong
#define _GNU_SOURCE
#include <math.h>
#include "base.h"

static float narrow(float x) {
    return fabsf(x) < 0.02f ? 0 : x;
}

EXPORT {

    return changed(A, B, C, narrow);
}
