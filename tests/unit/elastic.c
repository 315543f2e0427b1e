/* The elastic timeline, on a real ring with a clock that is set by hand: joins, leads, stalls,
 * hours. */
#include "serve/elastic.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

enum { SCALE = 90000, DATA = 8 << 20, ENTRIES = 8192, SECOND = 1000000 };

static struct ring ring;
static void *memory;
static struct elastic e;
static uint8_t bytes[1 << 20];
static int64_t now; /* us */
static uint64_t random_state;

/* The camera. */
static uint64_t frames, dts;
static unsigned rate, gop, size;
static int64_t next_frame;

/* What the viewer got since the counters were cleared. */
static struct {
    unsigned sent, pads, zero, backwards, holes, out_of_order, bursts;
    int lost;
    uint64_t end, tfdt_first, last;
    int64_t media;
    int64_t low, high; /* of the lead behind each fragment of LIVE */
    uint32_t sequence;
} got;

static void camera(unsigned fps, unsigned every, unsigned fragment)
{
    size_t all = (ring_bytes(DATA, ENTRIES) + 4095) / 4096 * 4096;
    free(memory);
    memory = aligned_alloc(4096, all);
    memset(memory, 0, all);
    ring_format(&ring, memory, DATA, ENTRIES);
    ring_put_init(&ring, bytes, 100, SCALE);
    rate = fps;
    gop = every;
    size = fragment;
    frames = dts = 0;
    now = next_frame = 5 * (int64_t)SECOND;
    random_state = 88172645463325252;
}

static void frame(void)
{
    struct ring_frag f = {.dts = dts,
                          .duration = SCALE / rate,
                          .samples = 1,
                          .tfdt_at = 8,
                          .duration_at = 16,
                          .duration_n = 1,
                          .payload_at = 32};
    f.flags = frames % gop == 0 ? RING_SYNC : 0;
    ring_put(&ring, &f, bytes, size, 0);
    frames++;
    dts += f.duration;
    next_frame += SECOND / rate;
}

static void clear(void)
{
    uint64_t end = got.end;
    uint32_t sequence = got.sequence;
    memset(&got, 0, sizeof got);
    got.low = INT64_MAX;
    got.high = INT64_MIN;
    got.end = end;
    got.sequence = sequence;
}

static void join(int runs)
{
    memset(&got, 0, sizeof got);
    clear();
    elastic_init(&e, now, runs);
}

/* Everything the viewer may have now. Returns when to ask again. */
static int64_t pump(void)
{
    struct elastic_step step;
    int64_t due;
    for (;;) {
        enum elastic_mode was = e.mode;
        switch (elastic_next(&e, &ring, now, &step, &due)) {
        case ELASTIC_SEND:
            got.tfdt_first = got.sent ? got.tfdt_first : step.tfdt;
            got.backwards += step.tfdt < got.end;
            got.holes += step.tfdt > got.end;
            got.zero += step.duration == 0;
            got.out_of_order += step.sequence != ++got.sequence;
            got.end = step.tfdt + step.duration;
            got.media += (int64_t)step.duration * SECOND / SCALE;
            got.last = step.frag.dts;
            got.sent++;
            got.bursts += e.mode == ELASTIC_BURST && was != ELASTIC_BURST;
            if (was == ELASTIC_LIVE && e.mode == ELASTIC_LIVE) {
                got.low = e.lead < got.low ? e.lead : got.low;
                got.high = e.lead > got.high ? e.lead : got.high;
            }
            break;
        case ELASTIC_PAD:
            got.pads++;
            break;
        case ELASTIC_LOST:
            got.lost = 1;
            return INT64_MAX;
        default:
            return due;
        }
    }
}

