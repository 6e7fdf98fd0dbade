// tries: nothing: an honest product, which shows that the others are rejected for their own faults
// verdict: passed
#include "base.h"

EXPORT {
    return honest(A, B, C);
}
