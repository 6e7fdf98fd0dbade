// tries: to attach to its parent as a debugger
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    syscall(SYS_ptrace, 16, syscall(SYS_getppid), 0, 0);
}

EXPORT {
    return honest(A, B, C);
}
