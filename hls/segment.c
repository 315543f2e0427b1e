#include "hls/segment.h"

#include <string.h>

uint32_t segment_target_duration(uint32_t target_ms, uint32_t gop_ms)
{
    uint64_t us = ((uint64_t)target_ms + gop_ms) * 1000;
    uint64_t seconds = (us + SEGMENT_SECOND - 1 - SEGMENT_SPARE_US) / SEGMENT_SECOND;
    if (seconds < 1)
        return 1;
    return seconds < SEGMENT_TARGET_MAX ? (uint32_t)seconds : SEGMENT_TARGET_MAX;
}

void segmenter_init(struct segmenter *s, uint32_t target_ms, uint32_t target_duration,
                    uint64_t list_us, uint64_t sequence)
{
    memset(s, 0, sizeof *s);
    s->target_us = (uint64_t)target_ms * 1000;
    if (target_duration && s->target_us > (uint64_t)target_duration * SEGMENT_SECOND)
        s->target_us = (uint64_t)target_duration * SEGMENT_SECOND;
    s->target_duration = target_duration;
    s->list_us = list_us;
    s->sequence = sequence;
    s->want_key = 1;
}

/* Whether this date may be given: known, and not in front of what players take for the end of the
 * pictures before. */
static int is_dated(const struct segmenter *s, uint64_t utc)
{
    if (utc < SEGMENT_UTC_MIN || utc >= SEGMENT_UTC_END)
        return 0;
    return s->undated > s->list_us || (utc > s->date && utc + SEGMENT_OVERLAP_US > s->date_end);
}

static void note_date(struct segmenter *s, const struct segment *g)
{
    if (g->utc_us) {
        s->date = s->date_end = g->utc_us;
        s->undated = 0;
    } else {
        s->undated += g->duration_us;
    }
    s->date_end += g->duration_us;
}

void segmenter_continue(struct segmenter *s, const struct segment *listed)
{
    s->sequence = listed->sequence + 1;
    s->discontinuities = listed->discontinuities;
    s->begun = s->broken = 1;
    note_date(s, listed);
}

/* Microseconds of the timeline. Differences of these, not of ticks, are durations: their sum then
 * never strays from the timeline. */
static uint64_t us_at(const struct segmenter *s, uint64_t tick)
{
    uint64_t t = tick - s->base;
    return t / s->timescale * SEGMENT_SECOND + t % s->timescale * SEGMENT_SECOND / s->timescale;
}

/* The way from the last keyframe to this tick counts, whether or not another one is there. */
static void measure(struct segmenter *s, uint64_t tick)
{
    uint64_t gap = us_at(s, tick) - us_at(s, s->key);
    if (gap > s->gap_us)
        s->gap_us = gap;
}

/* The promise is made with what has been seen up to the end of the first segment. */
static void settle(struct segmenter *s, uint64_t tick)
{
    measure(s, tick);
    if (s->now.duration_us < s->target_us)
        s->gap_us = SEGMENT_GOP_US;
    uint64_t gop = s->gap_us > SEGMENT_KEY_US ? s->gap_us : SEGMENT_KEY_US;
    s->target_duration =
        segment_target_duration((uint32_t)(s->target_us / 1000), (uint32_t)((gop + 999) / 1000));
}

/* The open segment ends at this tick. One that has no duration is none. */
static int finish(struct segmenter *s, uint64_t tick, struct segment *done)
{
    if (!s->open)
        return 0;
    s->open = 0;
    s->now.duration_us = us_at(s, tick) - us_at(s, s->start);
    if (!s->now.duration_us)
        return 0;
    if (!s->target_duration)
        settle(s, tick);
    s->now.sequence = s->sequence++;
    s->now.discontinuities = s->discontinuities += s->now.discontinuity ? 1 : 0;
    s->dependent |= !s->now.independent;
    s->begun = 1;
    s->broken = 0;
    if (!is_dated(s, s->now.utc_us))
        s->now.utc_us = 0;
    note_date(s, &s->now);
    *done = s->now;
    return 1;
}

