// tries: to sleep
// verdict: crash
#define _GNU_SOURCE
#include <unistd.h>
#include "base.h"

EXPORT {
    sleep(1);
    return honest(A, B, C);
}
