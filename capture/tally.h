/* How often something is said that may happen thirty times a second: at once the first time, then
 * with the number of times since, at most every TALLY_US. Pure. */
#ifndef CAPTURE_TALLY_H
#define CAPTURE_TALLY_H

#include <stdint.h>

enum { TALLY_US = 10000000 };

struct tally {
    uint64_t unsaid;
    uint64_t next_us; /* not before */
};

/* It happened `times` more (0: nothing new). Returns the number to be said now, 0 for nothing. */
uint64_t tally_add(struct tally *t, uint64_t times, uint64_t now_us);

#endif
