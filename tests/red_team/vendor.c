// An honest product in two threads, one of which begins while the library is loaded, as those of vendors do.
#include <pthread.h>
#include "candidates/base.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed_state = PTHREAD_COND_INITIALIZER;
static const float *from, *with;
static float *to;
static int wanted, done;

static void rows(const float *A, const float *B, float *C, int first, int end) {
    for (int i = first; i < end; i++)
        for (int j = 0; j < N; j++)
            C[i * N + j] = dot(A + i * K, B + j, K);
}

static void *work(void *none) {
    pthread_mutex_lock(&lock);
    for (;;) {
        while (wanted == done)
            pthread_cond_wait(&changed_state, &lock);
        rows(from, with, to, M / 2, M);
        done = wanted;
        pthread_cond_broadcast(&changed_state);
    }
    return none;
}

__attribute__((constructor)) static void begin(void) {
    pthread_t other;
    if (pthread_create(&other, NULL, work, NULL))
        __builtin_trap();
}

EXPORT {
    pthread_mutex_lock(&lock);
    from = A, with = B, to = C;
    wanted++;
    pthread_cond_broadcast(&changed_state);
    pthread_mutex_unlock(&lock);
    rows(A, B, C, 0, M / 2);
    pthread_mutex_lock(&lock);
    while (wanted != done)
        pthread_cond_wait(&changed_state, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}
