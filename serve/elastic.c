#include "serve/elastic.h"

#include <string.h>

void elastic_init(struct elastic *e, int64_t now, int runs)
{
    memset(e, 0, sizeof *e);
    e->runs = runs;
    e->at = now;
}

static int64_t to_us(const struct elastic *e, uint64_t ticks)
{
    return (int64_t)(ticks * 1000000 / e->timescale);
}

static uint64_t to_ticks(const struct elastic *e, int64_t us)
{
    return ((uint64_t)us * e->timescale + 500000) / 1000000;
}

/* A clock that stops at the end of its media cannot fall behind it. */
static void pass_time(struct elastic *e, int64_t now)
{
    e->lead -= now - e->at;
    e->most -= now - e->at;
    e->at = now;
    if (!e->runs && e->lead < 0)
        e->lead = 0;
    if (e->most < e->lead)
        e->most = e->lead;
}

/* Nothing was sent for longer than there may have been media: a clock that stopped goes on only
 * when some frames have come. duration: of one. */
static void end_silence(struct elastic *e, int64_t duration)
{
    int64_t waited = ELASTIC_RESUME * duration;
    if (!e->runs && e->lead == 0 && e->at - e->sent > 2 * duration && e->most < waited)
        e->most = waited;
}

/* A clock that runs has gone past the end: what comes now belongs where the clock is. */
static void open_hole(struct elastic *e)
{
    if (e->runs && e->lead < 0) {
        e->tfdt += to_ticks(e, -e->lead);
        e->lead = e->most = 0;
    }
}

/* Sends fragment i as lasting `us`. */
static enum elastic_do send(struct elastic *e, const struct ring *r, uint64_t i, int64_t us,
                            struct elastic_step *step)
{
    if (ring_get(r, i, &step->frag) < 0)
        return ELASTIC_LOST;
    uint64_t ticks = to_ticks(e, us);
    if (ticks < step->frag.samples)
        ticks = step->frag.samples; /* no sample may last no time at all */
    if (step->frag.duration_n == 1) /* all samples last the same: no remainder, or it is a hole */
        ticks -= ticks % step->frag.samples;
    step->tfdt = e->tfdt;
    step->duration = (uint32_t)ticks;
    step->sequence = ++e->sequence;
    e->tfdt += ticks;
    e->lead += to_us(e, ticks);
    e->most += to_us(e, ticks);
    e->sent = e->at;
    return ELASTIC_SEND;
}

/* Finds the last ELASTIC_START of unbroken media: *from, and the keyframe it takes to decode it,
 * *key. Returns -1 when there is none, or it would be too much. */
static int history(const struct elastic *e, const struct ring *r, uint64_t head, uint64_t *from,
                   uint64_t *key)
{
    struct ring_frag f, newer = {0};
    uint64_t bytes = 0;
    int64_t media = 0;
    *from = 0;
    for (uint64_t i = head; i-- > 0;) {
        if (ring_get(r, i, &f) < 0 || !ring_safe(r, &f))
            return -1;
        if (i + 1 < head && (f.epoch != newer.epoch || f.dts + f.duration != newer.dts))
            return -1;
        bytes += f.size;
        if (bytes > ELASTIC_HISTORY_BYTES || (*from && *from - i > ELASTIC_LEAD_IN))
            return -1;
        if (!*from)
            media += to_us(e, f.duration);
        if (media >= ELASTIC_START && !*from)
            *from = i;
        *key = i;
        if (media >= ELASTIC_START && (f.flags & RING_SYNC))
            return 0;
        newer = f;
    }
    return -1;
}

static void join(struct elastic *e, const struct ring *r)
{
    struct ring_frag f;
    uint64_t head = ring_head(r);
    int64_t key = ring_last_key(r);
    if (key < 0 || ring_get(r, (uint64_t)key, &f) < 0)
        return;
    const struct ring_init *init = ring_init_of(r, f.epoch);
    uint32_t timescale = init ? atomic_load_explicit(&init->timescale, memory_order_relaxed) : 0;
    if (!timescale)
        return;
    e->timescale = timescale;
    if (history(e, r, head, &e->from, &e->next) == 0) {
        e->mode = ELASTIC_HISTORY;
        e->until = head;
    } else {
        e->mode = ELASTIC_STILLNESS;
        e->next = (uint64_t)key;
        e->left = ELASTIC_STILLS;
    }
}

/* Everything unsent from the newest keyframe on goes into the lead that is wanted. */
static void begin_burst(struct elastic *e, const struct ring *r, int64_t at_least)
{
    uint64_t head = ring_head(r);
    int64_t key = ring_last_key(r);
    open_hole(e);
    if (key > (int64_t)e->next)
        e->next = (uint64_t)key;
    e->until = head;
    e->squeezed = at_least;
    e->mode = e->next < head ? ELASTIC_BURST : ELASTIC_LIVE;
}

/* After a gap: not longer than the frames are, not shorter than a decoder takes. */
static int64_t catch_up(const struct elastic *e, uint64_t count, int64_t duration)
{
    int64_t us = (ELASTIC_TARGET - e->lead) / (int64_t)count;
    if (us > duration)
        us = duration;
    return us < ELASTIC_SQUEEZED ? ELASTIC_SQUEEZED : us;
}

