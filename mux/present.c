#include "mux/present.h"

#include "capture/poc.h"

/* Pictures that are remembered and counted since the counts began anew: from this one on. */
static uint64_t oldest(const struct present *p)
{
    return p->count - p->begin > PRESENT_RECENT ? p->count - PRESENT_RECENT : p->begin;
}

static const struct present_picture *at(const struct present *p, uint64_t n)
{
    return &p->recent[n % PRESENT_RECENT];
}

/* How many were shown, or are to be, with an order above `low` and below `high`. */
static unsigned between(const struct present *p, int64_t low, int64_t high)
{
    unsigned n = 0;
    for (uint64_t i = oldest(p); i < p->count; i++)
        n += at(p, i)->order > low && at(p, i)->order < high;
    return n;
}

static void begin(struct present *p, int64_t order)
{
    if (p->least)
        p->step = p->least;
    if (!p->step)
        p->step = PRESENT_STEP;
    p->least = 0;
    p->expected = p->leading;
    p->leading = 0;
    p->begin = p->count;
    p->first = order;
    p->floor = p->newest;
    p->output = order - (1 + p->expected) * p->step;
}

/* The least difference of two counts is the step from one picture to the next. */
static void learn_step(struct present *p, int64_t order)
{
    for (uint64_t i = oldest(p); i < p->count; i++) {
        int64_t difference = order - at(p, i)->order;
        if (difference < 0)
            difference = -difference;
        if (difference && (!p->least || difference < p->least))
            p->least = difference;
    }
    if (p->least && p->least < p->step)
        p->step = p->least;
}

/* More wait than may: the first of them in order goes (C.4.5.3), and nothing comes before it. */
static void bump(struct present *p)
{
    while (between(p, p->output, INT64_MAX) > p->depth) {
        int64_t first = INT64_MAX;
        for (uint64_t i = oldest(p); i < p->count; i++)
            if (at(p, i)->order > p->output && at(p, i)->order < first)
                first = at(p, i)->order;
        p->output = first;
    }
}

int present_next(struct present *p, int reorder_frames, int64_t order, int64_t us)
{
    if (p->count == 0 || poc_sequence(order) != poc_sequence(p->first))
        begin(p, order);
    unsigned overtaken = between(p, order, INT64_MAX);
    if (overtaken > DPB_FRAMES_MAX) { /* no decoder could: they began anew without saying so */
        begin(p, order);
        overtaken = 0;
    }
    if (reorder_frames > (int)p->depth)
        p->depth = (unsigned)reorder_frames;
    if (overtaken > p->depth)
        p->depth = overtaken;
    p->reordered |= p->depth > 0;
    p->leading += order < p->first;
    learn_step(p, order);
    int64_t gaps = order > p->output ? (order - p->output - 1) / p->step : 0;
    gaps -= between(p, p->output, order);
    if (gaps < 0)
        gaps = 0;
    if (gaps > DPB_FRAMES_MAX)
        gaps = DPB_FRAMES_MAX;
    p->recent[p->count++ % PRESENT_RECENT] = (struct present_picture){order, 0, us};
    bump(p);
    return p->reordered ? (int)gaps - (int)overtaken : 0;
}

int64_t present_interval(const struct present *p)
{
    const struct present_picture *last = at(p, p->count - 1), *best = 0;
    int64_t nearest = INT64_MAX;
    if (last->us == PRESENT_NO_STAMP)
        return 0;
    for (uint64_t i = oldest(p); i + 1 < p->count; i++) {
        int64_t away = at(p, i)->order - last->order;
        if (away < 0)
            away = -away;
        if (at(p, i)->us != PRESENT_NO_STAMP && away && away < nearest) {
            nearest = away;
            best = at(p, i);
        }
    }
    if (!best || (last->us > best->us) != (last->order > best->order))
        return 0;
    int64_t us = last->us > best->us ? last->us - best->us : best->us - last->us;
    return us / ((nearest + p->step - 1) / p->step);
}

int64_t present_place(struct present *p, int64_t want)
{
    struct present_picture *last = &p->recent[(p->count - 1) % PRESENT_RECENT];
    int64_t low = p->floor, high = INT64_MAX, next = 0;
    if (p->reordered) {
        for (uint64_t i = oldest(p); i + 1 < p->count; i++) {
            const struct present_picture *other = at(p, i);
            if (other->order <= last->order && other->shown > low) {
                low = other->shown;
            } else if (other->order > last->order && other->shown < high) {
                high = other->shown;
                next = other->order;
            }
        }
        /* Where there is no room, an even share of what there is, for those to come, too. */
        if (want >= high || (want <= low && high < INT64_MAX && p->count > 1))
            want = low + (high - low) / (1 + (next - last->order + p->step - 1) / p->step);
        else if (want <= low && p->count > 1)
            want = low + PRESENT_ROOM;
    }
    last->shown = want;
    if (want > p->newest)
        p->newest = want;
    return want;
}
