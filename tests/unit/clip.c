/* Clips: dates as people write them, which fragments are taken, and when they are shown. */
#include "hls/clip.h"
#include "tests/tap.h"

#include <inttypes.h>
#include <string.h>

enum { SCALE = 1000 }; /* ticks a second: a tick is a millisecond */

#define NOON (UINT64_C(1795608000) * SEGMENT_SECOND) /* 2026-11-25T12:00:00Z */

static struct clip clip;

static enum clip_verdict add(uint64_t dts, uint64_t duration, int sync)
{
    struct moof_info m = {.tfdt = dts, .duration_ticks = duration, .sync = (uint8_t)sync};
    return clip_add(&clip, &m);
}

static int at(uint64_t time, uint64_t end)
{
    if (clip.time == time && clip.end == end)
        return 1;
    printf("# %" PRIu64 " to %" PRIu64 "\n", clip.time, clip.end);
    return 0;
}

static void dates(void)
{
    static const char *const bad[] = {
        "",
        "2026-11-25",
        "2026-11-25T12:00:00",
        "2026-11-25T12:00:00.5Z",
        "2026-11-25 12:00:00Z",
        "2026-11-25T12:00:00z",
        "2026-11-31T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z",
        "2026-11-00T12:00:00Z",
        "2026-11-25T24:00:00Z",
        "2026-11-25T12:60:00Z",
        "2026-11-25T12:00:60Z",
        "2026-11-25T12:00:00.345Z ",
        "2026-11-25T12:00:00,345Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "2026-11-2aT12:00:00Z",
        "2026-11-25T12:00:00.\xff\xff\xffZ",
    };
    uint64_t us = 0;
    ok(clip_date("2026-11-25T12:00:00Z", &us) == 0 && us == NOON, "a date");
    ok(clip_date("2026-11-25T12:00:00.345Z", &us) == 0 && us == NOON + 345000, "to a millisecond");
    ok(clip_date("2028-02-29T23:59:59Z", &us) == 0, "a leap day");
    ok(clip_date("9999-12-31T23:59:59.999Z", &us) == 0 && us < SEGMENT_UTC_END, "the last one");
    us = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(clip_date(bad[i], &us) < 0 && us == 1, "no date: \"%s\"", bad[i]);
}

static void begin(uint64_t from, uint64_t to)
{
    clip_init(&clip, from, to);
    clip.timescale = SCALE;
}

static void going_on(void)
{
    begin(NOON, NOON + 10 * SEGMENT_SECOND);
    clip_segment(&clip, NOON, 0);
    ok(clip_when(&clip, 5000) == NOON && clip_when(&clip, 5040) == NOON + 40000,
       "dates count from the segment's first picture");
    ok(add(5040, 40, 0) == CLIP_LEAVE && clip.sequence == 0, "nothing before a keyframe");
    ok(add(5080, 40, 1) == CLIP_TAKE && clip.sequence == 1 && at(0, 40), "it is at 0");
    ok(add(5120, 40, 0) == CLIP_TAKE && clip.sequence == 2 && at(40, 80), "the next behind it");
    clip_segment(&clip, NOON + SEGMENT_SECOND, 1);
    ok(add(5160, 40, 0) == CLIP_TAKE && at(80, 120), "a segment that goes on");
    ok(add(5600, 40, 0) == CLIP_TAKE && at(520, 560), "a hole as long as it was");
    ok(add(6641, 40, 0) == CLIP_LEAVE, "but not one of more than a second");
    ok(add(6681, 40, 0) == CLIP_LEAVE && add(6721, 40, 1) == CLIP_TAKE && at(560, 600),
       "the next keyframe follows at once");
    ok(add(6700, 40, 0) == CLIP_LEAVE && add(6000, 40, 1) == CLIP_TAKE && at(600, 640),
       "so it is where times go back");
}

static void breaks(void)
{
    begin(NOON, NOON + 10 * SEGMENT_SECOND);
    clip_segment(&clip, NOON, 0);
    add(0, 1000, 1);
    clip_segment(&clip, NOON + 5 * SEGMENT_SECOND, 0);
    ok(add(1000, 40, 0) == CLIP_LEAVE, "behind a discontinuity nothing goes on, whatever its time");
    ok(add(1040, 40, 1) == CLIP_TAKE && at(1000, 1040), "but closes up");
    clip_break(&clip);
    ok(add(1080, 40, 0) == CLIP_LEAVE && add(1120, 40, 1) == CLIP_TAKE && at(1040, 1080),
       "likewise behind what is missing");
    clip_segment(&clip, NOON + 9 * SEGMENT_SECOND, 1);
    ok(add(1160, 40, 0) == CLIP_TAKE && add(2159, 40, 0) == CLIP_TAKE, "the last one before TO");
    ok(add(2160, 40, 1) == CLIP_END && clip.sequence == 5 && at(2079, 2119), "TO is not taken");
}

static void large(void)
{
    begin(NOON, NOON + 10 * SEGMENT_SECOND);
    clip.timescale = UINT32_MAX;
    clip_segment(&clip, NOON, 0);
    ok(add(UINT64_MAX - UINT32_MAX, 10, 1) == CLIP_TAKE && at(0, 10), "a time near the end");
    ok(add(UINT64_MAX - 1, 1, 1) == CLIP_TAKE, "and nearer");
    clip_segment(&clip, NOON, 1);
    ok(add(0, 1, 1) == CLIP_TAKE && clip_when(&clip, UINT64_MAX) > NOON, "no overflow");
}

static void dated(void)
{
    struct segment s = {.duration_us = 6000000};
    uint64_t end = 0;
    ok(clip_dated(&s, &end) == 0 && end == 0, "no date, none in front");
    s.utc_us = NOON;
    ok(clip_dated(&s, &end) == NOON && end == NOON + 6000000, "one of its own");
    s.utc_us = 0;
    ok(clip_dated(&s, &end) == NOON + 6000000 && end == NOON + 12000000, "counted on");
}

int main(void)
{
    dates();
    going_on();
    breaks();
    large();
    dated();
    return done();
}
