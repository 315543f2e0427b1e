#include "serve/elastic.h"

#include <string.h>

#include "serve/lead.h"
#include "serve/past.h"

void elastic_init(struct elastic *e, int64_t now, int runs, int dries)
{
    memset(e, 0, sizeof *e);
    e->runs = runs;
    e->dries = dries;
    e->at = now;
}

/* How often a keyframe must be there once more, with so many samples from it on; 0: too much. */
static unsigned repeats(const struct ring_frag *key, unsigned samples)
{
    unsigned n = samples < ELASTIC_REPEATED ? ELASTIC_REPEATED - samples : 0;
    return key->samples == 1 && (uint64_t)n * key->size <= ELASTIC_REPEAT_BYTES ? n : 0;
}

/* Sends step->frag as lasting `us`. */
static enum elastic_do send_found(struct elastic *e, int64_t us, struct elastic_step *step)
{
    uint64_t ticks = lead_ticks(e, us);
    if (ticks < step->frag.samples)
        ticks = step->frag.samples; /* no sample may last no time at all */
    if (step->frag.duration_n == 1) /* all samples last the same: no remainder, or it is a hole */
        ticks -= ticks % step->frag.samples;
    step->tfdt = e->tfdt;
    step->duration = (uint32_t)ticks;
    step->sequence = ++e->sequence;
    e->tfdt += ticks;
    e->lead += lead_us(e, ticks);
    e->most += lead_us(e, ticks);
    e->sent = e->at;
    return ELASTIC_SEND;
}

/* The same with fragment i. */
static enum elastic_do send(struct elastic *e, const struct ring *r, uint64_t i, int64_t us,
                            struct elastic_step *step)
{
    return ring_get(r, i, &step->frag) < 0 ? ELASTIC_LOST : send_found(e, us, step);
}

static int64_t within(int64_t least, int64_t us, int64_t most)
{
    return us < least ? least : us > most ? most : us;
}

static void set_target(struct elastic *e, int64_t frame)
{
    int64_t frames = ELASTIC_TARGET_FRAMES * frame + ELASTIC_TARGET_MORE;
    int64_t dries = ELASTIC_TARGET_DRIES - frame / ELASTIC_TARGET_PART;
    e->frame = frame > 0 ? frame : 1; /* a source may say that they last no time */
    e->target = e->dries ? within(ELASTIC_TARGET_LEAST, dries, ELASTIC_TARGET_DRIES)
                         : within(ELASTIC_TARGET, frames, ELASTIC_TARGET_MAX);
    if (e->runs)
        e->target -= ELASTIC_BEGINS;
    e->target += e->margin;
}

/* 1: there is such a past, and that is what is sent. */
static int history(struct elastic *e, const struct ring *r)
{
    struct past past;
    uint64_t bytes;
    unsigned lead_in = e->runs ? ELASTIC_LEAD_IN_RUNS : ELASTIC_LEAD_IN;
    if (past_find(r, e->timescale, e->runs ? ELASTIC_START_RUNS : ELASTIC_START, lead_in, &past))
        return 0;
    e->left = past_front(r, &past, ELASTIC_PACKETS, e->dries ? ELASTIC_AHEAD : 0, &bytes);
    if (e->dries && bytes > ELASTIC_AHEAD_BYTES) {
        if (past_find(r, e->timescale, ELASTIC_START_LARGE, lead_in, &past))
            return 0;
        e->left = past_front(r, &past, ELASTIC_PACKETS, 0, &bytes);
    }
    e->mode = ELASTIC_HISTORY;
    e->next = e->key = past.key;
    e->from = past.from;
    e->until = past.end;
    return 1;
}

static void join(struct elastic *e, const struct ring *r)
{
    struct ring_frag f;
    int64_t key = ring_last_key(r);
    if (key < 0 || ring_get(r, (uint64_t)key, &f) < 0)
        return;
    const struct ring_init *init = ring_init_of(r, f.epoch);
    uint32_t timescale = init ? atomic_load_explicit(&init->timescale, memory_order_relaxed) : 0;
    if (!timescale)
        return;
    e->timescale = timescale;
    set_target(e, lead_us(e, f.duration) / f.samples);
    if (history(e, r))
        return;
    e->mode = ELASTIC_STILLNESS;
    e->next = (uint64_t)key;
    e->left = (unsigned)(e->runs ? ELASTIC_START_RUNS : ELASTIC_START) / ELASTIC_STILL;
}

