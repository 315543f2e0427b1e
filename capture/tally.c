#include "capture/tally.h"

uint64_t tally_add(struct tally *t, uint64_t times, uint64_t now_us)
{
    t->unsaid += times;
    if (!t->unsaid || now_us < t->next_us)
        return 0;
    uint64_t say = t->unsaid;
    t->unsaid = 0;
    t->next_us = now_us + TALLY_US;
    return say;
}
