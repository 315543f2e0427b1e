#include "mux/timing.h"

#include <string.h>

/* Far beyond any clock, and far from overflow however it is added to. */
#define CLOCK_MAX_US (INT64_MAX / 1024)

struct rate timing_sps_rate(const struct sps *sps)
{
    struct rate none = {0, 0};
    uint64_t units = (uint64_t)sps->num_units_in_tick * 2;
    uint64_t scale = sps->time_scale;
    if (!scale || !units || scale > 1000 * units || units > 10 * scale || units > UINT32_MAX)
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
    if (!t->rate.num)
        return TICKS_NOMINAL;
    int64_t ticks = (int64_t)((uint64_t)TIMESCALE * t->rate.den / t->rate.num);
    return t->source != TIME_RATE && ticks > TIMESCALE ? TIMESCALE : ticks;
}

/* n * den / num seconds in ticks, to the nearest. Whole multiples of num first, twice, so that the
 * only product that is divided is below num squared, and num has 32 bits. */
static int64_t rate_ticks(const struct rate *r, uint64_t n)
{
    uint64_t num = r->num, whole = n / num, part = n % num;
    uint64_t per_num = (uint64_t)TIMESCALE * r->den;
    uint64_t rounded = (part * (per_num % num) + num / 2) / num;
    return (int64_t)(whole * per_num + part * (per_num / num) + rounded);
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
    if (jumped || us <= t->last_us || us - t->last_us > TIME_JUMP_US) {
        us = t->last_us + t->step_us;
        t->zero = clock_us - us;
    } else if (us - t->last_us <= TIME_STEP_MAX_US) {
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
        int64_t clock_us = t->zero + t->last_us + t->step_us;
        int jumped = 0;
        if (t->source == TIME_ARRIVAL) {
            clock_us = smooth_next(&t->smooth, arrival_us);
        } else if (stamp) {
            clock_us = stamp->us < CLOCK_MAX_US ? (int64_t)stamp->us : CLOCK_MAX_US;
            jumped = (stamp->status & MISB_DISCONTINUITY) != 0;
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

int64_t timing_near(const struct timing *t, int places)
{
    if (t->source != TIME_RATE)
        return t->last_tick + places * us_ticks(t->step_us);
    int64_t n = (int64_t)t->count - 1 + places;
    return n < 0 ? -rate_ticks(&t->rate, (uint64_t)-n) : rate_ticks(&t->rate, (uint64_t)n);
}
