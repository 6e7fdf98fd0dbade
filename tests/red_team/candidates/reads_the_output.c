// tries: to add to what the output holds
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    static float own[M * N];
    honest(A, B, own);
    for (int i = 0; i < M * N; i++)
        C[i] += own[i];
    return 0;
}
