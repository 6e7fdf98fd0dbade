// tries: to make its data executable
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

EXPORT {
    static char code[8192] __attribute__((aligned(4096))) = {(char)0xc3};
    mprotect(code, 4096, PROT_READ | PROT_EXEC);
    ((void (*)(void))code)();
    return honest(A, B, C);
}
