/* When pictures are shown that go out one by one as they are decoded.
 *
 * With B frames a picture is shown before some that were decoded before it and after some that are
 * still to come. The times at which something is shown are those at which something is decoded;
 * only who is shown when changes (14496-12 8.6.1.3). So a picture is some places later or earlier
 * than where it is decoded, by as many as will yet come and be shown before it, less those that
 * came before it and are shown after it.
 *
 * The second number is known. The first is foretold from the picture order counts, which rise by
 * the same step from picture to picture, as far as there are gaps in them that may still be filled:
 * a picture may be overtaken by at most max_num_reorder_frames others (E.2.1). Where the stream
 * does not say that number it is learnt, and so is the step. What is foretold may be wrong, when
 * pictures are lost or the first ones of a stream have come; then times are uneven, but the order
 * in which pictures are shown is kept: of those shown before the first of a stream alone it cannot
 * be, for want of a time. */
#ifndef MUX_PRESENT_H
#define MUX_PRESENT_H

#include <stdint.h>

#include "capture/paramset.h"

enum {
    PRESENT_RECENT = 2 * DPB_FRAMES_MAX, /* pictures that are remembered */
    PRESENT_ROOM = 256,                  /* ticks between pictures, where time has run out */
    PRESENT_STEP = 2,                    /* of order counts from frame to frame, as a rule */
};

struct present_picture {
    int64_t order; /* poc_order() */
    int64_t shown; /* ticks */
    int64_t us;    /* its time stamp, or PRESENT_NO_STAMP */
};

#define PRESENT_NO_STAMP INT64_MIN

/* All zero before the first picture. */
struct present {
    int reordered; /* places may differ from 0 */
    struct present_picture recent[PRESENT_RECENT];
    uint64_t count;    /* pictures so far */
    uint64_t begin;    /* count, where the order counts began anew */
    int64_t first;     /* the order of the picture there */
    int64_t output;    /* what comes is shown behind this order */
    int64_t step;      /* of the order counts; 0: none yet */
    int64_t least;     /* the least step seen since `begin` */
    int64_t newest;    /* the latest `shown` */
    int64_t floor;     /* and that of the pictures before `begin` */
    unsigned depth;    /* how many pictures one was overtaken by, or may be */
    unsigned leading;  /* pictures shown before the one at `begin`, though decoded after it */
    unsigned expected; /* and as many before the last `begin` */
};

/* The next picture in decoding order: how many places later (or, < 0, earlier) than where it is
 * decoded it is shown, at most DPB_FRAMES_MAX. order: poc_order(); reorder_frames: as in its
 * struct sps; us: its time stamp or PRESENT_NO_STAMP. */
int present_next(struct present *p, int reorder_frames, int64_t order, int64_t us);

/* The interval between pictures that are shown, by the stamps of the picture of the last
 * present_next() and of its neighbour in order, in microseconds; 0 where they do not say. */
int64_t present_interval(const struct present *p);

/* When the picture of the last present_next() is shown: `want`, or the nearest time that keeps
 * order with those given out before. Ticks. To be called once for each picture. */
int64_t present_place(struct present *p, int64_t want);

#endif
