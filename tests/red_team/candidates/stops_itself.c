// tries: to stop itself
// verdict: crash
#define _GNU_SOURCE
#include <signal.h>
#include "base.h"

EXPORT {
    raise(SIGSTOP);
    return honest(A, B, C);
}
