// tries: to return into the time when it was loaded
// verdict: crash timeout load wrong
#define _GNU_SOURCE
#include <setjmp.h>
#include "base.h"

static jmp_buf back;

__attribute__((constructor)) static void begin(void) {
    if (setjmp(back))
        __builtin_trap();
}

EXPORT {
    honest(A, B, C);
    longjmp(back, 1);
    return honest(A, B, C);
}
