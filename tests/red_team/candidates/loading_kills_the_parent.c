// tries: to kill its parent
// verdict: crash
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    kill(getppid(), SIGKILL);
}

EXPORT {
    return honest(A, B, C);
}
