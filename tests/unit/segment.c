/* Where streams are cut: keyframes, targets, promises that are broken, holes, new timelines,
 * clocks. */
#include "hls/segment.h"
#include "tests/tap.h"

#include <string.h>

enum { SCALE = 90000, FRAME = 3000, FPS = 30, SECOND = 1000000 };

#define DATE UINT64_C(1790000000000000) /* 2026 */

static struct segmenter s;
static struct segment got[64];
static unsigned gots;
static struct segment_frag f;
static uint64_t frames;

static void begin(uint32_t target_ms, uint32_t gop_ms)
{
    segmenter_init(&s, target_ms, segment_target_duration(target_ms, gop_ms), 20 * SECOND, 7);
    f = (struct segment_frag){.number = 100,
                              .dts = 500,
                              .utc_us = DATE,
                              .duration = FRAME,
                              .timescale = SCALE,
                              .epoch = 1,
                              .bytes = 10};
    frames = gots = 0;
}

static void add(int sync)
{
    f.sync = sync;
    gots += (unsigned)segmenter_add(&s, &f, &got[gots]);
    f.number++;
    f.dts += f.duration;
    f.utc_us += f.utc_us ? (uint64_t)f.duration * SECOND / SCALE : 0;
    f.discontinuity = 0;
}

/* So many frames, every nth a keyframe from the first on; 0: none is. */
static void run(unsigned count, unsigned gop)
{
    for (unsigned i = 0; i < count; i++)
        add(gop && i % gop == 0);
}

static void promises(void)
{
    ok(segment_target_duration(2000, 0) == 2 && segment_target_duration(2000, 300) == 2,
       "a promise of 0.3 s costs nothing");
    ok(segment_target_duration(2000, 301) == 3 && segment_target_duration(2000, 1000) == 3 &&
           segment_target_duration(2000, 10000) == 12,
       "a longer one is added and rounded up");
    ok(segment_target_duration(1, 0) == 1 && segment_target_duration(0, 0) == 1,
       "a second at least");
    ok(segment_target_duration(UINT32_MAX, UINT32_MAX) == SEGMENT_TARGET_MAX, "an hour at most");
}

static void regular(void)
{
    begin(2000, 1000);
    run(241, 30);
    ok(gots == 4, "2 s out of GOPs of 1 s: %u segments", gots);
    ok(got[0].sequence == 7 && got[3].sequence == 10, "numbered from where it was told");
    ok(got[0].first == 100 && got[0].end == 160 && got[1].first == 160, "60 fragments each");
    ok(got[0].duration_us == 2 * SECOND && got[3].duration_us == 2 * SECOND, "2 s each");
    ok(got[1].bytes == 600 && got[1].epoch == 1, "bytes and epoch");
    ok(got[0].utc_us == DATE && got[1].utc_us / 1000 == DATE / 1000 + 1999,
       "dated by its first picture");
    ok(got[0].independent && !got[0].discontinuity && got[3].discontinuities == 0,
       "independent, no discontinuity");
    ok(!s.want_key, "no keyframe is wanted");
    ok(segmenter_end(&s, &got[4]) && got[4].duration_us == SECOND / FPS && got[4].end == 341,
       "the end: what there is");
    ok(!segmenter_end(&s, &got[5]), "and nothing behind it");
    begin(2000, 1500);
    run(181, 45);
    ok(gots == 2 && got[0].duration_us == 3 * SECOND, "GOPs of 1.5 s: at the first key after 2 s");
    begin(2000, 1000);
    f.timescale = 7; /* 30 frames a second do not fit this: every tick a frame */
    f.duration = 1;
    run(100, 15);
    uint64_t sum = 0;
    for (unsigned i = 0; i < gots; i++)
        sum += got[i].duration_us;
    ok(gots == 6 && sum == 90 * (uint64_t)SECOND / 7, "durations add up to the timeline's");
}

static void starts(void)
{
    begin(2000, 1000);
    ok(s.want_key, "a keyframe is wanted at first");
    run(10, 0);
    ok(s.want_key && s.left_out == 10, "what comes before it is left out");
    run(61, 30);
    ok(gots == 1 && got[0].first == 110 && !got[0].discontinuity, "the first has no discontinuity");
}

