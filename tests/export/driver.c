/* Calls every function of a library in every way that its interface allows, and in those that it forbids.
 *
 * driver INPUTS OUTPUTS [LIBRARY]: reads the inputs of all functions one behind the other, writes their outputs likewise.
 * With a LIBRARY the functions come from there by dlopen. Each array ends where its pages end, with no access behind.
 * cases.h is made by the test: the table of functions. The exit code is 0 if every answer was as expected. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"

#define ARRAYS_MAX 64
#define THREADS_MAX 4

static int faults;

/* The callers of `main`: a walk of the stack from inside a call must come back to them, through the entry. */
#define FRAMES_MAX 64
static void *callers[FRAMES_MAX];
static int callers_count;

static void walk(void) {
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    int same = callers_count > 1 && count > callers_count;
    for (int i = 1; same && i < callers_count; i++) {
        same = frames[count - i] == callers[callers_count - i];
    }
    if (!same) {
        printf("a walk of the stack through an entry ends after %d frames\n", count);
        faults++;
    }
}

/* Pages of this process, by the kernel's account. */
static long pages(void) {
    long count = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld", &count) != 1) {
        puts("/proc/self/statm cannot be read");
        exit(2);
    }
    fclose(file);
    return count;
}

static void expect(const struct function *f, const char *what, int32_t found, int32_t expected) {
    if (found != expected) {
        printf("%s: %s gives %#x, expected %#x\n", f->symbol, what, found, expected);
        faults++;
    }
}

/* Memory that ends where its pages end, between pages without access. */
static unsigned char *guarded(uint64_t bytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t inner = (bytes + page - 1) / page * page;
    unsigned char *start = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || (inner && mprotect(start + page, inner, PROT_READ | PROT_WRITE))) {
        perror("mmap");
        exit(2);
    }
    return start + page + inner - bytes;
}

struct task {
    tilewright_body body;
    void *context;
    uint64_t thread, first, end;
};

static void *work(void *argument) {
    struct task *task = argument;
    /* In two steps, so that a thread calls the body more than once. */
    uint64_t middle = task->first + (task->end - task->first) / 2;
    task->body(task->context, task->thread, task->first, middle);
    task->body(task->context, task->thread, middle, task->end);
    return NULL;
}

/* A thread for each part. */
static void spread(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    pthread_t handles[THREADS_MAX];
    struct task tasks[THREADS_MAX];
    ++*(int *)user;
    walk();
    if (threads > THREADS_MAX) {
        abort();
    }
    for (uint64_t i = 0; i < threads; i++) {
        tasks[i] = (struct task){body, context, i, iterations * i / threads, iterations * (i + 1) / threads};
        if (pthread_create(&handles[i], NULL, work, &tasks[i])) {
            abort();
        }
    }
    for (uint64_t i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
    }
}

static void does_nothing(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user, (void)iterations, (void)threads, (void)body, (void)context;
}

static void one_after_the_other(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user;
    for (uint64_t i = 0; i < iterations; i++) {
        body(context, i % threads, i, i + 1);
    }
}

static void forgets_the_last(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user, (void)threads;
    body(context, 0, 0, iterations - 1);
}

static void repeats_the_first(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user, (void)threads;
    body(context, 0, 0, iterations);
    body(context, 0, 0, 1);
}

static void goes_beyond(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user, (void)threads;
    body(context, 0, 0, iterations);
    body(context, 0, iterations, iterations + 1);
}

static void names_a_stranger(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user;
    body(context, 0, 0, iterations);
    body(context, threads, 0, 0);
}

static void runs_backwards(void *user, uint64_t iterations, uint64_t threads, tilewright_body body, void *context) {
    (void)user, (void)threads;
    body(context, 0, 0, iterations);
    body(context, 0, 1, 0);
}

static void poison(const struct function *f, void **arrays) {
    for (int i = f->inputs; i < f->arrays; i++) {
        memset(arrays[i], 0xa5, f->bytes[i]);
    }
}

static void unchanged(const struct function *f, void **arrays, const char *what) {
    for (int i = f->inputs; i < f->arrays; i++) {
        for (uint64_t at = 0; at < f->bytes[i]; at++) {
            if (((unsigned char *)arrays[i])[at] != 0xa5) {
                printf("%s: %s writes\n", f->symbol, what);
                faults++;
                return;
            }
        }
    }
}

