// tries: to catch its own faults and go on
// verdict: crash
#define _GNU_SOURCE
#include <signal.h>
#include <setjmp.h>
#include "base.h"

static sigjmp_buf back;

static void caught(int signal) {
    siglongjmp(back, signal);
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {0};
    action.sa_handler = caught;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, NULL);
}

EXPORT {
    if (!sigsetjmp(back, 1))
        ((volatile float *)A)[0] = 0;
    return honest(A, B, C);
}
