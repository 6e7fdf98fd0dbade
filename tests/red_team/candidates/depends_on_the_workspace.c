// tries: to use what the workspace happens to hold
// verdict: wrong nondeterministic
#include "base.h"

uint64_t tw_product_workspace_bytes(uint64_t threads) {
    return threads * 64;
}

EXPORT {
    honest(A, B, C);
    C[0] += 0 * *(float *)workspace;
    return 0;
}
