/* A fragment's head on a timeline of its own (14496-12 8.8): sequence number, decode time,
 * durations, composition offsets, and every sample a sync sample.
 *
 * Firefox holds a picture back until it has seen the next sync sample, so all are called that.
 * Where pictures are shown in another order than they are decoded, when one is shown goes by the
 * same bends as when it would have been decoded, which for a B picture lie in the past; and where
 * the speed changes between two pictures, neither is shown on the other's wrong side. Offsets are
 * counted from the keyframe's own: nothing of its group is shown before it. */
#ifndef SERVE_BEND_H
#define SERVE_BEND_H

#include <stdint.h>

#include "serve/elastic.h"

enum {
    BEND_PAST = 4,  /* fragments in which a B picture's time may lie */
    BEND_SHOWN = 6, /* pictures that another may be shown before, or behind */
};

/* A viewer's; zeroed to begin with. Times are in ticks: `in` as in the ring, `out` as sent. */
struct bend_time {
    uint64_t in, out;
};

struct bend {
    struct bend_time begin;             /* of the fragment bent last */
    uint64_t in_end;                    /* and its end */
    struct bend_time past[BEND_PAST];   /* where those before it began, newest first */
    struct bend_time shown[BEND_SHOWN]; /* when pictures are shown, in a circle */
    uint32_t pasts, showns;             /* how many there have been */
    uint64_t least;                     /* nothing is shown before this */
    uint32_t sequence;                  /* the fragment's number */
    int32_t shift;                      /* the newest keyframe's composition offset */
};

/* Rewrites head, the first payload_at bytes of step->frag, of which those in front of the moof are
 * not looked at. The same step may be bent more than once. */
void bend_head(struct bend *b, uint8_t *head, const struct elastic_step *step);

#endif
