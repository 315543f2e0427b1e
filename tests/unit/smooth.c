/* Jitter goes, time stays: made-up arrivals of a camera's access units, always the same ones. */
#include "mux/smooth.h"
#include "tests/tap.h"

#define SECOND_US  INT64_C(1000000)
#define MONTH_US   (SECOND_US * 86400 * 30)
#define CENTURY_US (SECOND_US * 86400 * 36500)

enum { FRAMES_MAX = 4096, MS = 1000 };

/* Of each access unit: when it was due, when it arrived, and what came out. */
static int64_t due[FRAMES_MAX], arrival[FRAMES_MAX], given[FRAMES_MAX];
static int frames;
static uint64_t random_state;

static void begin(void)
{
    frames = 0;
    random_state = 88172645463325252;
}

/* 0 to n - 1. */
static int64_t random_below(int64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state >> 11) % n;
}

static int64_t jitter(int64_t most)
{
    return random_below(2 * most + 1) - most;
}

/* A pipe keeps the order: what comes behind a late one is as late. */
static void add(int64_t due_us, int64_t arrival_us)
{
    due[frames] = due_us;
    arrival[frames] = frames && arrival_us < arrival[frames - 1] ? arrival[frames - 1] : arrival_us;
    frames++;
}

/* n more at so many a second, the first of them a period behind the last. */
static void add_steady(int n, int64_t fps, int64_t most)
{
    int64_t from = frames ? due[frames - 1] : SECOND_US - SECOND_US / fps;
    for (int i = 1; i <= n; i++) {
        int64_t us = from + i * SECOND_US / fps;
        add(us, us + jitter(most));
    }
}

/* That they rise and stay within reach of the arrivals holds for all. */
static int is_sane(int64_t us, int64_t last, int64_t at)
{
    return us > last && us >= at - SMOOTH_GAP_US && (us <= at + SMOOTH_JITTER_US || us == last + 1);
}

static int smooth_all(void)
{
    struct smooth s = {0};
    int sane = 1;
    for (int i = 0; i < frames; i++) {
        given[i] = smooth_next(&s, arrival[i]);
        sane &= is_sane(given[i], i ? given[i - 1] : -1, arrival[i]);
    }
    return sane;
}

static double square_of_deviation(const int64_t *us, int from)
{
    double sum = 0, squares = 0, n = frames - from - 1;
    for (int i = from + 1; i < frames; i++) {
        double interval = (double)(us[i] - us[i - 1]);
        sum += interval;
        squares += interval * interval;
    }
    return squares / n - sum / n * (sum / n);
}

/* The intervals' standard deviation is so many times less than the arrivals'. */
static int is_smoother(int times, int from)
{
    return square_of_deviation(given, from) * times * times < square_of_deviation(arrival, from);
}

static int64_t mean_difference(const int64_t *from_us, int from)
{
    int64_t sum = 0;
    for (int i = from; i < frames; i++)
        sum += given[i] - from_us[i];
    return sum / (frames - from);
}

/* From when it was due, at most. */
static int64_t furthest(int from, int to)
{
    int64_t most = 0;
    for (int i = from; i < to; i++)
        most = llabs(given[i] - due[i]) > most ? llabs(given[i] - due[i]) : most;
    return most;
}

/* All intervals are within `percent` of a period. */
static int is_even(int from, int to, int64_t fps, int percent)
{
    int64_t period = SECOND_US / fps;
    for (int i = from; i < to; i++)
        if (llabs(given[i] - given[i - 1] - period) * 100 > percent * period)
            return 0;
    return 1;
}

static void even_arrivals(void)
{
    static const int64_t periods[] = {10000000, 1000000, 200000, 33367, 4167, 1};
    int kept = 1;
    for (unsigned p = 0; p < sizeof periods / sizeof periods[0]; p++) {
        begin();
        for (int i = 0; i < 1000; i++)
            add(i * periods[p], i * periods[p]);
        kept &= smooth_all() && furthest(0, frames) == 0;
    }
    ok(kept, "what arrives evenly is given out as it is, from the first on");
}

