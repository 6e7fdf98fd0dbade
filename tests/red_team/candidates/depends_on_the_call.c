// tries: to add in another order in every other call
// verdict: nondeterministic
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    static int calls;
    honest(A, B, C);
    if (++calls % 2 == 0)
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++)
                C[i * N + j] = dot(A + i * K, B + j, 30) + dot(A + i * K + 30, B + j + 30 * N, K - 30);
    return 0;
}
