#include "mux/smooth.h"

#define US        INT64_C(1000) /* nanoseconds */
#define JITTER_NS (SMOOTH_JITTER_US * US)
#define GAP_NS    (SMOOTH_GAP_US * US)

static int64_t within(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* What is held up arrives late, but all at once, so it is over as soon as it has begun by the clock
 * of arrivals. A change of the rate, or of the phase, is not. Returns 1 when it is one, with the
 * period that the arrivals had since. */
static int has_changed(struct smooth *s, int64_t arrival_us, int64_t late)
{
    int side = (late > JITTER_NS) - (late < -JITTER_NS);
    if (side != s->side || !side) {
        s->side = side;
        s->since_us = arrival_us;
        s->periods = 0;
        return 0;
    }
    s->periods++;
    int64_t lasted = arrival_us - s->since_us;
    if (s->periods < SMOOTH_CHANGE_COUNT || lasted < SMOOTH_CHANGE_US)
        return 0;
    s->side = 0;
    s->period_ns = lasted * US / s->periods;
    s->count = s->periods < SMOOTH_MEMORY ? s->periods : SMOOTH_MEMORY;
    return 1;
}

/* What comes at once behind a late one had to wait for that, and says nothing by itself. */
static int waited(const struct smooth *s, int64_t arrival_us)
{
    return s->side > 0 && (arrival_us - s->since_us) * US < s->periods * s->period_ns / 4;
}

/* Brings what was expected within reach of the arrival, and then nearer to it. */
static void follow(struct smooth *s, int64_t arrival_us)
{
    int64_t arrival = arrival_us * US;
    int64_t late = arrival - s->next_ns, counts = within(late, -JITTER_NS, JITTER_NS);
    if (has_changed(s, arrival_us, late)) {
        s->next_ns = arrival - counts;
    } else if (late > GAP_NS) {
        s->next_ns = arrival;
        counts = 0;
    } else if (late < -JITTER_NS) {
        s->next_ns = arrival + JITTER_NS;
        counts = 0;
    } else if (waited(s, arrival_us)) {
        counts = 0;
    }
    int64_t n = s->count, parts = (n + 1) * (n + 2);
    s->next_ns += counts * 2 * (2 * n + 1) / parts;
    s->period_ns += counts * 6 / parts;
}

int64_t smooth_next(struct smooth *s, int64_t arrival_us)
{
    if (s->count > 1) {
        follow(s, arrival_us);
    } else {
        s->period_ns = s->count ? arrival_us * US - s->next_ns : 0;
        s->next_ns = arrival_us * US;
    }
    int64_t us = s->next_ns / US;
    s->last_us = s->count && us <= s->last_us ? s->last_us + 1 : us;
    s->next_ns += s->period_ns;
    s->count += s->count < SMOOTH_MEMORY;
    return s->last_us;
}
