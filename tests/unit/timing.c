/* When access units were taken: exact for weeks, and sane whatever the clock does. */
#include "mux/timing.h"
#include "tests/tap.h"

#include <stdlib.h>

static const struct rate none;

static int64_t next(struct timing *t, uint64_t us, int jumped)
{
    struct misb_stamp s = {us, (uint8_t)(MISB_STATUS | (jumped ? MISB_DISCONTINUITY : 0))};
    return timing_next(t, &s, 0);
}

static void weeks_of_stamps(void)
{
    const uint64_t epoch = UINT64_C(1795305600123457), frames = UINT64_C(60) * 86400 * 28;
    struct timing t;
    int64_t worst = 0, tick = 0, last = -1;
    int rising = 1;
    timing_init(&t, 1, none, none, 1);
    for (uint64_t n = 0; n < frames; n++) {
        uint64_t us = n * 1000000 / 60;
        tick = next(&t, epoch + us, 0);
        int64_t off = llabs(tick * 100 - (int64_t)us * 9); /* hundredths of a tick */
        worst = off > worst ? off : worst;
        rising &= tick > last;
        last = tick;
    }
    ok(rising && worst <= 50, "four weeks of stamps at 60 a second: within %.2f ticks",
       (double)worst / 100);
    ok(tick == (int64_t)((frames - 1) * 1500), "the last is where it should be");
}

static void strange_stamps(void)
{
    struct timing t;
    timing_init(&t, 1, none, none, 1);
    int good = next(&t, 1000000, 0) == 0 && next(&t, 1040000, 0) == 3600;
    ok(good && next(&t, 5000000, 1) == 7200,
       "a clock that says it jumped: the last interval again");
    ok(next(&t, 5050000, 0) == 11700, "and on from there");
    ok(next(&t, 4000000, 0) == 16200, "backwards: the last interval again");
    ok(next(&t, 4010000, 0) == 17100, "and on from there");
    ok(next(&t, 4010000, 0) == 18000, "the same once more: the last interval again");
    ok(timing_next(&t, NULL, 77) == 18900, "none at all: the last interval again");
    ok(next(&t, 4040000, 0) == 20700, "the next one is where it belongs");
    ok(next(&t, 3604040000, 0) == 20700 + 324000000, "an hour's gap is kept");
    ok(timing_next(&t, NULL, 0) == 324020700 + 1800, "but is not a rhythm");
    ok(next(&t, UINT64_C(1795305600000000), 0) == 324022500 + 1800, "1970 to today is no gap");
    ok(next(&t, UINT64_C(1795305600010000), 0) == 324024300 + 900, "and on from there");
    ok(next(&t, UINT64_MAX, 0) == 324025200 + 900, "a stamp of all ones");
    ok(next(&t, 0, 0) == 324026100 + 900, "a stamp of zero");
    ok(next(&t, 1, 0) == 324027001, "a microsecond later is at least a tick later");
}

static void wild_stamps(void)
{
    struct timing t;
    uint64_t random = 88172645463325252;
    int64_t last = -1;
    int rising = 1;
    timing_init(&t, 1, none, none, 1);
    unsigned often = tap_often(2000000);
    for (unsigned i = 0; i < often; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int64_t tick = next(&t, random >> (random & 63), random >> 60 == 1);
        rising &= tick > last;
        last = tick;
    }
    ok(rising && last < (int64_t)often * 86401 * TIMESCALE, "%u stamps at random: rising", often);
}

static void given_rates(void)
{
    struct timing t;
    int exact = 1;
    timing_init(&t, 0, (struct rate){30000, 1001}, (struct rate){25, 1}, 1);
    for (uint64_t n = 0; n < 1000; n++)
        exact &= timing_next(&t, NULL, 0) == (int64_t)(n * 3003);
    ok(exact, "30000/1001: 3003 ticks each");
    t.count = 1000000000;
    ok(timing_next(&t, NULL, 0) == INT64_C(3003000000000), "and after 10^9 frames");
    timing_init(&t, 0, (struct rate){2400001, 10000}, none, 1);
    for (uint64_t n = 0; n < 100000; n++) {
        uint64_t want = (2 * n * 900000000 + 2400001) / 4800002;
        exact &= timing_next(&t, NULL, 0) == (int64_t)want;
    }
    ok(exact, "240.0001: to the nearest tick");
    /* A fraction in the SPS may have 32 bits on both sides, without a common divisor. */
    timing_init(&t, 0, none, (struct rate){4294967295u, 85899346u}, 0);
    t.count = 4294967294u;
    ok(timing_next(&t, NULL, 0) == INT64_C(7730941138200), "4294967295/85899346 after 2^32 frames");
    t.count = 1;
    ok(timing_next(&t, NULL, 0) == 7730941138201 && t.last_tick > 0, "never back");
}

