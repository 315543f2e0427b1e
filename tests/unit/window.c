/* What a live playlist lists, when it changes, how long segments stay, and what memory that takes.
 */
#include "hls/window.h"
#include "tests/tap.h"

#include <string.h>

enum { CAP = 64, SECOND = 1000000, TARGET = 3 };

static struct window w;
static struct segment room[CAP], gone;
static uint64_t next;
static int64_t now;

static void begin(uint64_t keep_us)
{
    window_init(&w, room, CAP, TARGET, keep_us);
    next = 10;
    now = -5 * (int64_t)SECOND;
}

static int add(uint64_t ms)
{
    struct segment s = {.sequence = next, .duration_us = ms * 1000, .bytes = 500};
    int r = window_add(&w, &s);
    next += r == 0;
    return r;
}

static uint64_t first(void)
{
    return w.seg[w.first].sequence;
}

static void listing(void)
{
    begin(0);
    ok(window_due(&w) == INT64_MAX && !window_publish(&w, now), "nothing to list, nothing due");
    add(2000);
    ok(window_due(&w) <= now && window_publish(&w, now) && w.end - w.first == 1,
       "the first segment at once");
    ok(window_due(&w) == INT64_MAX && !window_publish(&w, now + 100 * SECOND),
       "no new version without a new segment");
    add(2000);
    int64_t due = window_due(&w);
    ok(due == now + TARGET * SECOND / 2, "the next half a target duration later");
    ok(!window_publish(&w, due - 1) && w.end == 1, "not sooner");
    add(2000);
    ok(window_publish(&w, due) && w.end == 3 && window_due(&w) == INT64_MAX,
       "with all that waited");
    for (int i = 0; i < 2; i++) {
        add(2000);
        window_publish(&w, now += 2 * SECOND);
    }
    ok(w.listed_us == 10 * SECOND && first() == 10, "10 s: without the first it would be 8");
    add(1000);
    window_publish(&w, now += 2 * SECOND);
    ok(w.listed_us == 9 * SECOND && first() == 11, "11 s: three target durations stay");
    begin(12 * SECOND);
    for (int i = 0; i < 30; i++) {
        add(2000);
        window_publish(&w, now += 2 * SECOND);
    }
    ok(w.listed_us == 12 * SECOND, "more where more is wanted");
    begin(SEGMENT_ALWAYS);
    for (int i = 0; i < CAP; i++) {
        add(2000);
        window_publish(&w, now += 2 * SECOND);
    }
    ok(w.end - w.first == CAP, "all, where all is");
    ok(add(2000) == -1 && w.count == CAP, "until there is no room");
}

static void leaving(void)
{
    begin(0);
    for (int i = 0; i < 6; i++) {
        add(2000);
        window_publish(&w, now += 2 * SECOND);
    }
    int64_t removed = now, grace = 2 * SECOND + (int64_t)window_longest(TARGET, 0);
    ok(first() == 11 && window_find(&w, 10) == &room[0], "retired, it can be fetched");
    ok(!window_find(&w, 9) && !window_find(&w, 16) && window_find(&w, 15), "others cannot");
    ok(!window_drop(&w, removed + grace, &gone), "for its duration and the longest playlist's");
    ok(window_drop(&w, removed + grace + 1, &gone) && gone.sequence == 10, "and no longer");
    ok(!window_find(&w, 10) && window_find(&w, 11) && w.listed_us == 10 * SECOND && first() == 11,
       "the list is as it was");
    ok(!window_drop(&w, INT64_MAX, &gone), "what is listed stays");
    add(2000);
    ok(window_find(&w, 16) && w.count == 6 && w.end == 5, "what waits is kept as well");
}

static void losing(void)
{
    struct segment s = {.duration_us = 2 * SECOND};
    window_init(&w, room, 8, TARGET, 0);
    window_lose(&w);
    ok(w.count == 0 && w.end == 0, "of nothing, nothing is lost");
    for (s.sequence = 0; s.sequence < 8; s.sequence++)
        window_add(&w, &s);
    window_publish(&w, 0);
    size_t retired = w.first;
    ok(retired == 3 && w.end == 8, "eight of 2 s: five listed");
    window_lose(&w);
    ok(w.first == 2 && w.end == 7 && w.seg[0].sequence == 1 && w.listed_us == 10 * SECOND,
       "a retired one is lost: the listed ones stay");
    window_lose(&w);
    window_lose(&w);
    window_lose(&w);
    ok(w.first == 0 && w.end == 4 && w.seg[0].sequence == 4 && w.listed_us == 8 * SECOND,
       "then a listed one: the next is the first");
    s.sequence = 8;
    window_add(&w, &s);
    while (w.end)
        window_lose(&w);
    ok(w.count == 1 && w.listed_us == 0 && w.seg[0].sequence == 8, "what waits is left");
    window_lose(&w);
    ok(w.count == 0 && w.end == 0 && w.listed_us == 0 && !window_find(&w, 8), "and that, too");
}

static void memory(void)
{
    ok(window_longest(3, 0) == 12 * SECOND + 499999, "the longest playlist: 9 s and a segment");
    ok(window_longest(3, 20 * SECOND) == 23 * SECOND + 499999, "or what is wanted and a segment");
    ok(window_longest(3, SEGMENT_ALWAYS) == SEGMENT_ALWAYS &&
           window_hold(3, SEGMENT_ALWAYS) == SEGMENT_ALWAYS,
       "or for ever");
    ok(window_hold(3, 0) == 2 * 12499999 + 2 * 3499999 + 1500000, "held for 33.5 s");
    ok(window_bytes(33500000, 500000) == 16750000, "16.75 MB at 4 Mbit/s");
    ok(window_bytes(1, 1) == 1 && window_bytes(0, 9) == 0 && window_bytes(9, 0) == 0, "rounded up");
    ok(window_bytes(SEGMENT_ALWAYS - 999999, 1000000) == SEGMENT_ALWAYS - 999999,
       "for ever, at a rate that just fits");
    ok(window_bytes(SEGMENT_ALWAYS, 2000000) == UINT64_MAX &&
           window_bytes(1, UINT64_MAX) == UINT64_MAX,
       "too much is the most there is");
}

static void rates(void)
{
    uint64_t peak, average;
    struct segment s[] = {{.duration_us = 2 * SECOND, .bytes = 1000},
                          {.duration_us = 2 * SECOND, .bytes = 3000},
                          {.duration_us = SECOND, .bytes = 4000},
                          {.duration_us = 5 * SECOND, .bytes = 90000}};
    window_rates(s, 4, TARGET, &peak, &average);
    ok(average == 98000 * 8 / 10, "average: %u", (unsigned)average);
    ok(peak == (7000 * 8 + 2) / 3, "peak: of runs of 1.5 to 4.5 s: %u", (unsigned)peak);
    s[1].bytes = 9000;
    window_rates(s, 3, TARGET, &peak, &average);
    ok(peak == 9000 * 8 / 2, "of one segment of 2 s, but none of 1 s");
    window_rates(s + 3, 1, TARGET, &peak, &average);
    ok(peak == 90000 * 8 / 5, "of all, where there is no such run");
    window_rates(s, 0, TARGET, &peak, &average);
    ok(peak == 0 && average == 0, "of nothing, none");
    s[0].duration_us = 3 * SECOND;
    s[0].bytes = 1;
    window_rates(s, 1, TARGET, &peak, &average);
    ok(peak == 3 && average == 3, "rounded up: 8 bits in 3 s");
}

int main(void)
{
    listing();
    leaving();
    losing();
    memory();
    rates();
    return done();
}
