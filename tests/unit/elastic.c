/* The elastic timeline: joins, leads, stalls, hours. */
#include "tests/unit/elasticrun.h"

static void joins(unsigned fps, unsigned every, int histories)
{
    for (int runs = 0; runs < 2; runs++) {
        int history = histories && (!runs || every < 300);
        int64_t start = runs ? ELASTIC_START_RUNS : ELASTIC_START;
        unsigned least =
            history ? (unsigned)(start * fps / SECOND) : (unsigned)(start / ELASTIC_STILL);
        if (history && least < ELASTIC_PACKETS)
            least = ELASTIC_PACKETS;
        camera(fps, every, 500);
        stall(10 * SECOND);
        join(runs);
        int64_t began = now, due = pump();
        ok(sound() && got.tfdt_first == 0 && got.media >= start &&
               got.media < start + SECOND / fps + (every + ELASTIC_PACKETS) * ELASTIC_SQUEEZED,
           "%u fps, GOP %u%s: %d ms of media at once", fps, every,
           runs ? ", a clock that runs" : "", (int)(got.media / 1000));
        unsigned more = history && !runs ? ELASTIC_AHEAD : 1;
        ok(e.mode == ELASTIC_HOLD && got.sent >= least && got.sent <= least + every + more,
           "%s: %u fragments", history ? "history" : "stills", got.sent);
        ok(got.pads == 1 && got.blocks == ELASTIC_KNOCK_BLOCKS && due == now + ELASTIC_KNOCK_EVERY,
           "and padding, with more to come");
        int64_t until = began + got.media + (runs ? -target() : ELASTIC_RUN_DRY);
        while (e.mode == ELASTIC_HOLD && now < began + 20 * (int64_t)SECOND)
            live(20000, 0);
        ok(got.blocks ==
               ELASTIC_KNOCK_BLOCKS * (unsigned)(runs ? ELASTIC_KNOCKS_OTHERS : ELASTIC_KNOCKS),
           "%u blocks of it", got.blocks);
        ok(llabs(now - until) <= 2 * SECOND / fps + 40000 && e.mode == ELASTIC_LIVE,
           "live after %d ms", (int)((now - began) / 1000));
        ok(dts - got.last <= 2 * SCALE / fps, "with the newest picture");
        live(5 * SECOND, 0);
        ok(sound() && on_target() && (runs || !got.holes) && e.jumps == 0, "lead %d ms",
           (int)(e.lead / 1000));
    }
}

/* In front of the media there are pictures for the decoder, wherever the keyframe lies; of large
 * ones not so many, but more media. */
static void ahead(void)
{
    unsigned least = UINT32_MAX, media = ELASTIC_START * 30 / SECOND + 1;
    for (int phase = 0; phase < 30; phase++) {
        camera(30, 30, 500);
        stall(5 * SECOND + phase * (SECOND / 30));
        join(0);
        pump();
        least = got.sent - media < least ? got.sent - media : least;
    }
    ok(least == ELASTIC_AHEAD, "%u pictures in front of the media, at least", least);
    for (unsigned more = 0; more < 2; more++) {
        unsigned large = 0;
        for (int phase = 0; phase < 5; phase++) {
            camera(10, 5, ELASTIC_AHEAD_BYTES / ELASTIC_AHEAD + more);
            stall(5 * SECOND + phase * (SECOND / 10));
            join(0);
            pump();
            large += got.media >= ELASTIC_START_LARGE;
        }
        ok(large == more, "nine of %u bytes: more media instead in %u of five", size, large);
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
               got.high <= target() + ELASTIC_SLACK + SECOND / fps + jitter && e.jumps == 0 &&
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
                   e.lead <= target() + ELASTIC_SLACK + slack && got.bursts <= 1,
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
    ok(sound() && worst <= target() + ELASTIC_SLACK + 3 * SECOND / fps,
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
    ok(sound() && e.jumps > jumps && got.sent <= 30 + ELASTIC_RESUME_SURE &&
           got.last + SCALE / 30 == dts,
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

/* A history of more bytes than its limit is none, nor is one with a gap in it. */
static void too_much(void)
{
    camera(30, 30, 60000);
    stall(6 * SECOND);
    join(0);
    pump();
    ok(got.sent == ELASTIC_START / ELASTIC_STILL && !got.lost, "too large a history: stills");
    camera(30, 30, 500);
    stall(2 * SECOND);
    dts += SCALE;
    stall(2 * SECOND);
    join(0);
    pump();
    ok(got.sent == ELASTIC_START / ELASTIC_STILL, "with a gap in it: stills");
    camera(30, 30, 500);
    stall(2 * SECOND);
    struct ring_frag f;
    ring_get(&ring, ring_head(&ring) - 1, &f);
    f.dts = dts;
    f.duration = 30 * SCALE;
    ring_put(&ring, &f, bytes, size, 0);
    dts += f.duration;
    stall(SECOND);
    join(0);
    pump();
    ok(got.sent == ELASTIC_START / ELASTIC_STILL,
       "with a picture that lasts half a minute: stills");
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
    ahead();
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
    too_much();
    far_away();
    shared_duration();
    return done();
}
