// tries: to work in every other call
// verdict: wrong nondeterministic
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    static int calls;
    if (++calls % 2 == 0)
        return 0;
    return honest(A, B, C);
}
