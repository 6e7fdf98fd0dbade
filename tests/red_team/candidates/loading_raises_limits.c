// tries: to change the limits of its parent
// verdict: crash
#define _GNU_SOURCE
#include <sys/resource.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    struct rlimit none = {0, 0};
    prlimit(1, RLIMIT_CPU, &none, NULL);
}

EXPORT {
    return honest(A, B, C);
}
