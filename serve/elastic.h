/* The elastic timeline: what one viewer's plain <video> is sent next, and how long it is said to
 * last.
 *
 * A browser shows a progressive stream some time after it arrives, and whatever delay it has once
 * taken on it keeps. So the server bends time: durations a little shorter drain a viewer's buffer,
 * a little longer fill it, and after a disturbance what is too old is left out. No script, no seek,
 * one response. What a policy has to know is each viewer's lead: media sent less time gone by.
 *
 *   JOIN    history: the last seconds at their own durations, as browsers begin to play only on
 *           seconds of media; in front of them, in next to no media time, what it takes to decode
 *           them, from a keyframe on. Where there is no history yet, or the keyframe lies too far
 *           back: a still, the newest keyframe again and again.
 *   HOLD    paddings, since a browser also waits for bytes it need not decode yet; then nothing,
 *           until the viewer has played down to the target. Chromium's clock is left to run dry a
 *           little: when it began is not known before, and from then on its lead is.
 *   BURST   the newest group of pictures so far, squeezed into next to no media time, or into the
 *           target. Pad.
 *   LIVE    every fragment as it comes; its duration steers the lead to the target.
 *   a gap   in sending (a slow network, a source that paused) leaves a backlog: what lies before
 *           the newest keyframe is left out, the rest is squeezed into the wanted lead: BURST.
 *   a stall of the network, which has some media on its way yet: HOLD until that is played, BURST.
 *
 * What browsers made of it is in elastic.md.
 *
 * A clock that runs on through an underrun (Firefox) needs the hole in its timeline left open; one
 * that stops (Chromium, WebKit) needs it closed. When the second kind stopped, and when it went on,
 * only the browser knows: it waits for some frames first, and what it waited is delay from then on.
 * So the lead is known between two bounds, and it is the upper one that is steered to the target,
 * as otherwise every gap would leave a viewer a little later than before. What was acknowledged,
 * and when, says more: delivery.h.
 *
 * Pure: it reads the ring's index and the time it is given. Times are microseconds. */
#ifndef SERVE_ELASTIC_H
#define SERVE_ELASTIC_H

#include <stdint.h>

#include "serve/ring.h"

