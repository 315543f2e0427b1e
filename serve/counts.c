#include "serve/counts.h"

const uint32_t count_delay_us[COUNT_DELAYS] = {1000,   2000,   5000,   10000,   20000,   50000,
                                               100000, 200000, 500000, 1000000, 2000000, 5000000};

void count_delay(struct counts *c, int64_t us)
{
    unsigned i = 0;
    while (i < COUNT_DELAYS && us > count_delay_us[i])
        i++;
    c->delays[i]++;
    c->delay_us += us > 0 ? (uint64_t)us : 0;
}