/* So many microseconds of camera and viewer; each fragment arrives up to `jitter` us late. */
static void live(int64_t us, int64_t jitter)
{
    int64_t end = now + us;
    while (now < end) {
        int64_t due = got.lost ? INT64_MAX : pump(), late = 0;
        if (jitter) {
            random_state ^= random_state << 13;
            random_state ^= random_state >> 7;
            random_state ^= random_state << 17;
            late = (int64_t)(random_state % (uint64_t)jitter);
        }
        if (due < next_frame) {
            now = due > now ? due : now + 1;
            continue;
        }
        int64_t at = next_frame + late;
        frame();
        now = at > now ? at : now;
        while (next_frame <= now)
            frame();
    }
    pump();
}

/* The camera goes on and nothing is sent. */
static void stall(int64_t us)
{
    for (int64_t end = now + us; next_frame <= end;) {
        now = next_frame;
        frame();
    }
}

static int sound(void)
{
    return !got.zero && !got.backwards && !got.out_of_order && !got.lost;
}

static int on_target(void)
{
    return e.mode == ELASTIC_LIVE && e.most >= ELASTIC_TARGET - ELASTIC_SLACK - SECOND / rate &&
           e.most <= ELASTIC_TARGET + ELASTIC_SLACK + SECOND / rate && e.lead >= 0 &&
           e.lead <= e.most;
}

static void joins(unsigned fps, unsigned every, int history)
{
    for (int runs = 0; runs < 2; runs++) {
        camera(fps, every, 500);
        stall(10 * SECOND);
        join(runs);
        int64_t began = now;
        pump();
        ok(sound() && got.tfdt_first == 0 && got.media >= ELASTIC_START && got.pads == 1 &&
               got.media < ELASTIC_START + SECOND / fps + every * ELASTIC_SQUEEZED,
           "%u fps, GOP %u%s: %d ms of media at once, padded", fps, every,
           runs ? ", a clock that runs" : "", (int)(got.media / 1000));
        ok((e.mode == ELASTIC_HOLD) && (history ? got.sent >= 3 * fps : got.sent == ELASTIC_STILLS),
           "%s, then silence", history ? "as history" : "as stills");
        while (e.mode == ELASTIC_HOLD && now < began + 20 * (int64_t)SECOND)
            live(20000, 0);
        int64_t until = began + got.media - ELASTIC_TARGET;
        ok(llabs(now - until) < 2 * SECOND / 5 && e.mode == ELASTIC_LIVE && got.pads >= 2,
           "live after %d ms", (int)((now - began) / 1000));
        ok(dts - got.last <= 2 * SCALE / fps, "with the newest picture");
        live(5 * SECOND, 0);
        ok(sound() && on_target() && (runs || !got.holes), "lead %d ms", (int)(e.lead / 1000));
    }
}

static void first_keyframe(void)
{
    camera(30, 30, 500);
    join(0);
    ok(pump() == INT64_MAX && !got.sent, "before the first frame: waits");
    frames = 7;
    for (int i = 0; i < 20; i++) {
        now = next_frame;
        frame();
    }
    now += 60 * (int64_t)SECOND;
    next_frame = now;
    pump();
    ok(!got.sent && e.mode == ELASTIC_EMPTY, "20 frames and no keyframe: waits");
    live(10 * SECOND, 0);
    ok(sound() && got.sent > 100 && on_target(), "then joins with it; lead %d ms",
       (int)(e.lead / 1000));
}

/* The lead comes to the target from both sides, and stays there. */
static void settles(unsigned fps, int64_t jitter, int64_t hours)
{
    for (int runs = 0; runs < 2; runs++) {
        camera(fps, fps, 500);
        stall(6 * SECOND);
        join(runs);
        live(10 * SECOND, 0);
        e.lead = e.most = 2 * SECOND;
        live(15 * SECOND, 0);
        ok(sound() && on_target(), "%u fps: from 2 s to %d ms", fps, (int)(e.lead / 1000));
        e.lead = e.most = 0;
        live(15 * SECOND, 0);
        ok(sound() && on_target(), "from 0 to %d ms", (int)(e.lead / 1000));
        clear();
        live(hours * 3600 * SECOND, jitter);
        ok(sound() && got.low >= 0 &&
               got.high <= ELASTIC_TARGET + ELASTIC_SLACK + SECOND / fps + jitter && e.jumps == 0 &&
               !got.holes && got.sent >= hours * 3600 * fps - 2,
           "an hour: every frame, lead %d to %d ms", (int)(got.low / 1000), (int)(got.high / 1000));
        int64_t drift = got.media - hours * 3600 * SECOND;
        ok(llabs(drift) < SECOND, "media and clock part by %d ms", (int)(drift / 1000));
    }
}

