// tries: to have data under the function's name
// verdict: crash
#include "base.h"

int64_t tw_product[4] = {1, 2, 3, 4};
int32_t (*const keep)(const float *, const float *, float *) = honest;
