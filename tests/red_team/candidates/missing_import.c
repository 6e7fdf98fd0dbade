// tries: to need a function that nobody has
// verdict: load
#include "base.h"

extern int nobody_has_this(void);

EXPORT {
    return honest(A, B, C) + nobody_has_this();
}
