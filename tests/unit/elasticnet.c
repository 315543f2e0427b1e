/* The elastic timeline where the network takes its time. */
#include "tests/unit/elasticrun.h"

/* A history that takes some time to arrive: play begins then. */
static void arrives(void)
{
    for (int runs = 0; runs < 2; runs++)
        for (int relayed = 0; relayed < 2; relayed++) {
            camera(30, 30, 500);
            stall(6 * SECOND);
            join(runs);
            pump();
            stall(600000);
            int64_t trip = runs ? 0 : 100000;
            elastic_arrived(&e, now, trip, relayed);
            int64_t until = now - trip + got.media - (runs ? 420000 + target() : -ELASTIC_RUN_DRY) +
                            (relayed && !runs ? 150000 : 0);
            unsigned sent = got.sent;
            while (got.sent == sent && now < until + SECOND)
                live(1000, 0);
            ok(llabs(now - until) < 40000 && sound(), "%s, %s: live %d ms after that",
               runs ? "a clock that runs" : "one that stops", relayed ? "relayed" : "direct",
               (int)((now - until + got.media) / 1000));
        }
}

/* Play waits for the paddings, too: when they come late, it may have begun late. */
static void late_paddings(void)
{
    static const int64_t late[] = {-100000, 0, 400000};
    for (int dries = 0; dries < 2; dries++)
        for (size_t i = 0; i < 3; i++) {
            camera(30, 30, 500);
            stall(6 * SECOND);
            join(0);
            elastic_init(&e, now, 0, dries);
            pump();
            elastic_arrived(&e, now, 0, 0);
            int64_t hold = e.hold;
            unsigned knocks = ELASTIC_KNOCKS - ELASTIC_KNOCKS_SPARE;
            live(knocks * ELASTIC_KNOCK_EVERY + late[i], 0);
            elastic_knocked(&e, now);
            int64_t more = e.hold - hold, want = dries && late[i] > 0 ? late[i] : 0;
            ok(llabs(more - want) < 20000, "a padding %d ms late, %s: dry %d ms later",
               (int)(late[i] / 1000), dries ? "Chromium" : "another", (int)(more / 1000));
        }
}

/* Other players wait for long when they have run dry. */
static void never_dry(void)
{
    camera(30, 30, 500);
    stall(6 * SECOND);
    join(0);
    elastic_init(&e, now, 0, 0);
    pump();
    int64_t until = now + got.media - target();
    ok(e.mode == ELASTIC_HOLD && e.hold == until, "another player: live before its history ends");
    live(until - now + 100000, 0);
    ok(e.mode == ELASTIC_LIVE && e.lead > 0, "lead %d ms then", (int)(e.lead / 1000));
    stall(SECOND);
    elastic_delivered(&e, &ring, now, 280000);
    ok(e.mode == ELASTIC_LIVE, "and goes on at once after a stall");
    live(6 * SECOND, 0);
    ok(sound() && on_target(), "lead %d ms", (int)(e.lead / 1000));
}

/* A network that stalls has some media on its way, which a clock that stopped plays when it comes.
 */
static void delivered(void)
{
    for (int runs = 0; runs < 2; runs++) {
        camera(30, 30, 500);
        stall(6 * SECOND);
        join(runs);
        live(12 * SECOND, 0);
        clear();
        stall(2 * SECOND);
        elastic_delivered(&e, &ring, now, 280000);
        int64_t due = pump();
        if (runs) {
            ok(got.sent && e.mode == ELASTIC_LIVE, "a clock that runs: on at once");
        } else {
            unsigned woken = ELASTIC_REPEATED - 280 * 30 / 1000;
            ok(got.sent == woken && got.pads == 1 && due == now + ELASTIC_TICK_EVERY,
               "one that stops: waits until it has stopped again, with %u frames more to go on",
               got.sent);
            live(ELASTIC_RUN_DRY_AGAIN + 270000, 0);
            ok(got.sent == woken && got.ticks == 3, "but not in silence");
            live(60000, 0);
        }
        ok(got.last + 2 * SCALE / 30 >= dts && e.jumps == 1 && sound(), "then the newest picture");
        live(8 * SECOND, 0);
        ok(sound() && on_target(), "and settles: %d ms", (int)(e.lead / 1000));
        clear();
        elastic_delivered(&e, &ring, now, 280000);
        live(SECOND, 0);
        ok(got.sent >= 29 && e.jumps == 1, "who had not stopped goes on");
    }
}

