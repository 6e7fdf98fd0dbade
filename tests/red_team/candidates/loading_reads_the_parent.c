// tries: to read the memory of its parent as a file
// verdict: crash
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", getppid());
    if (open(path, O_RDONLY) < 0)
        __builtin_trap();
}

EXPORT {
    return honest(A, B, C);
}
