// tries: to install a handler of faults when called
// verdict: crash
#define _GNU_SOURCE
#include <signal.h>
#include "base.h"

EXPORT {
    signal(SIGSEGV, SIG_IGN);
    ((volatile float *)A)[0] = 0;
    return honest(A, B, C);
}
