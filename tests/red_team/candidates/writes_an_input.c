// tries: to change an input
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    ((float *)A)[7] = 0;
    return honest(A, B, C);
}
