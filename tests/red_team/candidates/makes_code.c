// tries: to write code and jump to it
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

EXPORT {
    char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *code = (char)0xc3;
    ((void (*)(void))code)();
    return honest(A, B, C);
}