static void promise_broken(void)
{
    begin(2000, 1000);
    add(1);
    run(71, 0);
    ok(s.want_key, "a keyframe is wanted a second before the latest moment: 2.4 s");
    begin(2000, 1000);
    add(1);
    run(70, 0);
    ok(!s.want_key, "not a frame sooner");
    run(20, 0);
    add(1);
    ok(gots == 1 && got[0].duration_us == 91 * (uint64_t)SECOND / 30 && got[0].independent &&
           !s.want_key && !s.dependent,
       "it comes: the cut is there");
    run(102, 0);
    ok(gots == 2 && got[1].duration_us == 102 * (uint64_t)SECOND / 30,
       "it does not: cut at 3.4 s, which rounds down to 3");
    ok(!s.dependent, "what was before is independent");
    run(103, 0);
    ok(gots == 3 && !got[2].independent && !got[2].discontinuity && s.dependent,
       "what begins there is not");
    add(1);
    run(120, 30);
    ok(s.dependent, "and that stays said");
    begin(2000, 0);
    add(1);
    run(58, 0);
    ok(!s.want_key, "never before the target");
    add(0);
    add(0);
    ok(s.want_key, "but from there on");
    begin(30000, 0);
    segmenter_init(&s, 30000, 5, 0, 0);
    run(400, 30);
    ok(gots == 2 && got[1].duration_us == 5 * SECOND,
       "a target beyond the promise is cut down to it");
}

/* A promise made of what the source does until the first segment ends. */
static void measured(void)
{
    begin(2000, 0);
    segmenter_init(&s, 2000, 0, 0, 0);
    run(15, 15);
    ok(s.target_duration == 0 && !s.want_key, "nothing is promised before there is a segment");
    run(61, 15);
    ok(gots == 1 && s.target_duration == 3, "keyframes twice a second: promised is one");
    begin(2000, 0);
    segmenter_init(&s, 2000, 0, 0, 0);
    run(29, 0);
    ok(s.left_out == 29 && !gots && s.want_key, "no keyframe yet");
    run(301, 300);
    ok(gots == 1 && s.target_duration == 12 && got[0].duration_us == 10 * SECOND,
       "a GOP of 10 s is measured: 12");
    run(600, 300);
    ok(gots == 2 && !s.dependent, "and kept");
    begin(2000, 0);
    segmenter_init(&s, 2000, 0, 0, 0);
    add(1);
    for (int i = 0; i < 70; i++)
        add(s.want_key);
    ok(gots == 1 && s.target_duration == 3 && got[0].duration_us < 22 * SECOND / 10,
       "one that answers when it is asked, after a second, need not promise its GOP");
    begin(2000, 0);
    segmenter_init(&s, 2000, 0, 0, 0);
    add(1);
    run(400, 0);
    ok(gots == 1 && s.target_duration == 14 && got[0].duration_us <= 12 * SECOND + SECOND / 2,
       "none for 12 s: cut, and promised is what that was");
    begin(500, 0);
    segmenter_init(&s, 500, 0, 0, 0);
    add(1);
    run(5, 0);
    s.patient = 1;
    ok(!segmenter_end(&s, &got[gots]) && !s.target_duration && s.left_out == 6,
       "one that breaks off before the target is left out: it tells too little");
    f.dts += 100 * FRAME;
    run(6, 6);
    s.patient = 0;
    ok(segmenter_end(&s, &got[gots]) && s.target_duration == 11 && got[gots].sequence == 0,
       "or the longest GOP is promised");
}

static void holes(void)
{
    begin(2000, 1000);
    run(10, 30);
    f.dts += SCALE / 2;
    run(50, 0);
    add(1);
    ok(gots == 1 && got[0].duration_us == 60 * (uint64_t)SECOND / 30 + SECOND / 2,
       "half a second's hole is part of the segment");
    run(65, 0);
    f.dts += SCALE / 2;
    add(1);
    ok(gots == 2 && got[1].duration_us == 66 * (uint64_t)SECOND / 30 + SECOND / 2 && !s.dependent,
       "and so it is at its end");
    f.dts += SCALE + 1;
    add(0);
    ok(gots == 3 && got[2].duration_us == SECOND / 30 && s.want_key,
       "more than a second ends it where its pictures end");
    run(5, 0);
    ok(s.left_out == 6, "no picture without a keyframe behind it");
    run(61, 60);
    ok(gots == 4 && got[3].discontinuity && got[3].discontinuities == 1 && got[3].independent &&
           !s.dependent,
       "then a discontinuity");
    run(95, 0);
    f.dts += SCALE / 2;
    add(1);
    ok(gots == 5 && got[4].duration_us == 96 * (uint64_t)SECOND / 30 && !got[4].discontinuity,
       "a hole that would break the promise is not counted");
    run(61, 60);
    ok(got[5].discontinuity && got[5].discontinuities == 2, "but a discontinuity");
    add(1);
    f.dts += SCALE / 2 - 100;
    f.duration = SCALE * 4;
    add(1);
    ok(s.left_out == 7 && s.want_key, "a fragment longer than any segment is left out");
}