/* Microseconds, unless it says otherwise. */
enum {
    /* The lead to settle at when a picture comes, without that: this, or of few pictures a second
     * some frames, as one that is late must not be waited for. */
    ELASTIC_TARGET = 300000,
    ELASTIC_TARGET_FRAMES = 2,    /* frames, */
    ELASTIC_TARGET_MORE = 100000, /* and so much */
    /* Who was let run dry has more than it is taken to have: its last picture was in the decoder
     * yet, and it looks once in a picture's time whether there is another. So less is enough. */
    ELASTIC_TARGET_DRIES = 310000, /* less a part of a frame, */
    ELASTIC_TARGET_PART = 3,
    ELASTIC_TARGET_LEAST = 100000,
    ELASTIC_TARGET_MAX = 1000000,
    /* More of it for who is sent things late: so much each time a clock may have stopped for that,
     * or shown something late, */
    ELASTIC_MARGIN_STEP = 40000,
    ELASTIC_MARGIN_AGAIN = 20000000, /* and had not so long before, */
    ELASTIC_MARGIN = 120000,         /* at most, */
    ELASTIC_MARGIN_RUNS = 200000,    /* or this of a clock that runs, */
    ELASTIC_MARGIN_FADE = 60000000,  /* and all but a third of it is gone in so long */
    ELASTIC_UNSURE = 120000, /* the lead of one that runs is an estimate: it may be so much less */
    ELASTIC_BEGINS = 100000, /* a clock that runs begins this long after the request, or later, */
    ELASTIC_BEGUN_PARTS = 3, /* and after so many tenths of the time that its history takes */
    ELASTIC_SLACK = 50000,   /* this far off it nothing is done */
    /* Joining. Chromium's demuxer takes two seconds of media, and play begins when 48 KiB more
     * than it took have come; what it plays is known after some packets. Firefox begins when it has
     * a second's worth of bytes left. */
    ELASTIC_START = 2400000,       /* media for a clock that stops, */
    ELASTIC_AHEAD = 9,             /* samples in front of it, of which its decoder is full: */
    ELASTIC_AHEAD_BYTES = 1 << 20, /* the same twice; where that would be more, */
    ELASTIC_START_LARGE = 2700000, /* more media instead */
    ELASTIC_START_RUNS = 1600000,  /* media for a clock that runs */
    ELASTIC_PACKETS = 24,          /* samples at least; some more than once */
    ELASTIC_LEAD_IN = 320,         /* fragments in front of it, from a keyframe on; else a still */
    ELASTIC_LEAD_IN_RUNS = 60,   /* the same where a clock runs: it would begin late, and stay so */
    ELASTIC_DRY = 1000000,       /* a history may so long arrive more slowly than it is watched */
    ELASTIC_STILL = 100000,      /* each */
    ELASTIC_KNOCKS = 10,         /* paddings of ELASTIC_KNOCK_BLOCKS, and up to one more, */
    ELASTIC_KNOCKS_SPARE = 5,    /* without these it has begun, */
    ELASTIC_KNOCKS_OTHERS = 3,   /* fewer for who is not let run dry, */
    ELASTIC_KNOCK_EVERY = 30000, /* so far apart */
    ELASTIC_KNOCK_BLOCKS = 3,
    ELASTIC_RUN_DRY = 200000, /* so long after it would stop if it began at once, it has stopped */
    ELASTIC_TICK_EVERY = 100000, /* TCP closes the window of who is silent for much longer */
    /* Catching up. */
    ELASTIC_RUN_DRY_AGAIN = 120000, /* the same after a stall */
    ELASTIC_SQUEEZED = 1000,        /* a fragment that only has to be decoded */
    ELASTIC_RESUME = 7,             /* frames a browser waits for, at most, before it goes on */
    ELASTIC_STOPS_WITH = 2,         /* and what it sees in front of it when it stops, */
    ELASTIC_RESUMES_WITH = 10,      /* or goes on: some of that is in the decoder yet */
    ELASTIC_RESUME_SURE = 14,       /* and with so many at once it does at once */
    /* That is when the first have come; the others take some round trips more, and until then the
     * first must last. */
    ELASTIC_FIRST = 8,       /* of a burst, */
    ELASTIC_FIRST_PARTS = 2, /* of three of the burst's time */
    /* Where it would wait for longer, it gets the keyframe again, so that there are some more than
     * it waits for. They must not be too close together, as it looks once in a picture's time, and
     * reads no more than five to eight ahead: so that begins with a picture that has just come. */
    ELASTIC_RESUME_WAIT = 250000,
    ELASTIC_REPEATED = 9,
    ELASTIC_FRESH_PART = 4,           /* of a frame's duration: so old it may be */
    ELASTIC_REPEAT_BYTES = 256 << 10, /* all of them, at most; else pictures from before */
    ELASTIC_BACKLOG = 250000,         /* more than this unsent is a gap, not jitter */
    /* Chromium reads in blocks: what is behind the last whole one it has not seen. */
    ELASTIC_PAD_BYTES = 32768,  /* bytes of a block */
    ELASTIC_PAD_EVERY = 160000, /* media behind it, at most */
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
    int runs, dries;   /* see elastic_init() */
    int pad;           /* a padding is due before anything else */
    int64_t target;    /* for `most` */
    int64_t lead;      /* media sent less time gone by: at least so much, */
    int64_t most;      /* at most so much; the same unless the viewer's clock may have stopped */
    int64_t sent;      /* when the last fragment was */
    int64_t at;        /* when that was true */
    int64_t joined;    /* when the first fragment was there to be sent */
    uint64_t tfdt;     /* ticks: where the next fragment goes */
    uint64_t next;     /* number of the next fragment */
    uint64_t key;      /* HISTORY: where it begins, */
    uint64_t from;     /* what lies in front of this one is squeezed */
    uint64_t until;    /* HISTORY, BURST: where it ends */
    int64_t hold;      /* HOLD: until then */
    int64_t knock;     /* HOLD: when the next padding, or tick, is due */
    int64_t knocked;   /* HOLD: when all but the spare paddings should have arrived */
    unsigned knocks;   /* HOLD: how many there are to come */
    unsigned blocks;   /* of ELASTIC_PAD: so many whole ones more */
    int64_t squeezed;  /* BURST: duration of each fragment, */
    int64_t first;     /* but of the first ones, */
    unsigned firsts;   /* of which so many are to go */
    unsigned left;     /* repetitions to go, in front of anything else */
    int64_t woken;     /* BURST, LIVE: when it began to wake a clock that had stopped, or 0, */
    uint64_t begun;    /* ticks: where that was on the timeline, */
    unsigned wakers;   /* and how many fragments are to go for it */
    uint64_t stands;   /* LIVE: ticks: where a clock stands for what was late, or 0, */
    uint64_t resumes;  /* and up to where it has to see before it goes on; of one that runs: what
                        * is in front of this is not late once more, or lies in a hole */
    int64_t late;      /* when something last was late for it, */
    int64_t margin;    /* of the target, for what is late now and then */
    int64_t frame;     /* duration of a picture, 1 at least */
    int64_t behind;    /* LIVE: media behind the last whole block, */
    uint32_t bytes;    /* and how many bytes that is */
    uint32_t sequence; /* of the last fragment sent */
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
    ELASTIC_PAD,  /* a free box up to the body's next whole block, and e->blocks more of them */
    ELASTIC_TICK, /* an empty free box */
    ELASTIC_LOST, /* the ring has gone over what was to be sent: end this viewer */
};

