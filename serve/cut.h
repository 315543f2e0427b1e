/* A ring's stream, cut into HLS segments (hls/segment.h) where it is written, once for all readers:
 * whatever serves it, and however often that starts anew, a segment keeps its number.
 *
 * The newest segments lie in a table of the ring: that of media sequence number n in slot
 * n % RING_CUTS, published by header->cut_next as a fragment is by head. Numbers, and those of
 * epochs, are never used twice under one name: a new ring goes on from the one whose place it
 * takes, else from the time of day, which is later than any number there can have been. */
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
};

/* Makes the numbers of a ring that has just been formatted. old: the one whose place it takes, or
 * NULL. utc_s: the time of day, seconds since 1970; chance: any number, for when that is not known.
 */
void cut_number(struct ring *r, const struct ring *old, uint64_t utc_s, uint32_t chance);

/* Begins to cut, or goes on where the writer before stopped: fragments that are in the ring and in
 * no segment yet come into one. target_ms: CUT_TARGET_MS_MIN to CUT_TARGET_MS_MAX; the target
 * duration of what is there already stays. */
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

/* Bytes a ring must have to hold what playlists need, at the highest rate seen so far; 0 before the
 * first segment. */
uint64_t cut_bytes_needed(const struct cut *c);

/* Readers. Returns -1 when that segment is not in the table: not yet, or no more. What it says
 * was checked: its fragments have been published. */
int cut_get(const struct ring *r, uint64_t sequence, struct segment *s);
/* The number after the newest one's. */
uint64_t cut_next(const struct ring *r);
/* Of the oldest that cut_get() may still know. */
uint64_t cut_oldest(const struct ring *r);

#endif
