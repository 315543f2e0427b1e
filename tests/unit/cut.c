/* Segments in a ring: cut where it is written, found by whoever reads it, numbered for good; and
 * the playlists a server makes of them. */
#include "serve/cut.h"
#include "serve/hls.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCALE = 90000,
    FRAME = 3000,
    FPS = 30,
    BYTES = 1000,
    DATA = 1 << 20,
    ENTRIES = 4096,
    SECOND = 1000000,
    CLOCK = 1800000000, /* 2027 */
    INIT = 100,
};
#define FIRST (UINT64_C(1800000000) << 21)

static struct camera camera;
static struct ring *const ring = &camera.ring;
static struct cut cut;
static struct hls hls;
static uint8_t bytes[DATA / 4];
static uint64_t dts;
static int64_t now = 1000 * (int64_t)SECOND;
static void *memory;

static void format(uint64_t data)
{
    free(memory);
    memory = aligned_alloc(4096, (ring_bytes(data, ENTRIES) + 4095) / 4096 * 4096);
    memset(memory, 0, ring_bytes(data, ENTRIES));
    ring_format(ring, memory, data, ENTRIES);
    dts = 500;
}

static void fresh(uint64_t data)
{
    format(data);
    cut_number(ring, NULL, CLOCK, 0);
    ring_put_init(ring, bytes, INIT, SCALE);
    cut_init(&cut, ring, 2000);
    hls_reset(&hls);
}

/* As feed.c does it. */
static void put(int sync)
{
    struct ring_frag f = {.dts = dts,
                          .utc_us = sync ? (uint64_t)CLOCK * SECOND + dts * 100 / 9 : 0,
                          .size = BYTES,
                          .duration = FRAME,
                          .flags = sync ? RING_SYNC : 0,
                          .samples = 1,
                          .sequence_at = 8,
                          .tfdt_at = 16,
                          .payload_at = 64,
                          .duration_at = 32,
                          .duration_n = 1};
    now += SECOND / FPS;
    cut_add(&cut, ring_head(ring), &f, atomic_load(&ring->header->epoch), SCALE);
    ring_put(ring, &f, bytes, BYTES, now);
    dts += FRAME;
}

static void run(unsigned frames, unsigned gop)
{
    for (unsigned i = 0; i < frames; i++)
        put(i % gop == 0);
}

static void numbers(void)
{
    struct ring old = *ring, next;
    fresh(DATA);
    ok(cut_next(ring) == FIRST && cut_oldest(ring) == FIRST,
       "a new ring's numbers begin with the time of day");
    run(200, 30);
    ok(cut_next(ring) == FIRST + 3,
       "200 frames, keyframes every second: three segments have ended");
    old = *ring;
    void *kept = memory;
    memory = NULL;
    format(DATA);
    cut_number(ring, &old, CLOCK, 0);
    ring_put_init(ring, bytes, INIT, SCALE);
    cut_init(&cut, ring, 2000);
    run(100, 30);
    struct segment s;
    ok(cut_get(ring, FIRST + 3, &s) == 0 && s.discontinuity && s.discontinuities == 1 &&
           s.epoch == 2,
       "another ring in its place goes on, behind a discontinuity");
    ok(cut_get(ring, FIRST + 2, &s) < 0, "and has none of the old segments");
    next = *ring;
    void *second = memory;
    memory = NULL;
    format(DATA);
    cut_number(ring, &next, CLOCK + 100, 0);
    ok(cut_next(ring) == (UINT64_C(1800000100) << 21), "later, the time of day is ahead again");
    free(kept);
    free(second);
    format(DATA);
    cut_number(ring, NULL, 1234, 0xf0000005);
    ok(cut_next(ring) == 0xf0000005 && ring->header->first_epoch == 0x78000003,
       "a clock that was never set: any number, below all that a clock gives");
    format(DATA);
    cut_number(ring, NULL, CLOCK, 0xf0000005);
    ok(cut_next(ring) == FIRST + 5 && ring->header->first_epoch == 0x78000003,
       "a clock that tells the same at every start: chance makes the difference");
    memset(ring->header, 0, sizeof *ring->header);
    ring_format(ring, memory, DATA, ENTRIES);
    ring_put_init(ring, bytes, INIT, SCALE);
    ok(atomic_load(&ring->header->epoch) == 1, "without any numbers the first epoch is 1");
}