/* The pictures that wake a clock take a while to get there: so much later it began to run. */
static void awake(int64_t late)
{
    camera(30, 30, 500);
    stall(6 * SECOND);
    join(0);
    pump();
    while (!e.woken && now < 20 * (int64_t)SECOND)
        live(1000, 0);
    ok(e.woken && !e.wakers && e.mode == ELASTIC_LIVE, "woken after %d ms",
       (int)((e.woken - 11 * (int64_t)SECOND) / 1000));
    int64_t woken = e.woken;
    live(late, 0);
    struct elastic before = e;
    elastic_awake(&e, now, woken + late);
    int64_t more = e.lead - before.lead - (now - before.at);
    ok(!e.woken && e.most == e.lead && llabs(more - late) < 2000, "%d ms late: has %d ms more",
       (int)(late / 1000), (int)(more / 1000));
    live(3 * SECOND, 0);
    ok(sound() && on_target() && !e.jumps, "and settles: %d ms", (int)(e.lead / 1000));
}

/* What a network held back for a moment a clock may have stopped for. */
static void late(unsigned fps, int runs)
{
    camera(fps, fps, 500);
    stall(6 * SECOND);
    join(runs);
    live(12 * SECOND, 0);
    int64_t frame = SECOND / fps, few = 6 * frame > SECOND / 4;
    uint64_t tick = e.tfdt;
    live(SECOND / 10, 0);
    int64_t lead = e.lead;
    elastic_late(&e, now, 50000, tick);
    ok(e.lead == lead && !e.margin, "what is late by less than the lead does not stop it");
    live(SECOND * 2 / 5, 0);
    lead = e.lead - (now - e.at);
    elastic_late(&e, now, 50000, tick);
    unsigned pads = got.pads;
    if (!runs && !few) {
        live(frame, 0);
        ok(got.pads > pads, "what it waits for becomes a whole block");
        lead = e.lead;
        elastic_seen(&e, now, 50000, tick + 7 * SCALE / fps);
        ok(e.stands && e.lead == lead, "seven more pictures are not enough to go on");
    }
    elastic_seen(&e, now, 50000, e.tfdt);
    int64_t unseen = (int64_t)(e.tfdt - tick) * SECOND / SCALE;
    int64_t want = unseen + (few ? 0 : 2 * frame) - 50000;
    ok(!e.stands && (runs ? e.lead == lead : llabs(e.lead - want) < 2 && e.most == e.lead),
       "%s: %d ms", runs ? "a clock that runs is where it was" : "by more: it stood",
       (int)(e.lead / 1000));
    live(4 * SECOND, 0);
    ok(sound() && on_target() && !e.jumps, "and settles: %d ms", (int)(e.lead / 1000));
    for (unsigned i = 0; runs && i < 2; i++)
        elastic_late(&e, now, 50000, e.tfdt - (uint64_t)(e.lead + SECOND / 10) * SCALE / SECOND);
    ok(e.margin == (runs ? ELASTIC_MARGIN_STEP : 0), "late once more: %d ms", (int)e.margin / 1000);
    for (unsigned i = 0; i < 10; i++) {
        elastic_late(&e, now, 50000, e.tfdt - (uint64_t)(e.lead + SECOND / 10) * SCALE / SECOND);
        elastic_seen(&e, now, 50000, e.tfdt);
        live(SECOND, 0);
    }
    int64_t margin = runs ? ELASTIC_MARGIN_RUNS : few ? 0 : ELASTIC_MARGIN;
    ok(e.target >= target() + margin * 9 / 10 && e.target <= target() + margin,
       "again and again: the target is %d ms more", (int)((e.target - target()) / 1000));
}

/* Nothing is late for a clock that waits for the camera, nor known of one that may not run dry. */
static void not_late(int runs)
{
    camera(30, 30, 500);
    stall(6 * SECOND);
    join(runs);
    elastic_init(&e, now, runs, 0);
    live(12 * SECOND, 0);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t tick = e.tfdt;
        now += 2 * SECOND; /* no pictures */
        next_frame += 2 * SECOND;
        dts += 2 * SCALE;
        live(SECOND / 10, 0);
        elastic_late(&e, now, 50000, tick);
        live(3 * SECOND, 0);
    }
    ok(got.holes == (runs ? 3 : 0) && !e.margin && !e.stands, "%u holes, nothing late", got.holes);
}

