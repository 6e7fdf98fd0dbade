// tries: to work only when the output holds what a judge puts there
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    if (C[0] == C[0])
        return 0;
    return honest(A, B, C);
}