static void table(void)
{
    struct segment s, before = {0};
    int right = 1;
    fresh(64 << 20);
    ok(cut_get(ring, FIRST, &s) < 0 && !atomic_load(&ring->header->target_duration),
       "nothing is there before a segment has ended");
    ok(cut_mib_wanted(&cut) == 0, "nor is anything known of what they take");
    run(61 * 200, 60);
    ok(atomic_load(&ring->header->target_duration) == 4, "GOPs of 2 s: promised are 4");
    for (uint64_t i = cut_oldest(ring); i < cut_next(ring); i++) {
        right &= cut_get(ring, i, &s) == 0 && s.sequence == i && s.duration_us == 2 * SECOND &&
                 s.bytes == 60 * BYTES && s.end - s.first == 60 && s.independent &&
                 (!before.end || before.end == s.first);
        before = s;
    }
    ok(right && cut_next(ring) - cut_oldest(ring) == RING_CUTS - 1,
       "the newest 127 are found, one behind the other");
    ok(cut_get(ring, cut_oldest(ring) - 1, &s) < 0 && cut_get(ring, cut_next(ring), &s) < 0 &&
           cut_get(ring, UINT64_MAX, &s) < 0 && cut_get(ring, 0, &s) < 0,
       "and no others");
    ok(cut_mib_wanted(&cut) == 0, "which fit");
    uint64_t held = window_bytes(window_hold(4, 0), 4000000);
    cut.most_bytes = 4000000;
    ok(cut_mib_wanted(&cut) == ((held + held / 7 + 1) >> 20) + 1,
       "32 Mbit/s do not, with the guard's eighth: %u MiB would do",
       (unsigned)cut_mib_wanted(&cut));
    cut.most_bytes = 1;
    cut.most_frags = 240000;
    ok(cut_mib_wanted(&cut) == (window_bytes(window_hold(4, 0), 240000) / 1000 + 1) / 256 + 1,
       "nor do 240 fragments a second: %u MiB", (unsigned)cut_mib_wanted(&cut));
    atomic_store(&ring->cut[cut_oldest(ring) % RING_CUTS].word[3], ring_head(ring) + 1);
    ok(cut_get(ring, cut_oldest(ring), &s) < 0, "one that would end in the future is none");
    atomic_store(&ring->cut[(cut_oldest(ring) + 1) % RING_CUTS].word[0], 7);
    ok(cut_get(ring, cut_oldest(ring) + 1, &s) < 0, "nor is another one in its place");
}

static void restarts(void)
{
    struct segment s;
    fresh(16 << 20);
    run(130, 30);
    uint64_t next = cut_next(ring);
    cut_init(&cut, ring, 2000);
    ok(cut_next(ring) == next && cut.segmenter.target_duration == 3,
       "a new writer: nothing new yet");
    run(90, 30);
    ok(cut_get(ring, next, &s) == 0 && s.first == 120 && s.discontinuity,
       "what the one before had begun is in the next segment, behind a discontinuity");
    cut_init(&cut, ring, 2000);
    ok(cut.segmenter.target_duration == 3, "a promise stays");
    run(60, 30);
    ok(cut_next(ring) == FIRST + 4, "four so far");
    ok(cut_is_open(&cut) && cut_end(&cut) && !cut_is_open(&cut) && !cut_end(&cut),
       "silence ends a segment, once");
    ok(cut_get(ring, cut_next(ring) - 1, &s) == 0 && s.end == ring_head(ring),
       "up to the newest fragment");
    atomic_store(&ring->header->dependent, 1);
    cut_init(&cut, ring, 2000);
    ok(cut.segmenter.dependent, "what was not independent is not forgotten");
    next = cut_next(ring);
    cut_init(&cut, ring, 6000);
    ok(!cut.segmenter.target_duration && cut_oldest(ring) == next &&
           cut_get(ring, next - 1, &s) < 0,
       "a writer that wants them longer: what was before is forgotten");
    run(260, 30);
    ok(cut_get(ring, next, &s) == 0 && s.duration_us == 6 * SECOND && s.discontinuity &&
           atomic_load(&ring->header->target_duration) == 7,
       "and another promise is made");
}

