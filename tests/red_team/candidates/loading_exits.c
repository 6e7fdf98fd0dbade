// tries: to end with success while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    _exit(0);
}

EXPORT {
    return honest(A, B, C);
}
