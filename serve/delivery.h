/* What of a viewer's body the network has delivered. What the kernel took, up to its window, is on
 * its way as far as sending can tell; so it is asked how much has been acknowledged (SIOCOUTQ), by
 * a front end's client where there is one (relay.h). */
#ifndef SERVE_DELIVERY_H
#define SERVE_DELIVERY_H

#include <stdint.h>

struct conn;

enum {
    DELIVERY_MARK_US = 100000,  /* how often a viewer's network is looked at, */
    DELIVERY_STALL_US = 200000, /* how much later than ever the acknowledgement of that may come */
    DELIVERY_LAG_MAX_US = 600000,  /* and what is taken for late, not for a stall, from then on */
    DELIVERY_LAG_FADE = 64,        /* looks after which that is forgotten */
    DELIVERY_LATE_LOOK_US = 10000, /* what was not there is looked for so often, */
    DELIVERY_STALLED_LOOK_US = 20000, /* and in a stall */
    DELIVERY_LOOKED_US = 50000, /* what was not there at a look so long ago, and is, has come now */
    DELIVERY_PAUSE_US = 100000, /* nothing for so long and a frame more: a clock may stand */
    DELIVERY_LATER_US = 30000,  /* later than the one before it, which was late: late again */
    DELIVERY_BLOCKS = 16,       /* of which it is known where on the timeline they end */
    DELIVERY_LOOK_US = 3000,    /* whether what is waited for has arrived is looked at so often */
    DELIVERY_JOIN_MAX_US = 3000000, /* and for so long */
};

/* All of these are of a viewer of stream.mp4, between two pieces of its body; now: us. */

/* It joins: nothing has been sent. */
void delivery_begin(struct conn *c, int64_t now);

/* What was pending is on its way, and the body's length and the timeline are as they are behind it.
 */
void delivery_sent(struct conn *c);

/* The history is on its way; paddings follow it, for which play waits, and nothing else until it
 * has come. Returns when to look again: now when there is nothing more to wait for. */
int64_t delivery_of_history(struct conn *c, int64_t now);

/* A clock that stopped goes on when the first pictures have come, which is told to the timeline.
 * Returns when to look again: now when there is nothing to wait for. */
int64_t delivery_of_burst(struct conn *c, int64_t now);

/* Of pictures as they come. When nothing has been acknowledged for too long c->stalled is set: the
 * rest is to be kept back, to be left out rather than to come late. What came too late for a clock
 * is told to the timeline. Returns when to look again, as above. */
int64_t delivery_of_live(struct conn *c, int64_t now);

/* A padding of c->pad bytes is to be sent next. If it is one of those that play waits for, its end
 * is what has to arrive. */
void delivery_knocks(struct conn *c, int64_t now);

#endif
