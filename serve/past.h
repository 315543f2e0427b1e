/* What of a ring a viewer is sent to begin with: the newest media there is, without a hole in it.
 * Pure; times are microseconds. */
#ifndef SERVE_PAST_H
#define SERVE_PAST_H

#include <stdint.h>

#include "serve/ring.h"

enum {
    PAST_MAX = 5200000,   /* media, where pictures are far apart */
    PAST_BYTES = 4 << 20, /* of all of it */
};

struct past {
    uint64_t key;     /* number of the fragment that it takes to decode it: a sync fragment, */
    uint64_t from;    /* that of the first of the media, */
    uint64_t end;     /* and one more than the last's */
    unsigned samples; /* from the key on, */
    unsigned lead_in; /* and of these, in front of the media */
};

/* Finds the last `media` us, at least, of the ring's head. timescale: ticks a second, not 0.
 * lead_in: so many fragments may lie between the key and the first of the media. Returns 0, or -1:
 * there is not so much without a hole, or another epoch, in it, or it would be too much. */
int past_find(const struct ring *r, uint32_t timescale, int64_t media, unsigned lead_in,
              struct past *past);

/* How many fragments, from the key on (and round again, where there are few), are to be sent in
 * front of it all, so that there are `packets` samples or more, and `ahead` in front of the media.
 * *bytes: of these fragments. */
unsigned past_front(const struct ring *r, const struct past *past, unsigned packets, unsigned ahead,
                    uint64_t *bytes);

#endif
