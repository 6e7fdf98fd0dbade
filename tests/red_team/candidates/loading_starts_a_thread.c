// tries: to start a thread while it is loaded
// verdict: crash
#define _GNU_SOURCE
#include <pthread.h>
#include "base.h"

static void *later(void *none) {
    return none;
}

__attribute__((constructor)) static void begin(void) {
    pthread_t other;
    pthread_create(&other, NULL, later, NULL);
}

EXPORT {
    return honest(A, B, C);
}