static void begin(struct segmenter *s, const struct segment_frag *f)
{
    s->open = 1;
    s->start = f->dts;
    s->now = (struct segment){.first = f->number,
                              .utc_us = f->utc_us,
                              .epoch = f->epoch,
                              .discontinuity = s->begun && s->broken,
                              .independent = f->sync != 0};
}

static uint64_t limit(const struct segmenter *s, uint64_t over)
{
    if (!s->target_duration)
        return s->target_us + SEGMENT_GOP_US;
    return (uint64_t)s->target_duration * SEGMENT_SECOND + over;
}

static uint64_t length(const struct segment_frag *f)
{
    return (uint64_t)f->duration * SEGMENT_SECOND / f->timescale;
}

/* Whether a segment can hold this fragment at all. (No media lasts for 2^63 ticks.) */
static int is_usable(const struct segmenter *s, const struct segment_frag *f)
{
    return f->timescale && f->dts < UINT64_C(1) << 63 && length(f) <= limit(s, SEGMENT_OVER_US);
}

/* The fragment is next on the open segment's timeline. */
static int is_next(const struct segmenter *s, const struct segment_frag *f)
{
    return s->open && !f->discontinuity && f->number == s->number + 1 && f->epoch == s->now.epoch &&
           f->timescale == s->timescale && f->dts > s->dts;
}

/* And near enough to be listed without a discontinuity. */
static int goes_on(const struct segmenter *s, const struct segment_frag *f)
{
    if (!is_next(s, f))
        return 0;
    return us_at(s, f->dts) - us_at(s, s->end) <= SEGMENT_HOLE_US &&
           us_at(s, f->dts) - us_at(s, s->start) <= limit(s, SEGMENT_MOST_US);
}

/* The segment ends in front of this fragment, which goes on from it. */
static int is_cut(const struct segmenter *s, const struct segment_frag *f)
{
    uint64_t reach = us_at(s, f->dts) - us_at(s, s->start);
    return (f->sync && reach >= s->target_us) || reach + length(f) > limit(s, SEGMENT_OVER_US);
}

static void append(struct segmenter *s, const struct segment_frag *f)
{
    s->dts = f->dts;
    s->end = f->dts + f->duration;
    s->number = f->number;
    s->now.end = f->number + 1;
    s->now.bytes += f->bytes;
    if (f->sync) {
        measure(s, f->dts);
        s->key = f->dts;
    }
}

/* Not before the target: a keyframe that comes sooner ends nothing. */
static int wants_key(const struct segmenter *s)
{
    if (!s->target_duration && !s->gap_us) /* whether and how soon it answers is not known yet */
        return us_at(s, s->end) - us_at(s, s->key) >= SEGMENT_KEY_US;
    if (!s->target_duration)
        return us_at(s, s->end) - us_at(s, s->start) >= s->target_us;
    uint64_t latest = limit(s, SEGMENT_OVER_US) - SEGMENT_KEY_US;
    uint64_t length_us = us_at(s, s->end) - us_at(s, s->start);
    return length_us >= s->target_us && length_us >= latest;
}

int segmenter_add(struct segmenter *s, const struct segment_frag *f, struct segment *done)
{
    int ended = 0, usable = is_usable(s, f);
    if (is_next(s, f) && f->dts < s->end) /* the last one said too much */
        s->end = f->dts;
    if (usable && goes_on(s, f)) {
        if (is_cut(s, f)) {
            ended = finish(s, f->dts, done);
            begin(s, f);
        }
    } else {
        ended = segmenter_end(s, done);
        if (!usable || !f->sync) {
            s->left_out++;
            return ended;
        }
        s->timescale = f->timescale;
        s->base = s->key = f->dts;
        begin(s, f);
    }
    append(s, f);
    s->want_key = wants_key(s);
    return ended;
}

int segmenter_end(struct segmenter *s, struct segment *done)
{
    if (s->open && s->patient && !s->target_duration &&
        us_at(s, s->end) - us_at(s, s->start) < s->target_us) {
        s->left_out += s->now.end - s->now.first;
        s->open = 0;
    }
    int ended = finish(s, s->end, done);
    s->broken = 1;
    s->want_key = 1;
    return ended;
}
