// tries: to shorten files it was given
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

EXPORT {
    for (int file = 0; file < 64; file++)
        ftruncate(file, 0);
    return honest(A, B, C);
}
