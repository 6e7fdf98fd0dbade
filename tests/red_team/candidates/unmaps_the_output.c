// tries: to take the output away
// verdict: crash
#define _GNU_SOURCE
#include <sys/mman.h>
#include "base.h"

EXPORT {
    munmap((void *)((unsigned long)C & ~4095ul), 4096);
    return 0;
}
