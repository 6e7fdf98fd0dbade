// tries: to make sockets without a network
// verdict: crash
#define _GNU_SOURCE
#include <sys/socket.h>
#include "base.h"

__attribute__((constructor)) static void begin(void) {
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

EXPORT {
    return honest(A, B, C);
}