/* Of few pictures a second a clock would wait for seconds, so it gets the newest keyframe again. */
static void few(unsigned fps, unsigned keyframe, int repeated)
{
    camera(fps, fps, keyframe);
    stall(10 * SECOND);
    join(0);
    live(12 * SECOND, 0);
    ok(sound() && on_target() && !got.holes, "%u a second: lead %d ms", fps, (int)(e.lead / 1000));
    clear();
    next_frame += 3 * SECOND;
    dts += 3 * SCALE;
    frames += (gop - frames % gop) % gop; /* the camera begins with a keyframe */
    uint64_t last = dts;
    live(1, 0);
    ok(got.sent >= ELASTIC_REPEATED && got.last == last && got.bursts == 1 && got.pads == 1,
       "a pause: %u frames at once", got.sent);
    ok((got.sent == ELASTIC_REPEATED) == repeated, repeated ? "one and the same" : "too large");
    ok(llabs(e.lead - target() - SECOND / fps) < 20000,
       "and the target when the next one comes: %d ms", (int)((e.lead - SECOND / fps) / 1000));
    int64_t before = got.media;
    live(6 * SECOND, 0);
    ok(sound() && on_target() && llabs(got.media - before - 6 * SECOND) < SECOND / fps + 20000,
       "in no need of steering");
    clear();
    stall(2 * SECOND);
    elastic_delivered(&e, &ring, now, SECOND / fps);
    pump();
    ok(got.sent == (repeated ? ELASTIC_REPEATED - 1 : 0) && got.pads == 1,
       "delivered after a stall: one, and %u to wake it", got.sent);
    live(e.hold - now + 1000, 0);
    ok(e.mode == ELASTIC_HOLD || got.last == dts - SCALE / fps, "then not before a new one");
    live(SECOND / fps, 0);
    ok(e.mode == ELASTIC_LIVE && got.last == dts - SCALE / fps && sound(), "with which it goes on");
}

/* A source may say that its pictures last no time at all. */
static void no_time(void)
{
    camera(2 * SCALE, 30, 500);
    for (int i = 0; i < 60; i++)
        frame();
    join(0);
    pump();
    e.mode = ELASTIC_LIVE;
    e.lead = e.most = 0;
    elastic_delivered(&e, &ring, now, 280000);
    pump();
    ok(e.mode == ELASTIC_HOLD && sound(), "pictures of no duration: waits all the same");
}

/* What is behind the last whole block is not seen. */
static void padded(unsigned fps, unsigned fragment, int wanted)
{
    camera(fps, fps, fragment);
    stall(10 * SECOND);
    join(0);
    live(12 * SECOND, 0);
    clear();
    int64_t behind = 0, worst = 0;
    uint64_t body = 0;
    for (unsigned i = 0; i < 10 * fps; i++) {
        unsigned pads = got.pads;
        live(SECOND / fps, 0);
        body += fragment;
        behind = body / ELASTIC_PAD_BYTES != (body - fragment) / ELASTIC_PAD_BYTES
                     ? SECOND / fps
                     : behind + SECOND / fps;
        if (got.pads > pads) {
            behind = 0;
            body = 0;
        }
        worst = behind > worst ? behind : worst;
    }
    ok(sound() && worst < ELASTIC_PAD_EVERY + SECOND / fps, "%u a second of %u bytes: %d ms unseen",
       fps, fragment, (int)(worst / 1000));
    ok((got.pads > 0) == wanted, "%u paddings in ten seconds", got.pads);
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

/* To a clock that runs a history comes more slowly than it would be watched if it had been from the
 * request on; but it began later, and is given up only if it is too slow for that. */
static void comes_slowly(int64_t each, int dry)
{
    struct elastic_step step;
    int64_t due, from, took = 0;
    camera(30, 30, 500);
    stall(6 * SECOND);
    join(1);
    from = now;
    while (e.mode != ELASTIC_LIVE && now < from + 4 * SECOND) {
        took = e.mode == ELASTIC_HISTORY ? now - from : took;
        if (elastic_next(&e, &ring, now, &step, &due) == ELASTIC_WAIT)
            live(1000, 0);
        else if (e.mode == ELASTIC_HISTORY)
            for (now += each; next_frame <= now;)
                frame();
    }
    int64_t clock = now - from - took * ELASTIC_BEGUN_PARTS / 10;
    int64_t lead = (int64_t)(e.tfdt * SECOND / SCALE) - clock;
    ok(e.mode == ELASTIC_LIVE && (int)e.jumps == dry, "comes at %d %% of its speed: %s",
       (int)(100 * SECOND / rate / each), dry ? "given up" : "all of it");
    ok(lead > 0 && lead < target() + SECOND / 20 && (dry || lead > target() - SECOND / 20),
       "then its lead is %d ms", (int)(lead / 1000));
    live(6 * SECOND, 0);
    ok(on_target(), "and it settles");
}

int main(void)
{
    arrives();
    comes_slowly(SECOND / 33, 0);
    comes_slowly(SECOND / 12, 1);
    late_paddings();
    never_dry();
    delivered();
    awake(0);
    awake(150000);
    late(30, 0);
    late(30, 1);
    late(60, 0);
    late(15, 0);
    not_late(1);
    not_late(0);
    no_time();
    few(5, 10000, 1);
    few(10, 10000, 1);
    few(5, 140000, 0);
    padded(30, 4000, 1);
    padded(30, 12000, 0);
    padded(15, 4700, 1);
    padded(5, 5000, 1);
    padded(5, 40000, 1);
    slow_link(1);
    slow_link(0);
    return done();
}