static void same(const struct function *f, void **arrays, void **other, const char *what) {
    for (int i = f->inputs; i < f->arrays; i++) {
        if (memcmp(arrays[i], other[i], f->bytes[i])) {
            printf("%s: %s gives another result\n", f->symbol, what);
            faults++;
        }
    }
}

/* A call that must be refused, and leaves the outputs as they were. */
static void refused(const struct function *f, void **arrays, const char *what, int32_t found, int kind, int position) {
    expect(f, what, found, kind | position << 8);
    unchanged(f, arrays, what);
}

static void wrong_arrays(const struct function *f, void **arrays, int position) {
    void *changed[ARRAYS_MAX];
    memcpy(changed, arrays, sizeof changed);
    changed[position] = NULL;
    refused(f, arrays, "NULL", f->call(changed, NULL, 0, NULL), TILEWRIGHT_NULL, position + 1);
    if (f->aligns[position] > 1) {
        changed[position] = (char *)arrays[position] + 1;
        refused(f, arrays, "an odd address", f->call(changed, NULL, 0, NULL), TILEWRIGHT_MISALIGNED, position + 1);
    }
    for (int other = 0; position >= f->inputs && other < position; other++) {
        if (f->bytes[other]) {
            /* The first and the last element of the other one, where the output may begin. */
            uint64_t first = (uint64_t)arrays[other], last = first + f->bytes[other] - f->aligns[other];
            changed[position] = (void *)(first & -f->aligns[position]);
            int32_t code = f->call(changed, NULL, 0, NULL);
            refused(f, arrays, "overlap", code, TILEWRIGHT_OVERLAP, position + 1);
            changed[position] = (void *)(last & -f->aligns[position]);
            code = f->call(changed, NULL, 0, NULL);
            refused(f, arrays, "overlap at the end", code, TILEWRIGHT_OVERLAP, position + 1);
        }
    }
}

static void wrong_workspaces(const struct function *f, void **arrays) {
    uint64_t bytes = f->workspace_bytes(1);
    char *workspace = aligned_alloc(64, (bytes + 127) / 64 * 64);
    int position = f->arrays + 1;
    refused(f, arrays, "a short workspace", f->call(arrays, workspace, bytes - 1, NULL), TILEWRIGHT_WORKSPACE, position);
    refused(f, arrays, "a shifted workspace", f->call(arrays, workspace + 8, bytes, NULL), TILEWRIGHT_MISALIGNED, position);
    int last = f->arrays - 1;
    if (f->bytes[last]) {
        void *there = (void *)((uint64_t)arrays[last] & ~(uint64_t)63);
        int32_t code = f->call(arrays, there, bytes, NULL);
        refused(f, arrays, "a workspace in an output", code, TILEWRIGHT_OVERLAP, position);
    }
    free(workspace);
}

static void wrong_loops(const struct function *f, void **arrays) {
    static const struct { const char *what; void (*run)(void *, uint64_t, uint64_t, tilewright_body, void *); } wrong[] = {
        {"a loop that does nothing", does_nothing},
        {"a loop without the last iteration", forgets_the_last},
        {"a loop that repeats an iteration", repeats_the_first},
        {"a loop beyond the end", goes_beyond},
        {"a loop with a strange thread", names_a_stranger},
        {"a loop that runs backwards", runs_backwards},
    };
    int position = f->arrays + 3;
    tilewright_parallel loop = {NULL, NULL, 2};
    refused(f, arrays, "a loop without `run`", f->call(arrays, NULL, 0, &loop), TILEWRIGHT_NULL, position);
    loop = (tilewright_parallel){spread, NULL, 0};
    refused(f, arrays, "a loop without threads", f->call(arrays, NULL, 0, &loop), TILEWRIGHT_PARALLEL, position);
    const tilewright_parallel *odd = (const tilewright_parallel *)((char *)&loop + 4);
    refused(f, arrays, "a shifted loop", f->call(arrays, NULL, 0, odd), TILEWRIGHT_MISALIGNED, position);
    for (unsigned i = 0; f->threads > 1 && i < sizeof wrong / sizeof *wrong; i++) {
        loop = (tilewright_parallel){wrong[i].run, NULL, 2};
        expect(f, wrong[i].what, f->call(arrays, NULL, 0, &loop), TILEWRIGHT_PARALLEL | position << 8);
    }
}

