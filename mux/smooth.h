/* Times of arrival without their jitter, for a live stream that says nothing better of its times.
 *
 * A tracker of phase and period: each access unit is expected a period after the one before. Its
 * time is the expected one, moved a part of the way to its arrival, and the period takes a smaller
 * part of the difference. The parts are what a straight line fitted to all n + 1 arrivals so far by
 * least squares needs, 2(2n + 1) / ((n + 1)(n + 2)) and 6 / ((n + 1)(n + 2)), until there are
 * SMOOTH_MEMORY of them. From then on they stay, so that a clock that is off is followed for ever.
 *
 * What differs from the expected by
 *   up to SMOOTH_JITTER_US   is jitter, and smoothed;
 *   more, late               was held up, or follows one that was lost: it counts as jitter, no
 *                            more, and what waited behind it and comes at once not at all;
 *   over SMOOTH_GAP_US       is a gap: the time is that of arrival, the period stays;
 *   more, early              is a burst: the time is the latest that is allowed, the period stays.
 * When all of SMOOTH_CHANGE_COUNT periods and SMOOTH_CHANGE_US were beyond jitter on the same side
 * it is a change of the rate, or what is behind a few lost ones, and no accident: their own period
 * is the new one, and fitting begins anew, with them.
 *
 * No delay builds up: a time is never more than SMOOTH_GAP_US before its arrival, nor more than
 * SMOOTH_JITTER_US behind it, but for the microseconds by which times rise in a burst. */
#ifndef MUX_SMOOTH_H
#define MUX_SMOOTH_H

#include <stdint.h>

enum {
    SMOOTH_MEMORY = 64, /* access units */
    SMOOTH_JITTER_US = 50 * 1000,
    SMOOTH_GAP_US = 500 * 1000,
    SMOOTH_CHANGE_COUNT = 4,
    SMOOTH_CHANGE_US = 250 * 1000, /* a burst is over by then */
};

/* All zero before the first access unit. Nanoseconds, so that what a division cuts off is far below
 * any clock's error. */
struct smooth {
    uint32_t count;    /* arrivals fitted so far, no more than SMOOTH_MEMORY */
    int64_t next_ns;   /* when the next is expected */
    int64_t period_ns; /* and how long after that the one behind it */
    int64_t last_us;   /* what was returned last */
    int side;          /* 1: late beyond jitter, -1: early, since ... */
    int64_t since_us;  /* ... this arrival, ... */
    uint32_t periods;  /* ... which was so many ago */
};

/* The time of the access unit that arrived at arrival_us, in microseconds of the same clock: that
 * of the first itself, then always more than the last. The clock never goes back, and has run for
 * less than a hundred years. */
int64_t smooth_next(struct smooth *s, int64_t arrival_us);

#endif
