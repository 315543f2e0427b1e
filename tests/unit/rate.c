/* Frame rates: what is taken, and that times never drift. */
#include "capture/rate.h"
#include "tests/tap.h"

static void parsing(void)
{
    static const struct {
        const char *text;
        uint32_t num, den;
    } good[] = {{"30", 30, 1},
                {"29.97", 2997, 100},
                {"30000/1001", 30000, 1001},
                {"240", 240, 1},
                {"240.0000", 240, 1},
                {"0.1", 1, 10},
                {"1/10", 1, 10},
                {"60/2", 30, 1},
                {"23.976", 2997, 125},
                {"2400000/10000", 240, 1},
                {"007", 7, 1},
                {"12.5", 25, 2}};
    static const char *bad[] = {"",
                                "0",
                                "0.0",
                                "30 ",
                                " 30",
                                "-30",
                                "+30",
                                "30fps",
                                "30.",
                                ".5",
                                "30/",
                                "/1",
                                "30/0",
                                "240.0001",
                                "241",
                                "0.09",
                                "1/11",
                                "30/1/1",
                                "1.5/2",
                                "30,0",
                                "1e2",
                                "29.97003",
                                "2400001/10000",
                                "99999999999999999999",
                                "18446744073709551646",
                                "0x1e",
                                "inf",
                                "30/18446744073709551617",
                                "300000/10010",
                                "30.0 /1"};

    for (unsigned i = 0; i < sizeof good / sizeof *good; i++) {
        struct rate r = {0};
        ok(!rate_parse(good[i].text, &r) && r.num == good[i].num && r.den == good[i].den,
           "\"%s\" is %u/%u", good[i].text, good[i].num, good[i].den);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rate r = {7, 7};
        ok(rate_parse(bad[i], &r) && r.num == 7, "\"%s\" is refused", bad[i]);
    }
}

static void times(void)
{
    static const struct rate rates[] = {{30, 1},          {30000, 1001}, {2997, 100},
                                        {240, 1},         {1, 10},       {7, 3},
                                        {2399999, 10000}, {25, 1},       {9999, 10000}};
    int due = 1;

    ok(rate_us((struct rate){30, 1}, 1) == 33333 && rate_us((struct rate){30, 1}, 2) == 66667 &&
           rate_us((struct rate){30, 1}, 3) == 100000,
       "rounded to the nearest, not accumulated");
    ok(rate_us((struct rate){30000, 1001}, 30000000) == UINT64_C(1001000000000),
       "30 million frames of 30000/1001 take 1001000 s to the microsecond");
    ok(rate_us((struct rate){1, 10}, UINT32_MAX) == UINT64_C(42949672950000000), "no overflow");
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++)
        for (uint64_t n = 0; n < UINT32_MAX; n = n * 3 + 1)
            for (uint64_t k = n; k < n + 50; k++) {
                uint64_t us = rate_us(rates[i], k);
                due &= rate_due(rates[i], us) == k && rate_due(rates[i], us + 1) == k;
                due &= k == 0 || rate_due(rates[i], us - 1) == k - 1;
            }
    ok(due, "a frame is due from its time on");
    ok(rate_second((struct rate){30000, 1001}) == 30 && rate_second((struct rate){1, 10}) == 1 &&
           rate_second((struct rate){25, 2}) == 13,
       "frames in a second");
}

int main(void)
{
    parsing();
    times();
    return done();
}
