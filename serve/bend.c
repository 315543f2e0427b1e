#include "serve/bend.h"

#include "mux/box.h"
#include "mux/boxread.h"

enum { ALL_SYNC = 0x02000000, FRAGMENT_MAX = 1 << 28 /* ticks */, ROOM = 256 };

static void put_each(uint8_t *head, unsigned at, unsigned n, unsigned step, uint32_t value)
{
    for (unsigned i = 0; i < n; i++)
        put_u32(head + at + i * step, value);
}

/* `total` ticks shared out among n samples in proportion to what they had. */
static void share_out(uint8_t *head, const struct ring_frag *f, uint32_t total)
{
    if (f->duration_n == 1) {
        put_u32(head + f->duration_at, total / f->samples);
        return;
    }
    uint64_t had = 0, given = 0, spare = total - f->duration_n; /* one each in any case */
    for (unsigned i = 0; i < f->duration_n; i++) {
        uint8_t *p = head + f->duration_at + i * f->duration_step;
        had += get_u32(p);
        uint64_t upto = had < f->duration ? spare * had / f->duration : spare;
        put_u32(p, (uint32_t)(1 + upto - given));
        given = upto;
    }
}

/* Pictures are sent again: these are behind all there were, whatever their times in the ring say.
 */
static void forget_order(struct bend *b)
{
    for (unsigned i = 0; i < BEND_SHOWN && i < b->showns; i++)
        b->least = b->shown[i].out >= b->least ? b->shown[i].out + 1 : b->least;
    b->showns = 0;
}

static void remember(struct bend *b, const struct elastic_step *step)
{
    const struct ring_frag *f = &step->frag;
    int again = b->sequence && f->dts <= b->begin.in;
    if (step->sequence == b->sequence)
        return;
    if (b->sequence && f->dts == b->in_end && f->dts - b->begin.in < FRAGMENT_MAX &&
        step->tfdt - b->begin.out < FRAGMENT_MAX) {
        for (unsigned i = BEND_PAST - 1; i > 0; i--)
            b->past[i] = b->past[i - 1];
        b->past[0] = b->begin;
        b->pasts += b->pasts < BEND_PAST;
    } else {
        b->pasts = 0; /* something was left out: no picture from here on belongs in front of it */
    }
    b->begin = (struct bend_time){f->dts, step->tfdt};
    b->in_end = f->dts + f->duration;
    b->sequence = step->sequence;
    if (again)
        forget_order(b);
}

/* Where on the viewer's timeline lies what is `in` ticks behind this fragment's begin? Returns
 * ticks behind its begin there. */
static int64_t bent(const struct bend *b, const struct elastic_step *step, int64_t in)
{
    int64_t next_in = 0, next_out = 0;
    uint32_t duration = step->frag.duration;
    in = in < INT32_MIN ? INT32_MIN : in > INT32_MAX ? INT32_MAX : in;
    if (in >= 0)
        return duration ? in * (int64_t)step->duration / (int64_t)duration : 0;
    for (unsigned i = 0; i < b->pasts; i++) {
        int64_t from_in = (int64_t)(b->past[i].in - b->begin.in);
        int64_t from_out = (int64_t)(b->past[i].out - b->begin.out);
        if (in >= from_in && next_in > from_in)
            return from_out + (in - from_in) * (next_out - from_out) / (next_in - from_in);
        next_in = from_in;
        next_out = from_out;
    }
    return next_out;
}

/* A picture decoded early was given the time it would be shown at this speed; then the speed
 * changed. Returns the time nearest to t.out that is on the right side of those. */
static uint64_t in_order(struct bend *b, struct bend_time t)
{
    uint64_t low = b->least, high = UINT64_MAX;
    struct bend_time *place = &b->shown[b->showns % BEND_SHOWN];
    for (unsigned i = 0; i < BEND_SHOWN && i < b->showns; i++) {
        struct bend_time *s = &b->shown[i];
        /* With room for those in between. */
        uint64_t after = s->out + 1 + (t.in - s->in) / ROOM;
        uint64_t before = s->out - 1 - (s->in - t.in) / ROOM;
        if (s->in == t.in)
            place = s; /* the same head is bent again */
        else if (s->in < t.in)
            low = after > low ? after : low;
        else
            high = before < high ? before : high;
    }
    t.out = t.out < low ? low : t.out > high ? high : t.out;
    b->showns += place == &b->shown[b->showns % BEND_SHOWN];
    *place = t;
    return t.out;
}

/* An offset of version 0 is not negative; none is longer than 31 bits. */
static int32_t offset_at(const uint8_t *head, const struct ring_frag *f, unsigned i)
{
    return (int32_t)get_u32(head + f->offset_at + i * f->offset_step);
}

/* One for all, or one each. */
static uint32_t duration_at(const uint8_t *head, const struct ring_frag *f, unsigned i)
{
    unsigned last = f->duration_n - 1u;
    return get_u32(head + f->duration_at + (i < last ? i : last) * f->duration_step);
}

/* From offsets to times of showing, from the fragment's begin, as long as durations and offsets are
 * what they were. */
static void find_shown(uint8_t *head, struct bend *b, const struct elastic_step *step)
{
    const struct ring_frag *f = &step->frag;
    int64_t in = 0;
    if (f->flags & RING_SYNC)
        b->shift = offset_at(head, f, 0);
    for (unsigned i = 0; i < f->offset_n; i++) {
        int64_t at = in + offset_at(head, f, i) - b->shift;
        uint64_t out = b->begin.out + (uint64_t)bent(b, step, at);
        out = in_order(b, (struct bend_time){b->begin.in + (uint64_t)at, out}) - b->begin.out;
        in += duration_at(head, f, i);
        put_u32(head + f->offset_at + i * f->offset_step, (uint32_t)out);
    }
}

/* And back, by the durations there are now. */
static void find_offsets(uint8_t *head, const struct ring_frag *f)
{
    uint32_t out = 0;
    for (unsigned i = 0; i < f->offset_n; i++) {
        uint8_t *p = head + f->offset_at + i * f->offset_step;
        put_u32(p, get_u32(p) - out);
        out += duration_at(head, f, i);
    }
    head[f->trun_version_at] = 1;
}

void bend_head(struct bend *b, uint8_t *head, const struct elastic_step *step)
{
    const struct ring_frag *f = &step->frag;
    put_u32(head + f->sequence_at, step->sequence);
    put_u64(head + f->tfdt_at, step->tfdt);
    if (f->offset_n) {
        remember(b, step);
        find_shown(head, b, step);
    }
    share_out(head, f, step->duration);
    if (f->offset_n)
        find_offsets(head, f);
    put_each(head, f->flags_at, f->flags_n, f->flags_step, ALL_SYNC);
    if (f->first_flags_at)
        put_u32(head + f->first_flags_at, ALL_SYNC);
}