static void timelines(void)
{
    begin(2000, 1000);
    run(10, 30);
    f.epoch = 2;
    run(10, 30);
    ok(gots == 1 && got[0].epoch == 1 && got[0].duration_us == 10 * (uint64_t)SECOND / 30,
       "a new epoch ends the segment");
    f.dts = 0;
    run(10, 30);
    ok(gots == 2 && got[1].epoch == 2 && got[1].discontinuity, "so do times that go back");
    f.number += 3;
    run(10, 30);
    ok(gots == 3 && got[2].discontinuities == 2, "and lost fragments");
    f.discontinuity = 1;
    run(10, 30);
    f.timescale = 1000;
    f.duration = 33;
    run(10, 30);
    ok(gots == 5 && got[4].duration_us == 10 * (uint64_t)SECOND / 30, "a break that was told of");
    segmenter_end(&s, &got[gots++]);
    ok(got[5].duration_us == 330000 && got[5].discontinuities == 5, "another timescale");
    f.duration = 0;
    add(1);
    ok(!segmenter_end(&s, &got[6]), "what lasts no time is no segment");
    f.duration = 33;
    run(10, 30);
    ok(segmenter_end(&s, &got[6]) && got[6].sequence == got[5].sequence + 1 && got[6].discontinuity,
       "and has no number");
    f.dts = UINT64_C(1) << 63;
    add(1);
    f.dts = 5;
    f.timescale = 0;
    add(1);
    ok(s.left_out == 2, "times beyond all measure are left out");
    begin(2000, 1000);
    run(30, 30);
    f.dts -= FRAME / 2;
    run(31, 0);
    add(1);
    ok(gots == 1 && got[0].duration_us == 605 * (uint64_t)SECOND / 300,
       "a duration that said too much is put right by the next picture");
}

/* So many segments of 2 s; each is there when the next begins. */
static void segments(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        run(60, 60);
}

static void clocks(void)
{
    begin(2000, 1000);
    f.utc_us = 60 * SECOND;
    segments(2);
    f.utc_us = DATE;
    segments(2);
    ok(gots == 3 && !got[0].utc_us && !got[1].utc_us, "1970 is no date");
    ok(got[2].utc_us == DATE && !got[2].discontinuity, "set: a date, no discontinuity");
    f.utc_us += 3600 * (uint64_t)SECOND;
    segments(2);
    ok(got[4].utc_us > DATE + 3600 * (uint64_t)SECOND && !got[4].discontinuity,
       "set ahead: the same");
    f.utc_us -= 800000;
    segments(2);
    ok(got[6].utc_us && got[6].utc_us < got[5].utc_us + got[5].duration_us,
       "a little back: drift, and told");
    f.utc_us -= 5 * SECOND;
    segments(2);
    ok(got[7].utc_us && !got[8].utc_us && !got[8].discontinuity,
       "five seconds back: no date that was there before");
    segments(20);
    for (gots = 8; !got[gots].utc_us && gots < 28; gots++)
        ;
    ok(gots == 19, "until the old ones must have left a playlist of 20 s: %u", gots);
}

static void goes_on(void)
{
    struct segment listed = {.sequence = 41, .discontinuities = 3, .duration_us = 2 * SECOND};
    begin(2000, 1000);
    segmenter_continue(&s, &listed);
    listed.sequence++;
    listed.utc_us = DATE + 5 * SECOND;
    segmenter_continue(&s, &listed);
    run(121, 60);
    ok(got[0].sequence == 43 && got[0].discontinuity && got[0].discontinuities == 4,
       "another run: numbered on, behind a discontinuity");
    ok(!got[0].utc_us && !got[1].discontinuity, "no date that was there before");
}

int main(void)
{
    promises();
    regular();
    starts();
    promise_broken();
    measured();
    holes();
    timelines();
    clocks();
    goes_on();
    return done();
}