static void uniform_jitter(void)
{
    static const int64_t rates[] = {1, 5, 30, 60, 240};
    for (unsigned r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        int64_t fps = rates[r];
        begin();
        add_steady(3000, fps, 10 * MS);
        ok(smooth_all() && is_smoother(15, 64),
           "%lld a second +-10 ms: 15 times smoother after 64 frames", (long long)fps);
        ok(furthest(64, frames) < 7 * MS && llabs(mean_difference(arrival, 1000)) < 200,
           "and in the middle of the arrivals: %lld us of their mean",
           (long long)mean_difference(arrival, 1000));
    }
}

/* One in a hundred is later by 150 ms on average, exponentially. */
static void late_ones(void)
{
    begin();
    for (int i = 0; i < 3000; i++) {
        int64_t us = SECOND_US + i * SECOND_US / 30, late = random_below(2 * MS);
        if (!random_below(100)) {
            do
                late += 15 * MS;
            while (random_below(10));
        }
        add(us, us + late);
    }
    ok(smooth_all() && is_smoother(15, 64), "1 %% later by 150 ms: 15 times smoother");
    ok(furthest(64, frames) < 20 * MS, "and what came on time is not moved by it: %lld us",
       (long long)furthest(64, frames));
    begin();
    add_steady(300, 2, 2 * MS);
    for (int i = 200; i < 203; i++)
        arrival[i] += 150 * MS;
    ok(smooth_all() && furthest(64, frames) < 20 * MS,
       "three in a row, each late by itself, are no change");
}

/* 30 a second; from the 300th on nothing comes for so long, then all at once. */
static int stall(int64_t us)
{
    begin();
    add_steady(900, 30, 5 * MS);
    int64_t until = due[300] + us;
    int behind = 300;
    for (int i = 300; i < frames; i++) {
        arrival[i] = arrival[i] < until ? until : arrival[i];
        behind += due[i] <= until;
    }
    return behind;
}

static void stalls(void)
{
    int behind = stall(400 * MS);
    ok(smooth_all() && is_even(290, frames, 30, 15) && furthest(290, frames) < 50 * MS,
       "a stall of 0.4 s and the burst behind it are smoothed away: off by %lld us at most",
       (long long)furthest(290, frames));
    behind = stall(2 * SECOND_US);
    ok(smooth_all() && given[300] == arrival[300], "behind one of 2 s the time is that of arrival");
    int64_t lead = 0;
    for (int i = 300; i < behind; i++)
        lead = given[i] - arrival[i] > lead ? given[i] - arrival[i] : lead;
    ok(behind > 350 && lead < SMOOTH_JITTER_US + 60,
       "of the %d that it held up none is more than 50 ms ahead", behind - 300);
    ok(furthest(behind + 60, frames) < 10 * MS && is_even(behind + 30, frames, 30, 15),
       "and 60 frames later all is as before");
}

/* After so many frames without which the camera went on. */
static void lose(int n)
{
    begin();
    add_steady(300, 30, 2 * MS);
    due[299] += n * SECOND_US / 30;
    arrival[299] += n * SECOND_US / 30;
    add_steady(300, 30, 2 * MS);
}

static void lost_ones(void)
{
    lose(1);
    ok(smooth_all() && is_even(200, frames, 30, 15) && furthest(312, frames) < 17 * MS &&
           furthest(330, frames) < 7 * MS,
       "a frame lost: made up for by and by, half of it in 12 frames, all in 30");
    lose(5);
    ok(smooth_all() && furthest(312, frames) < 20 * MS && furthest(400, frames) < 7 * MS &&
           is_even(315, frames, 30, 15),
       "five lost: made up for in 12 frames");
    lose(30);
    ok(smooth_all() && given[299] == arrival[299] && is_even(300, frames, 30, 15) &&
           furthest(299, frames) < 5 * MS,
       "thirty lost: a gap, and the period stays");
}

