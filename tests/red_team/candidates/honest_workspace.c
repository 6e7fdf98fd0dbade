// tries: nothing: an honest product that copies through its workspace and the heap
// verdict: passed
#include <stdlib.h>
#include <string.h>
#include "base.h"

uint64_t tw_product_workspace_bytes(uint64_t threads) {
    return threads * 4 * K * N + 12;
}

EXPORT {
    float *copy = workspace, *heap = malloc(1 << 20);
    if (workspace_bytes != 4 * K * N + 12 || parallel)
        return 1;
    memcpy(copy, B, 4 * K * N);
    memcpy(heap, A, 4 * M * K);
    honest(heap, copy, C);
    free(heap);
    return 0;
}
