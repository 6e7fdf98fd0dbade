// tries: to work for twelve calls only
// verdict: wrong nondeterministic
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    static int calls;
    if (++calls > 12)
        return 0;
    return honest(A, B, C);
}
