#include "hls/window.h"

#include <string.h>

enum { BITS_A_BYTE = 8 };

static uint64_t at_least(uint32_t target_duration, uint64_t keep_us)
{
    uint64_t least = (uint64_t)WINDOW_TARGETS * target_duration * SEGMENT_SECOND;
    return keep_us > least ? keep_us : least;
}

void window_init(struct window *w, struct segment *room, size_t cap, uint32_t target_duration,
                 uint64_t keep_us)
{
    memset(w, 0, sizeof *w);
    w->seg = room;
    w->cap = cap;
    w->keep_us = at_least(target_duration, keep_us);
    w->half_us = (uint64_t)target_duration * SEGMENT_SECOND / 2;
    w->longest_us = window_longest(target_duration, keep_us);
}

int window_add(struct window *w, const struct segment *s)
{
    if (w->count == w->cap)
        return -1;
    w->seg[w->count++] = *s;
    return 0;
}

int64_t window_due(const struct window *w)
{
    if (w->end == w->count)
        return INT64_MAX;
    return w->is_out ? w->published + (int64_t)w->half_us : INT64_MIN;
}

int window_publish(struct window *w, int64_t now)
{
    size_t was = w->first;
    if (w->end == w->count || now < window_due(w))
        return 0;
    while (w->end < w->count)
        w->listed_us += w->seg[w->end++].duration_us;
    while (w->listed_us - w->seg[w->first].duration_us >= w->keep_us)
        w->listed_us -= w->seg[w->first++].duration_us;
    for (size_t i = was; i < w->first; i++)
        w->seg[i].keep_until = now + (int64_t)(w->seg[i].duration_us + w->longest_us);
    w->published = now;
    w->is_out = 1;
    return 1;
}

void window_lose(struct window *w)
{
    if (!w->count)
        return;
    if (w->first)
        w->first--;
    else if (w->end)
        w->listed_us -= w->seg[0].duration_us;
    w->count--;
    w->end -= w->end ? 1 : 0;
    memmove(w->seg, w->seg + 1, w->count * sizeof *w->seg);
}

int window_drop(struct window *w, int64_t now, struct segment *gone)
{
    if (!w->first || now <= w->seg[0].keep_until)
        return 0;
    *gone = w->seg[0];
    window_lose(w);
    return 1;
}

const struct segment *window_find(const struct window *w, uint64_t sequence)
{
    if (!w->count || sequence < w->seg[0].sequence || sequence - w->seg[0].sequence >= w->count)
        return NULL;
    return &w->seg[sequence - w->seg[0].sequence];
}

/* The longest a segment can be: what rounds down to the target duration. */
static uint64_t longest_segment(uint32_t target_duration)
{
    return (uint64_t)target_duration * SEGMENT_SECOND + SEGMENT_MOST_US;
}

uint64_t window_longest(uint32_t target_duration, uint64_t keep_us)
{
    uint64_t keep = at_least(target_duration, keep_us), one = longest_segment(target_duration);
    return keep > SEGMENT_ALWAYS - one ? SEGMENT_ALWAYS : keep + one;
}

uint64_t window_hold(uint32_t target_duration, uint64_t keep_us)
{
    uint64_t longest = window_longest(target_duration, keep_us);
    uint64_t one = longest_segment(target_duration);
    if (longest > SEGMENT_ALWAYS / 2 - 2 * one)
        return SEGMENT_ALWAYS;
    return 2 * longest + 2 * one + (uint64_t)target_duration * SEGMENT_SECOND / 2;
}

uint64_t window_bytes(uint64_t us, uint64_t rate)
{
    uint64_t seconds = us / SEGMENT_SECOND, rest = us % SEGMENT_SECOND;
    if (rate > UINT64_MAX / SEGMENT_SECOND - 1 || (rate && seconds + 1 > UINT64_MAX / rate))
        return UINT64_MAX;
    return seconds * rate + (rest * rate + SEGMENT_SECOND - 1) / SEGMENT_SECOND;
}

/* Rounded up, and without a product that could overflow before a recording of centuries. */
static uint64_t bits_a_second(uint64_t bytes, uint64_t us)
{
    uint64_t bits = bytes * BITS_A_BYTE;
    return bits / us * SEGMENT_SECOND + (bits % us * SEGMENT_SECOND + us - 1) / us;
}

void window_rates(const struct segment *s, size_t n, uint32_t target_duration, uint64_t *peak,
                  uint64_t *average)
{
    uint64_t half = (uint64_t)target_duration * SEGMENT_SECOND / 2, bytes = 0, us = 0;
    *peak = *average = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t run_bytes = 0, run_us = 0;
        bytes += s[i].bytes;
        us += s[i].duration_us;
        for (size_t k = i; k < n && run_us + s[k].duration_us <= 3 * half; k++) {
            run_bytes += s[k].bytes;
            run_us += s[k].duration_us;
            uint64_t rate = run_us >= half ? bits_a_second(run_bytes, run_us) : 0;
            *peak = rate > *peak ? rate : *peak;
        }
    }
    if (us)
        *average = bits_a_second(bytes, us);
    if (!*peak)
        *peak = *average;
}
