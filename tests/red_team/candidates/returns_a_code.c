// tries: to say that it computed nothing, although it did
// verdict: code
#include "base.h"

EXPORT {
    honest(A, B, C);
    return 6;
}
