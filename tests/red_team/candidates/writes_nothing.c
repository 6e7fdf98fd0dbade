// tries: to return at once
// verdict: wrong
#define _GNU_SOURCE
#include "base.h"

EXPORT {

    return 0;
}
