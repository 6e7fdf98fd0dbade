// tries: to take all memory of the machine
// verdict: crash
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "base.h"

EXPORT {
    for (;;) {
        char *block = malloc(1 << 30);
        memset(block, 1, 1 << 30);
        __asm__ volatile("" : : "r"(block) : "memory");
    }
}