static void sources(void)
{
    struct timing t;
    struct rate given = {50, 1}, sps = {60, 1};
    timing_init(&t, 1, given, sps, 0);
    ok(t.source == TIME_MISB && timing_first_interval(&t) == 1800, "a stamp goes before -r");
    timing_init(&t, 0, given, sps, 1);
    ok(t.source == TIME_RATE && timing_first_interval(&t) == 1800, "-r before the SPS");
    timing_init(&t, 0, none, sps, 1);
    ok(t.source == TIME_RATE && timing_first_interval(&t) == 1500, "the SPS before arrival");
    timing_init(&t, 0, none, none, 1);
    ok(t.source == TIME_ARRIVAL && timing_first_interval(&t) == TICKS_NOMINAL && !t.guessed,
       "arrival where it means something");
    int good = timing_next(&t, NULL, 500) == 0 && timing_next(&t, NULL, 40500) == 3600;
    good &= timing_next(&t, NULL, 80500) == 7200 && timing_next(&t, NULL, 120500) == 10800;
    ok(good, "even arrival times are kept, and count from the first");
    int64_t late = timing_next(&t, NULL, 170500);
    ok(late > 14400 && late < 15300, "one that is 10 ms late is not believed by as much");
    ok(timing_next(&t, NULL, 3600170500) == 324015300, "an hour's gap is kept");
    int64_t last = 324015300;
    for (int i = 0; i < 100; i++) {
        int64_t tick = timing_next(&t, NULL, 3600170500);
        good &= tick > last && tick <= 324015300 + 4500 + 100;
        last = tick;
    }
    ok(good, "a hundred at once rise, and stay within 50 ms");
    timing_init(&t, 0, none, none, 0);
    timing_init(&t, 1, (struct rate){1, 10}, none, 0);
    ok(timing_first_interval(&t) == 90000, "a clock's first interval is a second at most");
    timing_init(&t, 0, (struct rate){1, 10}, none, 0);
    ok(timing_first_interval(&t) == 900000, "a rate's is what it is");
    timing_init(&t, 0, none, none, 0);
    ok(t.source == TIME_RATE && t.guessed && timing_first_interval(&t) == 3600, "25 from a file");
}

static int sps_rate(uint32_t units, uint32_t scale, uint32_t num, uint32_t den)
{
    struct rate r = timing_sps_rate(&(struct sps){.num_units_in_tick = units, .time_scale = scale});
    return r.num == num && r.den == den;
}

static void rates_of_sps(void)
{
    ok(sps_rate(1001, 60000, 60000, 2002), "60000 / 1001 / 2");
    ok(sps_rate(1, 2000, 2000, 2) && sps_rate(1, 2001, 0, 0), "1000 a second and no more");
    ok(sps_rate(10, 2, 2, 20) && sps_rate(11, 2, 0, 0), "one in 10 seconds and no less");
    ok(sps_rate(0, 50, 0, 0) && sps_rate(1, 0, 0, 0) && sps_rate(0, 0, 0, 0), "not said");
    ok(sps_rate(0x7fffffff, 0xffffffff, 0xffffffff, 0xfffffffe), "32 bits");
    ok(sps_rate(0x80000000, 0xffffffff, 0, 0) && sps_rate(0xffffffff, 0xffffffff, 0, 0),
       "more than 32 bits are rubbish");
}

int main(void)
{
    weeks_of_stamps();
    strange_stamps();
    wild_stamps();
    given_rates();
    sources();
    rates_of_sps();
    return done();
}
