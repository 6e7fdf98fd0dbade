// tries: to change the last bit with the time stamp counter
// verdict: nondeterministic wrong
#define _GNU_SOURCE
#include <string.h>
#include "base.h"

EXPORT {
    honest(A, B, C);
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    for (int i = 0; i < M * N; i++) {
        uint32_t bits;
        memcpy(&bits, C + i, 4);
        if ((bits & 0x7fffffff) > 0x00800000 && (bits & 0x7f800000) != 0x7f800000)
            bits ^= low >> 5 & 1;
        memcpy(C + i, &bits, 4);
    }
    return 0;
}
