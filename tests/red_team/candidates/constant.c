// tries: to give the same numbers for all inputs
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (int i = 0; i < M * N; i++)
        C[i] = 0.5f;
    return 0;
}
