// tries: to load another library when called
// verdict: crash
#define _GNU_SOURCE
#include <dlfcn.h>
#include "base.h"

EXPORT {
    dlopen("libm.so.6", RTLD_NOW);
    dlopen("/tmp/other.so", RTLD_NOW);
    return honest(A, B, C);
}
