// tries: to end with success
// verdict: crash
#define _GNU_SOURCE
#include <stdlib.h>
#include "base.h"

EXPORT {
    honest(A, B, C);
    exit(0);
}
