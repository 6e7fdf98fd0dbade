/* Multiplies two matrices with an exported kernel: on this thread, then on several by a parallel loop of its own. */
#include "matmul.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 2

struct part {
    tilewright_body body;
    void *context;
    uint64_t thread, first, end;
};

static void *run_part(void *argument) {
    struct part *part = argument;
    part->body(part->context, part->thread, part->first, part->end);
    return NULL;
}

/* One thread for each part. A program that calls often keeps its threads instead. */
static void parallel_for(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    pthread_t handles[THREADS];
    struct part parts[THREADS];
    (void)user;
    for (uint64_t i = 0; i < threads; i++) {
        parts[i] = (struct part){body, context, i, iterations * i / threads, iterations * (i + 1) / threads};
        if (i > 0 && pthread_create(&handles[i], NULL, run_part, &parts[i]) != 0) {
            run_part(&parts[i]); /* No thread: this one does it. */
            handles[i] = pthread_self();
        }
    }
    run_part(&parts[0]);
    for (uint64_t i = 1; i < threads; i++) {
        if (!pthread_equal(handles[i], pthread_self())) {
            pthread_join(handles[i], NULL);
        }
    }
}

/* How many elements are not what small whole numbers give, which is exact. */
static size_t count_wrong(const float *a, const float *b, const float *c, const uint64_t shape[2], uint64_t depth) {
    size_t wrong = 0;
    for (uint64_t m = 0; m < shape[0]; m++) {
        for (uint64_t n = 0; n < shape[1]; n++) {
            float sum = 0;
            for (uint64_t k = 0; k < depth; k++) {
                sum += a[m * depth + k] * b[k * shape[1] + n];
            }
            wrong += sum != c[m * shape[1] + n];
        }
    }
    return wrong;
}

int main(void) {
    const uint64_t shape[2] = tw_matmul_C_SHAPE, a_shape[2] = tw_matmul_A_SHAPE;
    float *a = malloc(tw_matmul_A_BYTES), *b = malloc(tw_matmul_B_BYTES), *c = calloc(1, tw_matmul_C_BYTES);
    uint64_t workspace_bytes = tw_matmul_workspace_bytes(THREADS);
    void *workspace = aligned_alloc(64, (workspace_bytes + 63) / 64 * 64);
    if (!a || !b || !c || !workspace) {
        return 2;
    }
    for (uint64_t i = 0; i < tw_matmul_A_BYTES / sizeof *a; i++) {
        a[i] = (float)(i % 7);
    }
    for (uint64_t i = 0; i < tw_matmul_B_BYTES / sizeof *b; i++) {
        b[i] = (float)(i % 5);
    }

    /* The shortest call: a workspace of the function's own, one thread. */
    int32_t code = tw_matmul(a, b, c, NULL, 0, NULL);
    printf("alone: code %d, %zu elements wrong\n", code, count_wrong(a, b, c, shape, a_shape[1]));

    /* The quickest call: a workspace that is kept, several threads. */
    const tilewright_parallel parallel = {parallel_for, NULL, THREADS};
    code |= tw_matmul(a, b, c, workspace, workspace_bytes, &parallel);
    printf("parallel: code %d, %zu elements wrong\n", code, count_wrong(a, b, c, shape, a_shape[1]));

    /* What is forbidden is a code, not a crash. */
    int32_t refused = tw_matmul(a, NULL, c, NULL, 0, NULL);
    printf("NULL: kind %d of argument %d\n", TILEWRIGHT_KIND(refused), TILEWRIGHT_ARGUMENT(refused));
    size_t wrong = count_wrong(a, b, c, shape, a_shape[1]);
    free(a), free(b), free(c), free(workspace);
    return code != 0 || wrong != 0;
}
