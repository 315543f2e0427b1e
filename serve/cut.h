/* A ring's stream, cut into HLS segments (hls/segment.h) where it is written, once for all readers:
 * whatever serves it, and however often that starts anew, a segment keeps its number.
 *
 * The newest segments lie in a table of the ring: that of media sequence number n in slot
 * * n % RING_CUTS, published by header->cut_next as a fragment is by head. Numbers, and those of
 * epochs, must not be used twice under one name, for caches keep what has them: a new ring goes on
 * from the one whose place it takes; else from the time of day, for those who go on watching, with
 * something by chance behind it, as there are clocks that tell the same time at every start. They
 * have no more than 53 bits. */
#ifndef SERVE_CUT_H
#define SERVE_CUT_H

#include <stdint.h>

#include "hls/segment.h"
#include "serve/ring.h"

enum {
    CUT_TARGET_MS = 2000, /* how long a segment is, where nobody says otherwise */
    CUT_TARGET_MS_MIN = 500,
    CUT_TARGET_MS_MAX = 60000,
    CUT_SILENT_MS = 2000,     /* no fragment for so long: the segment is at its end */
    CUT_KEY_ASK_US = 1000000, /* who does not answer is asked again after that */
};

struct cut {
    struct ring *ring;
    struct segmenter segmenter;
    int64_t asked;       /* CLOCK_MONOTONIC, us: when a keyframe was last asked for */
    uint64_t most_bytes; /* of a second, in any segment so far */
    uint64_t most_frags; /* in 1000 s */
};

/* Makes the numbers of a ring that has just been formatted. old: the one whose place it takes, or
 * NULL. utc_s: the time of day, seconds since 1970; chance: any number. */
void cut_number(struct ring *r, const struct ring *old, uint64_t utc_s, uint32_t chance);

/* Begins to cut, or goes on where the writer before stopped: fragments that are in the ring and in
 * no segment yet come into one. target_ms: CUT_TARGET_MS_MIN to CUT_TARGET_MS_MAX; where that is
 * another than before, the promise of a target duration is another, and what was cut before is
 * forgotten. */
void cut_init(struct cut *c, struct ring *r, uint32_t target_ms);

/* A fragment is about to be put into the ring as number `number`, of that epoch and timescale. */
void cut_add(struct cut *c, uint64_t number, const struct ring_frag *frag, uint32_t epoch,
             uint32_t timescale);

/* The source has been silent for CUT_SILENT_MS. Returns 1 when a segment ended by it. */
int cut_end(struct cut *c);

/* 1 while a segment is open that cut_end() would end. */
int cut_is_open(const struct cut *c);

/* 1 when the source should be asked for a keyframe now. now: CLOCK_MONOTONIC, us. */
int cut_asks(struct cut *c, int64_t now);

/* 0, or how many MiB would do where the ring is too small to hold what playlists need, at the
 * highest rates of bytes and of fragments seen so far. */
uint64_t cut_mib_wanted(const struct cut *c);

/* Readers. Returns -1 when that segment is not in the table: not yet, or no more. What it says
 * was checked: its fragments have been published. */
int cut_get(const struct ring *r, uint64_t sequence, struct segment *s);
/* The number after the newest one's. */
uint64_t cut_next(const struct ring *r);
/* Of the oldest that cut_get() may still know. */
uint64_t cut_oldest(const struct ring *r);

#endif