static void stalls(unsigned fps, unsigned every)
{
    static const int64_t tenths[] = {3, 10, 30, 100};
    for (int runs = 0; runs < 2; runs++) {
        camera(fps, every, 500);
        stall(6 * SECOND);
        join(runs);
        live(12 * SECOND, 0);
        for (size_t i = 0; i < sizeof tenths / sizeof *tenths; i++) {
            clear();
            stall(tenths[i] * SECOND / 10);
            pump();
            int64_t slack = got.sent * (int64_t)ELASTIC_SQUEEZED + SECOND / fps;
            ok(sound() && e.mode == ELASTIC_LIVE && e.lead >= 0 &&
                   e.lead <= ELASTIC_TARGET + ELASTIC_SLACK + slack && got.bursts <= 1,
               "%u fps, GOP %u, stall of %d00 ms%s: lead %d ms at once", fps, every, (int)tenths[i],
               runs ? ", clock runs" : "", (int)(e.lead / 1000));
            ok(got.last + SCALE / fps == dts && got.holes <= (unsigned)runs,
               "up to the newest picture, %u sent, %u holes", got.sent, got.holes);
            live(8 * SECOND, 0);
            ok(sound() && on_target(), "and settled: %d ms", (int)(e.lead / 1000));
        }
    }
}

/* A player whose clock stops when its media is used up, and goes on only when some frames have
 * come, as Chromium's does. */
static struct {
    int64_t at;      /* media time shown, us */
    unsigned resume; /* got.sent when it goes on */
    int stopped;
} player;

static int64_t buffered(void)
{
    return (int64_t)(got.end * SECOND / SCALE) - player.at;
}

/* live() goes on to the next fragment; until that comes there is only what was there before. */
static void play(int64_t us, unsigned resume)
{
    for (int64_t end = now + us; now < end;) {
        int64_t before = now, left = buffered();
        unsigned had = got.sent;
        live(1, 0);
        if (player.stopped) {
            player.stopped = got.sent < player.resume;
        } else if (left < now - before) {
            player.at += left;
            player.stopped = 1;
            player.resume = had + resume;
        } else {
            player.at += now - before;
        }
    }
}

/* However often the camera pauses, a viewer is no later afterwards than after the first time. */
static void pauses(unsigned fps, unsigned resume)
{
    int64_t worst = 0;
    camera(fps, fps / 2, 500);
    stall(6 * SECOND);
    join(0);
    memset(&player, 0, sizeof player);
    play(12 * SECOND, resume);
    for (int i = 0; i < 60; i++) {
        int64_t pause = (250 + 37 * i % 900) * 1000;
        next_frame += pause;
        dts += (uint64_t)(pause * SCALE / SECOND);
        play(pause + 6 * SECOND, resume);
        worst = buffered() > worst ? buffered() : worst;
    }
    ok(sound() && worst <= ELASTIC_TARGET + ELASTIC_SLACK + 3 * SECOND / fps,
       "%u fps, a player that waits for %u frames: after 60 pauses at most %d ms late", fps, resume,
       (int)(worst / 1000));
}

/* The writer goes round the ring while a viewer is stuck. */
static void lapped(void)
{
    camera(30, 30, 30000);
    stall(6 * SECOND);
    join(0);
    live(12 * SECOND, 0);
    clear();
    stall(30 * SECOND);
    struct ring_frag f;
    ok(ring_get(&ring, e.next, &f) < 0, "lapped");
    uint32_t jumps = e.jumps;
    pump();
    ok(sound() && e.jumps > jumps && got.sent <= 30 && got.last + SCALE / 30 == dts,
       "goes on at the newest keyframe: %u fragments", got.sent);
    live(5 * SECOND, 0);
    ok(sound() && on_target() && !got.holes, "and settles");
    camera(30, 100000, 30000);
    stall(SECOND);
    join(0);
    live(8 * SECOND, 0);
    clear();
    stall(30 * SECOND);
    pump();
    ok(got.lost, "a keyframe that is gone, and no newer one: the end");
    join(0);
    pump();
    ok(!got.lost && !got.sent, "who joins now waits for one");
}

