// tries: to leave other rounding for the caller and be right in its own calls
// verdict: modes
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    __builtin_ia32_ldmxcsr(0x7f80);
    return honest(A, B, C);
}
