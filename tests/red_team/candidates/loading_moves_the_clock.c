// tries: to set the clock back
// verdict: crash
#define _GNU_SOURCE
#include <time.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    struct timespec then = {0, 0};
    clock_settime(CLOCK_REALTIME, &then);
}

EXPORT {
    return honest(A, B, C);
}
