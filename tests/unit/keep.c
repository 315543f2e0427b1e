/* What is kept: the limit as written, batches, and the clock ages are counted by. */
#include "hls/keep.h"
#include "tests/tap.h"

#include <inttypes.h>

static void limits(void)
{
    static const struct {
        const char *text;
        enum keep_kind kind;
        uint64_t limit;
    } good[] = {
        {"1", KEEP_COUNT, 1},
        {"1000", KEEP_COUNT, 1000},
        {"90s", KEEP_AGE, 90000000},
        {"30m", KEEP_AGE, UINT64_C(1800000000)},
        {"24h", KEEP_AGE, UINT64_C(86400000000)},
        {"7d", KEEP_AGE, UINT64_C(604800000000)},
        {"36500d", KEEP_AGE, UINT64_C(3153600000000000)},
        {"500M", KEEP_BYTES, UINT64_C(524288000)},
        {"10G", KEEP_BYTES, UINT64_C(10737418240)},
        {"2T", KEEP_BYTES, UINT64_C(2199023255552)},
    };
    static const char *const wrong[] = {"",         "0",
                                        "0s",       "0G",
                                        "-1",       "+6",
                                        " 6",       "6 ",
                                        "1001",     "6.5",
                                        "1.5h",     "24H",
                                        "6g",       "10K",
                                        "10GB",     "1d12h",
                                        "h",        "M",
                                        "6s\n",     "0x10",
                                        "1e3",      "all",
                                        "36501d",   "99999999999999999999",
                                        "8388608T", "18446744073709551615s"};
    struct keep k;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int r = keep_parse(good[i].text, &k);
        ok(r == 0 && k.kind == good[i].kind && k.limit == good[i].limit, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        k = (struct keep){.kind = KEEP_BYTES, .limit = 7};
        ok(keep_parse(wrong[i], &k) < 0 && k.kind == KEEP_BYTES && k.limit == 7,
           "not a limit: case %zu", i);
    }
}

static void seconds(void)
{
    static const struct {
        const char *text;
        uint32_t ms;
    } good[] = {{"0.5", 500},    {"6", 6000},       {"60", 60000}, {"2.25", 2250},
                {"1.001", 1001}, {"60.000", 60000}, {"0.500", 500}};
    static const char *const wrong[] = {"",       "0",  "0.4", "0.499", "60.001", "61", "2.", ".5",
                                        "2.0000", "-2", "2s",  "2,5",   "1e1",    " 2", "2 "};
    uint32_t ms = 7;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ok(keep_parse_segment(good[i].text, &ms) == 0 && ms == good[i].ms, "%s s", good[i].text);
    ms = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ok(keep_parse_segment(wrong[i], &ms) < 0 && ms == 7, "not seconds: case %zu", i);
}

static void batches(void)
{
    ok(keep_batch(1) == 1 && keep_batch(127) == 1, "small playlists lose one at a time");
    ok(keep_batch(128) == 2 && keep_batch(14400) == 225, "a 64th of larger ones");
}

static void ages(void)
{
    const uint64_t t = UINT64_C(1795000000000000), hour = UINT64_C(3600000000);
    const struct keep k = {.kind = KEEP_AGE, .limit = hour};
    struct keep_clock c = {0};
    keep_clock_tick(&c, 5, 1000, 0);
    ok(keep_clock_now(&c, 6) == 0, "no date before the clock is synchronised");
    keep_clock_tick(&c, 10, t, 1);
    ok(keep_clock_now(&c, 10) == t && keep_clock_now(&c, 1000010) == t + 1000000,
       "then it is counted on");
    keep_clock_tick(&c, 20, t + 99 * hour, 1);
    ok(keep_clock_now(&c, 20) == t + 10, "whatever the clock is set to");
    ok(!keep_is_over(&k, t, t + hour - 1) && keep_is_over(&k, t, t + hour), "an hour to the last");
    ok(!keep_is_over(&k, 0, t) && !keep_is_over(&k, t + 1, t), "no date, or one in the future");
    ok(!keep_is_over(&k, t + 1, 0), "and before there is a clock");
}

int main(void)
{
    limits();
    seconds();
    batches();
    ages();
    return done();
}
