// tries: to end as if killed from outside
// verdict: crash
#define _GNU_SOURCE
#include <signal.h>
#include "base.h"

EXPORT {
    raise(SIGKILL);
    return honest(A, B, C);
}