/* A viewer joins at `now`. runs: its clock runs on through an underrun. dries: it stops, and may be
 * let run dry: goes on at once when there is enough (Chromium; other players wait for a second or
 * more). */
void elastic_init(struct elastic *e, int64_t now, int runs, int dries);

/* In ELASTIC_HOLD: all that was sent has been acknowledged. Play began when enough had arrived, at
 * the latest now. That bound is safe where a clock stops, as it is left to run dry; where it runs
 * an earlier one is. trip: round trip, us: what is sent to who has run dry is as long under way as
 * the history was. relayed: the acknowledgement is a front end's, which may hold some of it yet. */
void elastic_arrived(struct elastic *e, int64_t now, int64_t trip, int relayed);

/* In ELASTIC_HOLD: all but the spare paddings have been acknowledged, which would have been so at
 * once had they been sent at `sent`. Who waits for it, and is let run dry, may have begun later by
 * as much as that was late. */
void elastic_knocked(struct elastic *e, int64_t sent);

/* The fragments that wake a clock (e->woken, and no more e->wakers) have been acknowledged, the
 * first of which would have come at once had they been sent at `sent`: so it began to run that much
 * later than was thought. */
void elastic_awake(struct elastic *e, int64_t now, int64_t sent);

/* In ELASTIC_LIVE: until now nothing behind `seen` on the timeline could be seen, as it had not
 * arrived, or not the whole of its block; trip: round trip, us. A clock that stops may have done so
 * meanwhile: then e->stands, but of few pictures a second it is taken to have gone on. One that
 * runs may have come there: then more is to be in front of it from now on. */
void elastic_late(struct elastic *e, int64_t now, int64_t trip, uint64_t seen);

/* And when it sees so much it may go on. */
void elastic_seen(struct elastic *e, int64_t now, int64_t trip, uint64_t seen);

/* The network had stalled, and nothing was asked for; now it has delivered the last `media` us that
 * were sent. r: as in elastic_next(), of this viewer's camera. */
void elastic_delivered(struct elastic *e, const struct ring *r, int64_t now, int64_t media);

/* What to do for this viewer now. What is to be sent counts as done. *due: with ELASTIC_WAIT, when
 * to ask again at the latest, or INT64_MAX. */
enum elastic_do elastic_next(struct elastic *e, const struct ring *r, int64_t now,
                             struct elastic_step *step, int64_t *due);

#endif
