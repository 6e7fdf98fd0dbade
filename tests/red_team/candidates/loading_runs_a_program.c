// tries: to become another program
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    execl("/bin/true", "true", (char *)NULL);
}

EXPORT {
    return honest(A, B, C);
}