static void wishes(void)
{
    fresh(DATA);
    put(1);
    ok(!cut_asks(&cut, now), "no keyframe is asked for just after one");
    for (int i = 0; i < 40; i++)
        put(0);
    ok(cut_asks(&cut, now) && !cut_asks(&cut, now + SECOND / 2), "a second later one is, once");
    ok(cut_asks(&cut, now + SECOND + 1), "and again a second later");
    put(1);
    ok(!cut_asks(&cut, now + 3 * SECOND), "until it comes");
}

static int lists(uint64_t sequence)
{
    char name[40];
    snprintf(name, sizeof name, "\nseg-%llu.m4s\n", (unsigned long long)sequence);
    hls.text[hls.length] = 0;
    return strstr(hls.text, name) != NULL;
}

static void playlists(void)
{
    camera.there = 1;
    fresh(16 << 20);
    run(10, 30);
    ok(!hls_update(&hls, &camera, now) && !hls.length && hls_due(&hls) == INT64_MAX,
       "no segment, no playlist");
    run(110, 30);
    ok(hls_update(&hls, &camera, now) && lists(FIRST) && !lists(FIRST + 1), "the first one");
    ok(!hls_update(&hls, &camera, now), "nothing new");
    int versions = 0;
    for (int i = 0; i < 600; i++) {
        put(i % 30 == 0);
        versions += hls_update(&hls, &camera, now);
    }
    ok(versions == 10 && lists(FIRST + 10) && !lists(FIRST + 4),
       "20 s: ten versions, ten seconds listed");
    struct hls again;
    memset(&again, 0, sizeof again);
    hls_update(&again, &camera, now);
    ok(again.length == hls.length && memcmp(again.text, hls.text, hls.length) == 0,
       "a server that has only just come lists the same");
    hls_touch(&hls, &camera, now);
    cut_end(&cut);
    now += 10 * SECOND;
    hls_sweep(&hls, &camera, now);
    ok(hls.length > 0, "the source is silent, a client was there 10 s ago: the playlist stays");
    now += 10 * SECOND;
    hls_sweep(&hls, &camera, now);
    ok(!hls.length, "20 s ago: it is withdrawn");
    dts += 900 * SCALE;
    run(61, 30);
    ok(hls_update(&hls, &camera, now) && lists(cut_next(ring) - 1) && !lists(FIRST + 10),
       "when pictures come again, it begins with them");
    ok(strstr(hls.text, "#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-DISCONTINUITY\n") != NULL,
       "behind a discontinuity");
    struct hls other;
    cut_end(&cut);
    dts += SCALE * 13 / 10;
    uint64_t woken = cut_next(ring);
    run(61, 30);
    memset(&other, 0, sizeof other);
    hls_update(&other, &camera, now);
    hls = other;
    ok(other.length && lists(woken) && !lists(woken - 1),
       "even where the times tell of less silence than there was");
}

static void small(void)
{
    camera.there = 1;
    fresh(DATA / 2); /* 17 s */
    for (int i = 0; i < 2000; i++) {
        put(i % 30 == 0);
        hls_update(&hls, &camera, now);
    }
    struct segment s;
    struct ring_frag f;
    uint64_t first = 0;
    int gone = 1;
    for (uint64_t i = cut_oldest(ring); i < cut_next(ring); i++)
        if (lists(i)) {
            first = first ? first : i;
            gone &= cut_get(ring, i, &s) == 0 && ring_get(ring, s.first, &f) == 0;
        }
    ok(first && gone, "in a ring that is too small nothing is listed that is not there");
    ok(cut_mib_wanted(&cut) > 0, "and it is known to be");
}

static void junk(void)
{
    uint64_t random = 88172645463325252;
    int sane = 1;
    camera.there = 1;
    fresh(16 << 20);
    run(900, 30);
    for (int i = 0; i < 3000; i++) {
        uint64_t *word = (uint64_t *)memory + 4096 / 8;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        word[random % (RING_CUTS * RING_CUT_WORDS)] = random >> (random % 60);
        if (random % 5 == 0)
            atomic_store(&ring->header->target_duration, (uint32_t)random);
        if (random % 7 == 0)
            hls_reset(&hls);
        run(2, 30);
        hls_update(&hls, &camera, now);
        sane &= hls.length <= sizeof hls.text;
    }
    ok(sane, "a table full of junk leads nowhere it should not");
}

int main(void)
{
    numbers();
    table();
    restarts();
    wishes();
    playlists();
    small();
    junk();
    free(memory);
    return done();
}
