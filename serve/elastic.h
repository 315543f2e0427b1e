/* The elastic timeline: what one viewer's plain <video> is sent next, and how long it is said to
 * last.
 *
 * A browser shows a progressive stream some time after it arrives, and whatever delay it has once
 * taken on it keeps. So the server bends time: durations a little shorter drain a viewer's buffer,
 * a little longer fill it, and after a disturbance what is too old is left out. No script, no seek,
 * one response. What a policy has to know is each viewer's lead: media sent less time gone by.
 *
 *   JOIN    history: the last 3.2 s at their own durations, as browsers begin to play only on
 *           seconds of media; in front of them, in next to no media time, what it takes to decode
 *           them, from a keyframe on. Where there is no history yet, or the keyframe lies too far
 *           back: a still, the newest keyframe again and again. Pad.
 *   HOLD    nothing, until the viewer has played down to the target.
 *   BURST   the newest group of pictures so far, squeezed into next to no media time. Pad.
 *   LIVE    every fragment as it comes; its duration steers the lead to the target.
 *   a gap   in sending (a slow network, a source that paused) leaves a backlog: what lies before
 *           the newest keyframe is left out, the rest is squeezed into the wanted lead: BURST.
 *
 * A clock that runs on through an underrun (Firefox) needs the hole in its timeline left open; one
 * that stops (Chromium, WebKit) needs it closed. When the second kind stopped, and when it went on,
 * only the browser knows: it waits for some frames first, and what it waited is delay from then on.
 * So the lead is known between two bounds, and it is the upper one that is steered to the target,
 * as otherwise every gap would leave a viewer a little later than before.
 *
 * Pure: it reads the ring's index and the time it is given. Times are microseconds. */
#ifndef SERVE_ELASTIC_H
#define SERVE_ELASTIC_H

#include <stdint.h>

#include "serve/ring.h"

enum {
    ELASTIC_TARGET = 300000, /* the lead to settle at */
    ELASTIC_SLACK = 50000,   /* this far off it nothing is done */
    ELASTIC_START = 3200000, /* media a browser may want before it plays */
    ELASTIC_LEAD_IN = 320,   /* fragments in front of it, from a keyframe on; else a still */
    ELASTIC_HISTORY_BYTES = 4 << 20, /* both together */
    ELASTIC_DRY = 1000000, /* for so long a history may arrive more slowly than it is watched */
    ELASTIC_STILLS = 32,
    ELASTIC_STILL = 100000, /* each */
    ELASTIC_SQUEEZED = 1000,
    ELASTIC_RESUME = 7,        /* frames a browser waits for, at most, before it goes on */
    ELASTIC_BACKLOG = 250000,  /* more than this unsent is a gap, not jitter */
    ELASTIC_PAD_BYTES = 32768, /* the block Chromium reads in */
    ELASTIC_PAD_FRAMES = 5,
    ELASTIC_PAD_RATE = 600000 / 8, /* bytes a second below which LIVE is padded */
};

enum elastic_mode {
    ELASTIC_EMPTY, /* no keyframe has come yet */
    ELASTIC_HISTORY,
    ELASTIC_STILLNESS,
    ELASTIC_HOLD,
    ELASTIC_BURST,
    ELASTIC_LIVE,
};

struct elastic {
    enum elastic_mode mode;
    int runs;          /* this viewer's clock runs on through an underrun */
    int pad;           /* a padding is due before anything else */
    int64_t lead;      /* media sent less time gone by: at least so much, */
    int64_t most;      /* at most so much; the same unless the viewer's clock may have stopped */
    int64_t sent;      /* when the last fragment was */
    int64_t at;        /* when that was true */
    int64_t joined;    /* when the first fragment was there to be sent */
    uint64_t tfdt;     /* ticks: where the next fragment goes */
    uint64_t next;     /* number of the next fragment */
    uint64_t from;     /* HISTORY: what lies in front of this one is squeezed */
    uint64_t until;    /* HISTORY, BURST: where it ends */
    int64_t squeezed;  /* BURST: duration of each fragment */
    unsigned left;     /* STILLNESS: repetitions to go */
    unsigned unpadded; /* LIVE: fragments since the last padding */
    uint32_t sequence; /* of the last fragment sent */
    uint64_t rate;     /* bytes a second, smoothed */
    uint32_t timescale;
    uint32_t jumps; /* times something was left out */
};

struct elastic_step {
    struct ring_frag frag;
    uint64_t tfdt;     /* ticks on this viewer's timeline */
    uint32_t duration; /* ticks, the whole fragment's */
    uint32_t sequence;
};

enum elastic_do {
    ELASTIC_WAIT, /* for a new fragment, or for the time to come */
    ELASTIC_SEND, /* *step, as a whole */
    ELASTIC_PAD,  /* a free box up to the next ELASTIC_PAD_BYTES of the body */
    ELASTIC_LOST, /* the ring has gone over what was to be sent: end this viewer */
};

/* A viewer joins at `now`. runs: see above. */
void elastic_init(struct elastic *e, int64_t now, int runs);

/* What to do for this viewer now. ELASTIC_SEND and ELASTIC_PAD count as done. *due: with
 * ELASTIC_WAIT, when to ask again at the latest, or INT64_MAX. */
enum elastic_do elastic_next(struct elastic *e, const struct ring *r, int64_t now,
                             struct elastic_step *step, int64_t *due);

#endif
