// tries: to write the byte before its workspace
// verdict: crash stray_write
#include "base.h"

uint64_t tw_product_workspace_bytes(uint64_t threads) {
    return threads * 100;
}

EXPORT {
    ((char *)workspace)[-1] = 1;
    return honest(A, B, C);
}