static void right(const struct function *f, void **arrays, void **other) {
    uint64_t bytes = f->workspace_bytes(1);
    void *aligned = NULL;
    poison(f, other);
    expect(f, "a call", f->call(other, NULL, 0, NULL), 0);
    memcpy(arrays, other, (size_t)f->inputs * sizeof *arrays);
    poison(f, arrays);
    aligned = guarded((bytes + 63) / 64 * 64);
    memset(aligned, 0xff, bytes);
    expect(f, "a call with a workspace", f->call(arrays, aligned, bytes, NULL), 0);
    same(f, arrays, other, "a workspace");
    for (uint64_t threads = 1; threads <= THREADS_MAX; threads++) {
        int loops = 0;
        tilewright_parallel loop = {spread, &loops, threads};
        poison(f, arrays);
        expect(f, "a parallel call", f->call(arrays, NULL, 0, &loop), 0);
        same(f, arrays, other, "a parallel call");
        if ((loops > 0) != (threads > 1 && f->threads > 1)) {
            printf("%s: %d loops with %d threads\n", f->symbol, loops, (int)threads);
            faults++;
        }
        bytes = f->workspace_bytes(threads);
        aligned = guarded((bytes + 63) / 64 * 64);
        poison(f, arrays);
        expect(f, "a parallel call with a workspace", f->call(arrays, aligned, bytes, &loop), 0);
        same(f, arrays, other, "a parallel call with a workspace");
    }
}

/* Calls that take a workspace of their own give it back, whatever they return. */
static void leaks(const struct function *f, void **arrays) {
    tilewright_parallel wrong = {does_nothing, NULL, 2}, fine = {one_after_the_other, NULL, THREADS_MAX};
    long before = pages();
    for (int i = 0; i < 32; i++) {
        f->call(arrays, NULL, 0, &wrong);
        f->call(arrays, NULL, 0, &fine);
        f->call(arrays, NULL, 0, NULL);
    }
    long after = pages();
    if (before != after) {
        printf("%s: %ld pages are lost\n", f->symbol, after - before);
        faults++;
    }
}

static void test(const struct function *f, FILE *inputs, FILE *outputs) {
    void *arrays[ARRAYS_MAX], *other[ARRAYS_MAX];
    for (int i = 0; i < f->arrays; i++) {
        arrays[i] = guarded(f->bytes[i]);
        other[i] = i < f->inputs ? arrays[i] : guarded(f->bytes[i]);
        if (i < f->inputs && fread(arrays[i], 1, f->bytes[i], inputs) != f->bytes[i]) {
            puts("the inputs end too soon");
            exit(2);
        }
    }
#ifdef REFUSED_PROCESSOR
    poison(f, arrays);
    refused(f, arrays, "a processor without the instructions", f->call(arrays, NULL, 0, NULL), TILEWRIGHT_PROCESSOR, 0);
    return;
#endif
    right(f, arrays, other);
    for (int i = f->inputs; i < f->arrays; i++) {
        fwrite(arrays[i], 1, f->bytes[i], outputs);
    }
    /* An emulator takes and gives back memory of its own. */
    if (!getenv("EMULATED")) {
        leaks(f, arrays);
    }
    poison(f, arrays);
    for (int i = 0; i < f->arrays; i++) {
        if (f->bytes[i]) {
            wrong_arrays(f, arrays, i);
        }
    }
    wrong_workspaces(f, arrays);
    wrong_loops(f, arrays);
}

int main(int count, char **arguments) {
    if (count < 3) {
        puts("driver INPUTS OUTPUTS [LIBRARY]");
        return 2;
    }
    FILE *inputs = fopen(arguments[1], "rb"), *outputs = fopen(arguments[2], "wb");
    void *library = count > 3 ? dlopen(arguments[3], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!inputs || !outputs || (count > 3 && !library)) {
        puts(count > 3 && !library ? dlerror() : "a file cannot be opened");
        return 2;
    }
    find(library);
    callers_count = backtrace(callers, FRAMES_MAX);
    for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
        test(&functions[i], inputs, outputs);
    }
    fclose(outputs);
    printf("%u functions, %d faults\n", (unsigned)(sizeof functions / sizeof *functions), faults);
    return faults != 0;
}
