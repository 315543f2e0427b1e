/* Which fragments of a recording a clip takes, and when they are shown in it. Pure.
 *
 * A clip begins at a keyframe and at time 0. Where the recording goes on, so does the clip, holes
 * of up to SEGMENT_HOLE_US and all; where it breaks off, the next keyframe follows at once. */
#ifndef HLS_CLIP_H
#define HLS_CLIP_H

#include <stddef.h>
#include <stdint.h>

#include "hls/segment.h"
#include "mux/boxread.h"

struct clip {
    uint64_t from_us, to_us; /* microseconds since 1970 */
    uint32_t timescale;      /* ticks a second; the caller's to set */
    uint32_t sequence;       /* of the last fragment taken: as many were */
    uint64_t time;           /* ticks: of the last fragment taken, in the clip */
    uint64_t end;            /* and of its end, which is how long the clip is */
    /* The rest is clip.c's. */
    int broken;        /* what comes next does not go on where the last one ended */
    int dated;         /* the segment's first fragment has come */
    uint64_t date_us;  /* of the segment's first picture, */
    uint64_t date_dts; /* ticks: and when it was, in the recording */
    uint64_t dts_end;  /* ticks: of the last one's end, in the recording */
};

enum clip_verdict {
    CLIP_LEAVE, /* behind a break, before a keyframe */
    CLIP_TAKE,
    CLIP_END, /* this one and all behind it are later */
};

/* Reads 2026-11-25T10:11:12Z or 2026-11-25T10:11:12.345Z, of a day there is. Returns 0, or -1. */
int clip_date(const char *text, uint64_t *us);

void clip_init(struct clip *c, uint64_t from_us, uint64_t to_us);

/* The next fragment is the first of a segment. date_us: of its first picture; goes_on: nothing is
 * missing between it and the one before. */
void clip_segment(struct clip *c, uint64_t date_us, int goes_on);

/* Something is missing here: what comes next is as behind a discontinuity. */
void clip_break(struct clip *c);

/* The date of the segment's next fragment, which has that decode time. */
uint64_t clip_when(struct clip *c, uint64_t dts);

/* Takes the segment's next fragment, or not: then sequence, time and end are as before. */
enum clip_verdict clip_add(struct clip *c, const struct moof_info *m);

/* Dates the segments of a playlist: returns the date of *s, its own or counted on from the one
 * before, which ended at *end_us, and sets *end_us to its end. Of what has no date and none in
 * front of it, 0. */
uint64_t clip_dated(const struct segment *s, uint64_t *end_us);

#endif