/* Everything unsent from the newest keyframe on goes into the lead that is wanted. */
static void begin_burst(struct elastic *e, const struct ring *r, int64_t at_least)
{
    int64_t key = ring_last_key(r);
    lead_open_hole(e);
    e->left = 0;
    e->stands = 0;
    if (key > (int64_t)e->next)
        e->next = (uint64_t)key;
    e->until = ring_head(r);
    e->squeezed = at_least;
    e->firsts = 0;
    e->mode = e->next < e->until ? ELASTIC_BURST : ELASTIC_LIVE;
}

/* A clock that has stopped goes on when some frames have come: begins with the newest keyframe from
 * which on there are enough, though they may have been shown before. Where they are few, they would
 * be from long ago: then the newest keyframe is repeated. */
static void look_back(struct elastic *e, const struct ring *r)
{
    struct ring_frag f;
    unsigned samples = 0;
    for (uint64_t i = e->until; i-- > 0 && e->until - i <= ELASTIC_LEAD_IN;) {
        if (ring_get(r, i, &f) < 0 || !ring_safe(r, &f))
            return;
        samples += f.samples;
        if (!(f.flags & RING_SYNC))
            continue;
        e->next = i;
        e->mode = ELASTIC_BURST;
        e->left = lead_resumes_late(e) ? repeats(&f, samples) : 0;
        if (e->left || samples >= ELASTIC_RESUME_SURE)
            return;
    }
}

/* The newest picture came some time ago. */
static int64_t age_of_newest(const struct elastic *e, const struct ring *r)
{
    int64_t age = e->at - atomic_load_explicit(&r->header->published, memory_order_relaxed);
    return within(0, age, e->frame);
}

/* After a gap: not longer than the frames are, not shorter than a decoder takes. When the next
 * picture comes there is to be the target. */
static int64_t catch_up(const struct elastic *e, const struct ring *r, uint64_t count,
                        int64_t duration)
{
    int64_t until = e->runs ? 0 : e->frame - age_of_newest(e, r);
    int64_t us = (e->target + until - e->lead) / (int64_t)count;
    if (us > duration)
        us = duration;
    return us < ELASTIC_SQUEEZED ? ELASTIC_SQUEEZED : us;
}

/* The same time in all, more of it for the first ones. */
static void favour_first(struct elastic *e, int64_t count)
{
    int64_t third = e->squeezed * count / 3;
    e->firsts = ELASTIC_FIRST;
    e->first = third * ELASTIC_FIRST_PARTS / ELASTIC_FIRST;
    e->squeezed = third * (3 - ELASTIC_FIRST_PARTS) / (count - ELASTIC_FIRST);
    if (e->squeezed < ELASTIC_SQUEEZED)
        e->squeezed = ELASTIC_SQUEEZED;
}

static void restart(struct elastic *e, const struct ring *r)
{
    struct ring_frag f;
    begin_burst(e, r, ELASTIC_SQUEEZED);
    if (e->dries && e->lead == 0) {
        look_back(e, r);
        e->woken = 0;
    }
    if (e->mode == ELASTIC_BURST && ring_get(r, e->next, &f) == 0) {
        uint64_t count = e->until - e->next + e->left;
        if (e->dries && e->lead == 0 && count >= ELASTIC_RESUME) {
            e->woken = e->at;
            e->begun = e->tfdt;
            e->wakers = ELASTIC_FIRST;
        }
        lead_end_silence(e, count, lead_us(e, f.duration));
        e->squeezed = catch_up(e, r, count, lead_us(e, f.duration));
        if (e->dries && count >= 2 * ELASTIC_FIRST)
            favour_first(e, (int64_t)count);
    }
}

/* Who is not let run dry began when so much of the time since the join had gone by. */
static int64_t begun_after(int64_t since)
{
    return since * ELASTIC_BEGUN_PARTS / 10;
}

/* Of a history the lead is counted from the join on, until now; this is from when play began. */
static int64_t lead_since_begun(const struct elastic *e)
{
    return e->lead + (e->runs ? begun_after(e->at - e->joined) : 0);
}

static void count_from_begun(struct elastic *e)
{
    if (e->runs)
        e->lead = e->most = lead_since_begun(e);
}

/* Comes more slowly than it is watched: what is left of it would only be late. */
static int is_dry(const struct elastic *e)
{
    return (e->mode == ELASTIC_HISTORY || e->mode == ELASTIC_STILLNESS) &&
           e->at - e->joined > ELASTIC_DRY && lead_since_begun(e) <= 0;
}

static int64_t steer(const struct elastic *e, int64_t duration)
{
    if (e->most > e->target + ELASTIC_SLACK)
        return duration * 7 / 10;
    return e->most < e->target - ELASTIC_SLACK ? duration * 21 / 20 : duration;
}

