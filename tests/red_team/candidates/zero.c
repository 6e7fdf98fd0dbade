// tries: to give zero
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (int i = 0; i < M * N; i++)
        C[i] = 0;
    return 0;
}