static void restart(struct elastic *e, const struct ring *r)
{
    struct ring_frag f;
    begin_burst(e, r, ELASTIC_SQUEEZED);
    if (e->mode == ELASTIC_BURST && ring_get(r, e->next, &f) == 0) {
        end_silence(e, to_us(e, f.duration));
        e->squeezed = catch_up(e, e->until - e->next, to_us(e, f.duration));
    }
    e->jumps++;
}

/* Comes more slowly than it is watched: what is left of it would only be late. */
static int is_dry(const struct elastic *e, int64_t now)
{
    return (e->mode == ELASTIC_HISTORY || e->mode == ELASTIC_STILLNESS) && e->lead <= 0 &&
           now - e->joined > ELASTIC_DRY;
}

static int64_t steer(const struct elastic *e, int64_t duration)
{
    if (e->most > ELASTIC_TARGET + ELASTIC_SLACK)
        return duration * 7 / 10;
    if (e->most < ELASTIC_TARGET - ELASTIC_SLACK)
        return duration * 21 / 20;
    return duration;
}

/* Bytes a second over about a second of media, smoothed. */
static void measure(struct elastic *e, const struct ring_frag *f, int64_t us)
{
    if (us <= 0)
        return;
    uint64_t now = (uint64_t)f->size * 1000000 / (uint64_t)us;
    e->rate = e->rate ? (e->rate * 31 + now) / 32 : now;
}

static enum elastic_do live(struct elastic *e, const struct ring *r, struct elastic_step *step,
                            int64_t *due)
{
    struct ring_frag f, newest;
    uint64_t head = ring_head(r);
    *due = INT64_MAX;
    if (e->next >= head)
        return ELASTIC_WAIT;
    int lost = ring_get(r, e->next, &f) < 0 || !ring_safe(r, &f);
    if (lost) {
        int64_t key = ring_last_key(r);
        if (key <= (int64_t)e->next || ring_get(r, (uint64_t)key, &f) < 0)
            return ELASTIC_LOST;
    }
    if (ring_get(r, head - 1, &newest) < 0)
        return ELASTIC_LOST;
    int64_t duration = to_us(e, f.duration);
    int64_t backlog = newest.dts >= f.dts ? to_us(e, newest.dts - f.dts) : ELASTIC_BACKLOG + 1;
    if (lost || backlog > ELASTIC_BACKLOG) {
        restart(e, r);
        return ELASTIC_WAIT;
    }
    open_hole(e);
    end_silence(e, duration);
    measure(e, &f, duration);
    if (!e->runs && e->rate < ELASTIC_PAD_RATE && ++e->unpadded >= ELASTIC_PAD_FRAMES)
        e->pad = 1;
    return send(e, r, e->next++, steer(e, duration), step);
}

enum elastic_do elastic_next(struct elastic *e, const struct ring *r, int64_t now,
                             struct elastic_step *step, int64_t *due)
{
    struct ring_frag f;
    int squeezed;
    *due = INT64_MAX;
    pass_time(e, now);
    if (e->pad) {
        e->pad = 0;
        e->unpadded = 0;
        return ELASTIC_PAD;
    }
    if (is_dry(e, now))
        restart(e, r);
    switch (e->mode) {
    case ELASTIC_EMPTY:
        join(e, r);
        e->joined = now;
        return e->mode == ELASTIC_EMPTY ? ELASTIC_WAIT : elastic_next(e, r, now, step, due);
    case ELASTIC_HISTORY:
        if (e->next == e->until - 1) {
            e->mode = ELASTIC_HOLD;
            e->pad = 1;
        }
        if (ring_get(r, e->next, &f) < 0)
            return ELASTIC_LOST;
        squeezed = e->next < e->from;
        return send(e, r, e->next++, squeezed ? ELASTIC_SQUEEZED : to_us(e, f.duration), step);
    case ELASTIC_STILLNESS:
        if (--e->left == 0) {
            e->mode = ELASTIC_HOLD;
            e->pad = 1;
        }
        return send(e, r, e->next, ELASTIC_STILL, step);
    case ELASTIC_HOLD:
        *due = now + e->lead - ELASTIC_TARGET - 20000;
        if (*due > now)
            return ELASTIC_WAIT;
        begin_burst(e, r, ELASTIC_SQUEEZED);
        return elastic_next(e, r, now, step, due);
    case ELASTIC_BURST:
        /* The network took so long that there is a newer keyframe. */
        if (ring_last_key(r) > (int64_t)e->next)
            restart(e, r);
        if (e->next == e->until - 1) {
            e->mode = ELASTIC_LIVE;
            e->pad = 1;
        }
        return send(e, r, e->next++, e->squeezed, step);
    default:
        break;
    }
    enum elastic_do what = live(e, r, step, due);
    return what == ELASTIC_WAIT && e->mode == ELASTIC_BURST ? elastic_next(e, r, now, step, due)
                                                            : what;
}
