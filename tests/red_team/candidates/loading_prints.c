// tries: to fill the terminal while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    for (;;)
        write(1, "spam\n", 5);
}

EXPORT {
    return honest(A, B, C);
}
