// tries: to open a connection while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <sys/socket.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    socket(AF_INET, SOCK_STREAM, 0);
}

EXPORT {
    return honest(A, B, C);
}
