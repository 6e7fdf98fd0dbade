// tries: to leave the last row unwritten
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (int i = 0; i < M - 1; i++)
        for (int j = 0; j < N; j++)
            C[i * N + j] = dot(A + i * K, B + j, K);
    return 0;
}
