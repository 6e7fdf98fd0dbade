// tries: to read the second input by columns
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            float sum = 0;
            for (int k = 0; k < K; k++)
                sum += A[i * K + k] * B[j * K + k];
            C[i * N + j] = sum;
        }
    return 0;
}
