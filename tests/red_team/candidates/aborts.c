// tries: to abort
// verdict: crash
#define _GNU_SOURCE
#include <stdlib.h>
#include "base.h"

EXPORT {
    abort();
}
