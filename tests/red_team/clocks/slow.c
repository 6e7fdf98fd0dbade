// tries: nothing: it does everything twice, which the clock must see
#include "../candidates/base.h"

EXPORT {
    honest(A, B, C);
    __asm__ volatile("" : : "r"(C) : "memory");
    return honest(A, B, C);
}
