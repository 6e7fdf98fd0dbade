// tries: to start a process while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    fork();
}

EXPORT {
    return honest(A, B, C);
}
