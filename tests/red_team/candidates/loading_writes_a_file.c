// tries: to write a file while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    int file = open("/tmp/tilewright-red-team", O_CREAT | O_WRONLY, 0600);
    write(file, "x", 1);
}

EXPORT {
    return honest(A, B, C);
}
