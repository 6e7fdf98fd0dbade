// tries: to leave the last term of each sum
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            C[i * N + j] = dot(A + i * K, B + j, K - 1);
    return 0;
}
