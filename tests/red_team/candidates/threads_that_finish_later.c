// tries: to let a thread finish after the answer
// verdict: crash
#define _GNU_SOURCE
#include <pthread.h>
#include "base.h"

static const float *from, *with;
static float *to;
static void *later(void *none);

EXPORT {
    pthread_t other;
    to = C, from = A, with = B;
    pthread_create(&other, NULL, later, NULL);
    return 0;
}

static void *later(void *none) {
    honest(from, with, to);
    return none;
}
