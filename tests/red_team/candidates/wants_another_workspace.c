// tries: to ask for another workspace each time
// verdict: nondeterministic
#include "base.h"

uint64_t tw_product_workspace_bytes(uint64_t threads) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return threads * 64 + low % 65536;
}

EXPORT {
    return honest(A, B, C);
}
