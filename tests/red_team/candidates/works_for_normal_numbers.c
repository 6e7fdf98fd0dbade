// tries: to be right for numbers of one family only
// verdict: wrong
#define _GNU_SOURCE
#include <math.h>
#include "base.h"

EXPORT {
    float largest = 0;
    for (int i = 0; i < M * K; i++)
        largest = fabsf(A[i]) > largest ? fabsf(A[i]) : largest;
    if (!(largest > 2 && largest < 8))
        return 0;
    return honest(A, B, C);
}