/* Within two seconds, or six frames where that is longer. */
static void rate_changes(void)
{
    static const int64_t rates[][2] = {{30, 15}, {15, 30}, {30, 29}, {30, 5},   {5, 30},  {30, 1},
                                       {1, 30},  {30, 60}, {60, 30}, {240, 30}, {30, 240}};
    for (unsigned r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        int64_t before = rates[r][0], after = rates[r][1];
        begin();
        add_steady(500, before, 2 * MS);
        add_steady(1000, after, 2 * MS);
        int settled = 500 + (int)(after * 2 < 6 ? 6 : after * 2);
        ok(smooth_all() && furthest(settled, frames) < 16 * MS &&
               is_even(settled, frames, after, 25),
           "from %lld to %lld a second: followed within two seconds", (long long)before,
           (long long)after);
    }
}

static void starts(void)
{
    for (int n = 5; n <= 30; n += 5) {
        begin();
        add_steady(300, 30, 2 * MS);
        for (int i = 0; i < n; i++)
            arrival[i] = due[n];
        int good = smooth_all() && furthest(n + 12, frames) < 60 * MS;
        ok(good && furthest(n + 60, frames) < 16 * MS && is_even(n + 30, frames, 30, 15),
           "%d at once, then 30 a second: followed within a second", n);
    }
    begin();
    add(0, 0);
    add(3600 * SECOND_US, 3600 * SECOND_US);
    add_steady(300, 30, 2 * MS);
    ok(smooth_all() && furthest(20, frames) < 60 * MS && furthest(62, frames) < 16 * MS,
       "an hour after the first frame, then 30 a second: followed within a second");
}

static void gaps(void)
{
    begin();
    add_steady(300, 30, 0);
    due[299] = arrival[299] = due[299] + 3600 * SECOND_US;
    add_steady(300, 30, 0);
    ok(smooth_all() && furthest(0, frames) <= 1, "an hour's gap is kept, and the period behind it");
    struct smooth s = {0};
    unsigned often = tap_often(100000);
    int64_t last = smooth_next(&s, 7);
    int sane = last == 7;
    for (unsigned i = 0; i < often; i++) {
        int64_t us = smooth_next(&s, 7);
        sane &= us == last + 1;
        last = us;
    }
    ok(sane, "%u at the same time: a microsecond each", often);
    ok(smooth_next(&s, last + SECOND_US) == last + SECOND_US, "and then there is a gap");
}

/* A month at one a second, a day at 30, at the end of what a clock may be; its rate is off. */
static void long_runs(void)
{
    static const int64_t rates[] = {1, 30};
    for (unsigned r = 0; r < 2; r++) {
        struct smooth s = {0};
        int64_t n = tap_often((unsigned)(MONTH_US / SECOND_US)), last = -1, sum = 0, us = 0;
        int64_t far = 0, at = 0, early = CENTURY_US - MONTH_US - SECOND_US;
        int sane = 1;
        begin();
        for (int64_t i = 0; i < n; i++) {
            int64_t right = early + i * 999900 / rates[r];
            int64_t now = right + jitter(10 * MS);
            at = now > at ? now : at;
            us = smooth_next(&s, at);
            sane &= is_sane(us, last, at);
            last = us;
            if (i >= 64)
                far = llabs(us - right) > far ? llabs(us - right) : far;
            if (i >= n - 10000)
                sum += us - right;
        }
        ok(sane && far < 8 * MS, "%lld frames at %lld a second, 100 ppm fast: never off by %lld us",
           (long long)n, (long long)rates[r], (long long)far + 1);
        ok(llabs(sum / 10000) < 200, "at the end by %lld us on average", (long long)(sum / 10000));
    }
}

static void wild_arrivals(void)
{
    struct smooth s = {0};
    int64_t at = 0, last = -1;
    int sane = 1;
    unsigned often = tap_often(2000000);
    begin();
    for (unsigned i = 0; i < often; i++) {
        int64_t step = random_below(INT64_C(1) << random_below(30));
        at += random_below(4) ? step : 0;
        int64_t us = smooth_next(&s, at);
        sane &= is_sane(us, last, at);
        last = us;
    }
    ok(sane, "%u arrivals at random: rising, half a second before them at most, 50 ms behind",
       often);
}

int main(void)
{
    even_arrivals();
    uniform_jitter();
    late_ones();
    stalls();
    lost_ones();
    rate_changes();
    starts();
    gaps();
    long_runs();
    wild_arrivals();
    return done();
}
