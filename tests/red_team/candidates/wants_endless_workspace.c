// tries: to ask for more workspace than there is memory
// verdict: refused
#include "base.h"

uint64_t tw_product_workspace_bytes(uint64_t threads) {
    return threads << 60;
}

EXPORT {
    return honest(A, B, C);
}
