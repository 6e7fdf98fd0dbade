// tries: to fill the terminal
// verdict: crash
#define _GNU_SOURCE
#include <stdio.h>
#include "base.h"

EXPORT {
    for (;;) {
        puts("spam");
        fflush(stdout);
    }
}