/* What is behind the last whole block the viewer has not seen: it must not become too much. */
static void pad_some(struct elastic *e, const struct ring_frag *f, int64_t duration)
{
    e->behind += duration;
    e->bytes += f->size;
    if (e->bytes >= ELASTIC_PAD_BYTES) {
        e->bytes %= ELASTIC_PAD_BYTES;
        e->behind = duration;
    }
    if (!e->runs && e->behind >= ELASTIC_PAD_EVERY)
        e->pad = 1;
}

/* Media between the fragment that is next and the newest one. */
static int64_t backlog_of(const struct elastic *e, const struct ring *r, uint64_t head,
                          uint64_t dts)
{
    struct ring_frag newest;
    if (e->next + 1 >= head)
        return 0;
    int there = ring_get(r, head - 1, &newest) == 0 && newest.dts >= dts;
    return there ? lead_us(e, newest.dts - dts) : ELASTIC_BACKLOG + 1;
}

static enum elastic_do live(struct elastic *e, const struct ring *r, struct elastic_step *step,
                            int64_t *due)
{
    struct ring_frag *f = &step->frag;
    uint64_t head = ring_head(r);
    *due = INT64_MAX;
    if (e->next >= head)
        return ELASTIC_WAIT;
    int lost = ring_get(r, e->next, f) < 0 || !ring_safe(r, f);
    if (lost && ring_last_key(r) <= (int64_t)e->next)
        return ELASTIC_LOST;
    if (lost || backlog_of(e, r, head, f->dts) > ELASTIC_BACKLOG) {
        restart(e, r);
        e->jumps++;
        return ELASTIC_WAIT;
    }
    int64_t duration = lead_us(e, f->duration);
    lead_open_hole(e);
    e->margin -= e->margin * within(0, duration, ELASTIC_MARGIN_FADE) / ELASTIC_MARGIN_FADE;
    set_target(e, duration / f->samples);
    if (lead_is_silence(e, duration) && lead_resumes_late(e)) {
        restart(e, r);
        return ELASTIC_WAIT;
    }
    lead_end_silence(e, 1, duration);
    pad_some(e, f, duration);
    e->next++;
    uint64_t before = e->tfdt;
    enum elastic_do what = send_found(e, steer(e, duration), step);
    if (e->stands && before < e->resumes && e->tfdt >= e->resumes)
        e->pad = 1;
    return what;
}

/* What came may be too few frames for a clock to go on: the keyframe again makes them enough. */
static void wake(struct elastic *e, const struct ring *r, int64_t media)
{
    struct ring_frag f;
    int64_t key = ring_last_key(r);
    if (key >= 0 && ring_get(r, (uint64_t)key, &f) == 0)
        e->left = repeats(&f, (unsigned)(media / e->frame));
    if (e->left)
        e->next = (uint64_t)key;
    e->pad = e->left == 0;
}

/* Without what was on its way a clock has stopped, unless its lead was longer. It plays that, and
 * stops again: then its lead is known. */
void elastic_delivered(struct elastic *e, const struct ring *r, int64_t now, int64_t media)
{
    lead_pass_time(e, now);
    if (!e->dries || e->lead >= media)
        return;
    e->lead = e->most = media;
    e->stands = 0;
    if (e->mode == ELASTIC_LIVE) {
        e->mode = ELASTIC_HOLD;
        e->hold = now + media + ELASTIC_RUN_DRY_AGAIN;
        e->knocks = 0;
        e->knock = now + ELASTIC_TICK_EVERY;
        e->jumps++;
        wake(e, r, media);
    }
}

static void set_hold(struct elastic *e, int64_t now)
{
    e->hold = now + e->lead + (e->dries ? ELASTIC_RUN_DRY : -e->target);
    e->knocked = now + (int64_t)(ELASTIC_KNOCKS - ELASTIC_KNOCKS_SPARE) * ELASTIC_KNOCK_EVERY;
}

static void begin_hold(struct elastic *e, int64_t now)
{
    e->mode = ELASTIC_HOLD;
    count_from_begun(e);
    e->knocks = e->dries ? ELASTIC_KNOCKS : ELASTIC_KNOCKS_OTHERS;
    e->knock = now;
    set_hold(e, now);
}

void elastic_knocked(struct elastic *e, int64_t sent)
{
    if (e->dries && sent > e->knocked)
        e->hold += sent - e->knocked;
}

void elastic_arrived(struct elastic *e, int64_t now, int64_t trip, int relayed)
{
    int64_t took = now - e->joined;
    e->lead = e->most = lead_us(e, e->tfdt) - (e->dries ? 0 : took - begun_after(took));
    e->at = e->dries ? now - trip : now;
    set_hold(e, e->at);
    if (relayed && e->dries) /* the longer that took, the longer will what is held */
        e->hold += took / 4;
}

