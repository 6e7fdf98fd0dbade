// tries: to make system calls through a ring that no filter sees
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    char parameters[256] = {0};
    syscall(425, 8, parameters);
}

EXPORT {
    return honest(A, B, C);
}
