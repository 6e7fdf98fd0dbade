// tries: to take another root folder
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    chroot("/tmp");
}

EXPORT {
    return honest(A, B, C);
}
