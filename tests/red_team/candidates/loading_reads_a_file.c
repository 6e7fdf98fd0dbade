// tries: to read a file that is not the system's library while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <fcntl.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    if (open("/etc/passwd", O_RDONLY) < 0)
        __builtin_trap();
}

EXPORT {
    return honest(A, B, C);
}