static enum elastic_do past(struct elastic *e, const struct ring *r, int64_t now,
                            struct elastic_step *step)
{
    if (ring_get(r, e->next, &step->frag) < 0)
        return ELASTIC_LOST;
    if (e->left) { /* in front, and round again */
        e->left--;
        e->next = e->left && e->next + 1 < e->until ? e->next + 1 : e->key;
        return send_found(e, ELASTIC_SQUEEZED, step);
    }
    int64_t duration = lead_us(e, step->frag.duration);
    send_found(e, e->next < e->from ? ELASTIC_SQUEEZED : duration, step);
    if (++e->next == e->until)
        begin_hold(e, now);
    return ELASTIC_SEND;
}

static enum elastic_do still(struct elastic *e, const struct ring *r, int64_t now,
                             struct elastic_step *step)
{
    enum elastic_do what = send(e, r, e->next, ELASTIC_STILL, step);
    if (--e->left == 0)
        begin_hold(e, now);
    return what;
}

/* ELASTIC_WAIT is also the answer when it is over. */
static enum elastic_do hold(struct elastic *e, const struct ring *r, int64_t now,
                            struct elastic_step *step, int64_t *due)
{
    if (e->left) {
        e->hold += ELASTIC_SQUEEZED;
        e->pad = --e->left == 0;
        return send(e, r, e->next, ELASTIC_SQUEEZED, step);
    }
    if (now >= e->hold && lead_resumes_late(e) && now < e->hold + 2 * e->frame &&
        age_of_newest(e, r) > e->frame / ELASTIC_FRESH_PART) {
        *due = e->hold + 2 * e->frame;
        return ELASTIC_WAIT;
    }
    if (now >= e->hold) {
        if (e->dries)
            restart(e, r);
        else
            begin_burst(e, r, ELASTIC_SQUEEZED);
        return ELASTIC_WAIT;
    }
    if (now >= e->knock && e->knocks) {
        e->knocks--;
        e->knock = now + ELASTIC_KNOCK_EVERY;
        e->blocks = ELASTIC_KNOCK_BLOCKS;
        return ELASTIC_PAD;
    }
    if (now >= e->knock) {
        e->knock = now + ELASTIC_TICK_EVERY;
        return ELASTIC_TICK;
    }
    *due = e->knock < e->hold ? e->knock : e->hold;
    return ELASTIC_WAIT;
}

static enum elastic_do burst(struct elastic *e, const struct ring *r, struct elastic_step *step)
{
    /* The network took so long that there is a newer keyframe. */
    if (ring_last_key(r) >= (int64_t)e->until) {
        restart(e, r);
        e->jumps++;
    }
    int64_t us = e->squeezed;
    if (e->wakers)
        e->wakers--;
    if (e->firsts) {
        e->firsts--;
        us = e->first;
    }
    if (e->left) {
        e->left--;
        return send(e, r, e->next, us, step);
    }
    if (e->next == e->until - 1) {
        e->mode = ELASTIC_LIVE;
        e->pad = 1;
        e->wakers = 0;
    }
    return send(e, r, e->next++, us, step);
}

enum elastic_do elastic_next(struct elastic *e, const struct ring *r, int64_t now,
                             struct elastic_step *step, int64_t *due)
{
    *due = INT64_MAX;
    lead_pass_time(e, now);
    e->blocks = 0;
    if (e->pad) {
        e->pad = 0;
        e->behind = 0;
        e->bytes = 0;
        return ELASTIC_PAD;
    }
    if (is_dry(e)) {
        count_from_begun(e);
        restart(e, r);
        e->jumps++;
    }
    if (e->mode == ELASTIC_EMPTY) {
        join(e, r);
        e->joined = now;
        e->lead = e->most = 0;
    }
    if (e->mode == ELASTIC_HOLD) {
        enum elastic_do what = hold(e, r, now, step, due);
        if (e->mode == ELASTIC_HOLD)
            return what;
    }
    if (e->mode == ELASTIC_EMPTY)
        return ELASTIC_WAIT;
    if (e->mode == ELASTIC_HISTORY)
        return past(e, r, now, step);
    if (e->mode == ELASTIC_STILLNESS)
        return still(e, r, now, step);
    if (e->mode == ELASTIC_BURST)
        return burst(e, r, step);
    enum elastic_do what = live(e, r, step, due);
    return what == ELASTIC_WAIT && e->mode == ELASTIC_BURST ? burst(e, r, step) : what;
}
