// tries: to read where everything lies in its process
// verdict: crash
#define _GNU_SOURCE
#include <fcntl.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    if (open("/proc/self/maps", O_RDONLY) < 0)
        __builtin_trap();
}

EXPORT {
    return honest(A, B, C);
}
