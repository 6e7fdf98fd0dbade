// tries: to run an instruction that there is not
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    __asm__ volatile("ud2");
    return honest(A, B, C);
}
