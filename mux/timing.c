#include "mux/timing.h"

#include <string.h>

struct rate timing_sps_rate(const struct sps *sps)
{
    struct rate none = {0, 0};
    uint64_t units = (uint64_t)sps->num_units_in_tick * 2;
    if (!sps->time_scale || !units || sps->time_scale / 1000 > units ||
        units / 10 > sps->time_scale || units > UINT32_MAX)
        return none;
    return (struct rate){sps->time_scale, (uint32_t)units};
}

void timing_init(struct timing *t, int stamped, struct rate given, struct rate sps, int live)
{
    memset(t, 0, sizeof *t);
    t->rate = given.num ? given : sps;
    if (stamped)
        t->source = TIME_MISB;
    else if (t->rate.num)
        t->source = TIME_RATE;
    else if (live)
        t->source = TIME_ARRIVAL;
    else {
        t->source = TIME_RATE;
        t->rate = (struct rate){25, 1};
        t->guessed = 1;
    }
    t->step_us = timing_first_interval(t) * 100 / 9;
}

int64_t timing_first_interval(const struct timing *t)
{
    return t->rate.num ? (int64_t)((uint64_t)TIMESCALE * t->rate.den / t->rate.num) : TICKS_NOMINAL;
}

/* n * den / num seconds in ticks, to the nearest; whole multiples of num first, so that weeks of
 * any rate stay far from overflow. */
static int64_t rate_ticks(const struct rate *r, uint64_t n)
{
    uint64_t whole = n / r->num, part = n % r->num;
    uint64_t per_num = (uint64_t)TIMESCALE * r->den;
    return (int64_t)(whole * per_num + (part * per_num + r->num / 2) / r->num);
}

static int64_t us_ticks(int64_t us)
{
    return (us * 9 + 50) / 100;
}

/* Puts a clock's reading on the timeline. A reading that cannot be right moves the timeline's zero
 * instead, so that the readings after it fit on again. */
static void place(struct timing *t, int64_t clock_us, int jumped)
{
    if (t->count == 0) {
        t->zero = clock_us;
        t->last_us = 0;
        return;
    }
    int64_t us = clock_us - t->zero;
    if (jumped || us <= t->last_us) {
        us = t->last_us + t->step_us;
        t->zero = clock_us - us;
    } else {
        t->step_us = us - t->last_us;
    }
    t->last_us = us;
}

int64_t timing_next(struct timing *t, const struct misb_stamp *stamp, int64_t arrival_us)
{
    int64_t tick;
    if (t->source == TIME_RATE) {
        tick = rate_ticks(&t->rate, t->count);
    } else {
        int64_t clock_us = arrival_us;
        int jumped = 0;
        if (t->source == TIME_MISB && stamp) {
            clock_us = (int64_t)(stamp->us & INT64_MAX);
            jumped = (stamp->status & MISB_DISCONTINUITY) != 0 || clock_us > INT64_MAX / 16;
        } else if (t->source == TIME_MISB) {
            clock_us = t->zero + t->last_us + t->step_us;
        }
        place(t, clock_us, jumped);
        tick = us_ticks(t->last_us);
    }
    if (t->count && tick <= t->last_tick)
        tick = t->last_tick + 1;
    t->last_tick = tick;
    t->count++;
    return tick;
}
