// tries: to give the answer of the first call for ever
// verdict: wrong
#define _GNU_SOURCE
#include <string.h>
#include "base.h"

EXPORT {
    static float kept[M * N];
    static int known;
    if (!known)
        honest(A, B, kept);
    known = 1;
    memcpy(C, kept, sizeof kept);
    return 0;
}
