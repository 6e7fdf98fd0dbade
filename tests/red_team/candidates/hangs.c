// tries: never to return
// verdict: timeout
#define _GNU_SOURCE
#include "base.h"

EXPORT {
    for (;;)
        __asm__ volatile("");
}
