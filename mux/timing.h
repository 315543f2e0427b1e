/* When each access unit was taken, as a strictly rising time of 90 kHz ticks from the first.
 *
 * The sources, best first: the capture time in the stream (MISB ST 0604), a rate given by the user,
 * the rate in the SPS (E.2.1: time_scale / num_units_in_tick / 2), the time of arrival (a live
 * pipe; its jitter is smoothed, see smooth.h), 25 a second. The source is chosen at the first
 * access unit and stays. */
#ifndef MUX_TIMING_H
#define MUX_TIMING_H

#include <stdint.h>

#include "capture/misb.h"
#include "capture/paramset.h"
#include "capture/rate.h"
#include "mux/smooth.h"

enum { TIMESCALE = 90000, TICKS_NOMINAL = TIMESCALE / 30 };

#define TIME_JUMP_US                                                                               \
    (INT64_C(24) * 3600 * 1000000)               /* further ahead than this, the clock was set     \
                                                  */
#define TIME_STEP_MAX_US (INT64_C(10) * 1000000) /* a longer interval is a gap, not a rhythm */

enum time_source { TIME_UNSET, TIME_MISB, TIME_RATE, TIME_ARRIVAL };

struct timing {
    enum time_source source;
    struct rate rate;     /* TIME_RATE, and the first interval of the others where known */
    int guessed;          /* nothing gave a rate: 25 a second was taken */
    uint64_t count;       /* access units timed */
    int64_t zero;         /* the clock's microseconds at tick 0 */
    int64_t last_us;      /* the last access unit, microseconds from tick 0 */
    int64_t step_us;      /* the last interval, but for gaps */
    int64_t last_tick;    /* what was returned last */
    struct smooth smooth; /* TIME_ARRIVAL: before it gets here */
};

/* The rate the SPS gives, or num = 0: what is not between 1/10 and 1000 a second is rubbish. */
struct rate timing_sps_rate(const struct sps *sps);

/* Chooses the source. given: -r, or num = 0. stamped: the first access unit carries a stamp.
 * live: the input is a pipe or a device, so arrival times mean something. */
void timing_init(struct timing *t, int stamped, struct rate given, struct rate sps, int live);

/* The time of the next access unit in ticks: 0 for the first, then always more than the last.
 * stamp: its capture time or NULL; arrival_us: a steady clock as smooth_next() wants it. A stamp
 * that is missing, does not rise, says that its clock jumped, or is over TIME_JUMP_US later repeats
 * the last interval of at most TIME_STEP_MAX_US instead; the stamps behind it count from there. */
int64_t timing_next(struct timing *t, const struct misb_stamp *stamp, int64_t arrival_us);

/* The time of the picture `places` behind (or, < 0, before) the one that timing_next() was called
 * for last, as far as it can be told, in ticks. */
int64_t timing_near(const struct timing *t, int places);

/* The interval to assume before there is a second access unit, in ticks: that of the rate where it
 * is known, but no more than a second of a clock's, to which a camera's rate may be no guide. */
int64_t timing_first_interval(const struct timing *t);

#endif
