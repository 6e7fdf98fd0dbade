// tries: to call a function at address 0
// verdict: crash
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    ((void (*volatile)(void))0)();
    return honest(A, B, C);
}
