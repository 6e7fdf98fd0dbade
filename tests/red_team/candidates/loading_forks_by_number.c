// tries: to start a process with the bare system call
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    syscall(SYS_clone, 0x11, 0, 0, 0, 0);
}

EXPORT {
    return honest(A, B, C);
}
