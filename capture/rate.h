/* Frame rates as exact fractions, and the time of the nth frame. */
#ifndef CAPTURE_RATE_H
#define CAPTURE_RATE_H

#include <stdint.h>

enum {
    RATE_MAX = 240,       /* frames a second */
    RATE_MIN_INV = 10,    /* seconds a frame, at most */
    RATE_DEN_MAX = 10000, /* keeps every product below in 64 bits */
};

struct rate {
    uint32_t num, den; /* num / den frames a second, in lowest terms */
};

/* Takes "30", "29.97" (at most four decimals) or "30000/1001" and nothing else. 0, or -1 for
 * anything malformed, below 1 / RATE_MIN_INV or above RATE_MAX. */
int rate_parse(const char *text, struct rate *rate);

/* When frame n is due, in microseconds after frame 0, rounded to the nearest. */
uint64_t rate_us(struct rate rate, uint64_t n);

/* The newest frame that is due `us` microseconds after frame 0. */
uint64_t rate_due(struct rate rate, uint64_t us);

/* Frames in one second, rounded to the nearest, at least 1. */
uint32_t rate_second(struct rate rate);

#endif