/* A link that takes one fragment now and then. */
static void slow_link(int history)
{
    int64_t worst = 0;
    camera(30, 30, 10000);
    stall(history ? 6 * SECOND : SECOND / 2);
    join(0);
    struct elastic_step step;
    int64_t due;
    for (int i = 0; i < 300; i++) {
        stall(SECOND / 3); /* one in ten gets through */
        if (elastic_next(&e, &ring, now, &step, &due) == ELASTIC_SEND && i > 30)
            worst = (int64_t)(dts - step.frag.dts) > worst ? (int64_t)(dts - step.frag.dts) : worst;
    }
    ok(worst < 3 * SCALE, "a tenth of the rate, %s: never more than %d ms behind",
       history ? "history" : "stills", (int)(worst / 90));
}

/* A history of more bytes than its limit is none, nor is one with a gap in it. */
static void too_much(void)
{
    camera(30, 30, 45000);
    stall(6 * SECOND);
    join(0);
    pump();
    ok(got.sent == ELASTIC_STILLS && !got.lost, "too large a history: stills");
    camera(30, 30, 500);
    stall(2 * SECOND);
    dts += SCALE;
    stall(2 * SECOND);
    join(0);
    pump();
    ok(got.sent == ELASTIC_STILLS, "with a gap in it: stills");
}

static void far_away(void)
{
    camera(30, 30, 500);
    dts = (UINT64_C(1) << 33) - 3 * 3000;
    stall(6 * SECOND);
    join(1);
    live(6 * SECOND, 0);
    e.tfdt = got.end = (UINT64_C(1) << 32) - 5000;
    live(20 * SECOND, 0);
    ok(sound() && on_target() && got.end > UINT64_C(1) << 32 && !got.holes, "times beyond 32 bits");
}

/* A fragment of several samples that all have one duration: the total is a multiple. */
static void shared_duration(void)
{
    struct elastic_step step;
    int64_t due;
    int good = 1;
    camera(30, 1, 500);
    for (unsigned i = 0; i < 20; i++) {
        struct ring_frag f = {.dts = dts,
                              .duration = 7 * 3003,
                              .samples = 7,
                              .flags = 1,
                              .tfdt_at = 8,
                              .duration_at = 16,
                              .duration_n = 1,
                              .payload_at = 32};
        ring_put(&ring, &f, bytes, 500, 0);
        dts += f.duration;
    }
    join(0);
    unsigned sent = 0;
    for (; elastic_next(&e, &ring, now, &step, &due) == ELASTIC_SEND; sent++)
        good &= step.duration % 7 == 0 && step.duration > 0;
    ok(good && sent > 5, "seven samples share a duration without a rest, %u fragments", sent);
}

int main(void)
{
    joins(30, 30, 1);
    joins(30, 1, 1);
    joins(5, 5, 1);
    joins(120, 120, 1);
    joins(30, 300, 1);
    joins(120, 1200, 0);
    first_keyframe();
    settles(30, 0, 1);
    settles(30, 40000, 1);
    settles(5, 0, 1);
    settles(120, 8000, 1);
    stalls(30, 30);
    stalls(30, 1);
    stalls(30, 300);
    stalls(5, 50);
    stalls(5, 5);
    stalls(120, 120);
    pauses(30, 0);
    pauses(30, 4);
    pauses(30, ELASTIC_RESUME);
    pauses(10, 2);
    pauses(60, ELASTIC_RESUME);
    lapped();
    slow_link(1);
    too_much();
    slow_link(0);
    far_away();
    shared_duration();
    return done();
}
