/* A camera, a viewer of the elastic timeline and a clock that is set by hand, on a real ring. */
#ifndef TESTS_UNIT_ELASTICRUN_H
#define TESTS_UNIT_ELASTICRUN_H

#include "serve/elastic.h"
#include "tests/tap.h"
#include "tests/unit/pictures.h"

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
    unsigned sent, pads, blocks, ticks, zero, backwards, holes, out_of_order, bursts;
    int lost;
    uint64_t end, tfdt_first, last;
    int64_t media;
    int64_t low, high; /* of the lead behind each fragment of LIVE */
    uint32_t sequence;
} got;

static void camera(unsigned fps, unsigned every, unsigned fragment)
{
    make_ring(&ring, &memory, DATA, ENTRIES, SCALE);
    rate = fps;
    gop = every;
    size = fragment;
    frames = dts = 0;
    now = next_frame = 5 * (int64_t)SECOND;
    random_state = 88172645463325252;
}

static void frame(void)
{
    struct ring_frag f = picture(dts, SCALE / rate, frames % gop == 0);
    ring_put(&ring, &f, bytes, size, next_frame);
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
    elastic_init(&e, now, runs, !runs);
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
            got.blocks += e.blocks;
            break;
        case ELASTIC_TICK:
            got.ticks++;
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

static int64_t target(void)
{
    int64_t runs = 2 * SECOND / rate + ELASTIC_TARGET_MORE;
    int64_t dries = ELASTIC_TARGET_DRIES - SECOND / rate / ELASTIC_TARGET_PART;
    return e.dries
               ? dries
               : (runs > ELASTIC_TARGET ? runs : ELASTIC_TARGET) - (e.runs ? ELASTIC_BEGINS : 0);
}

static int on_target(void)
{
    return e.mode == ELASTIC_LIVE && e.most >= target() - ELASTIC_SLACK - SECOND / rate &&
           e.most <= target() + e.margin + ELASTIC_SLACK + SECOND / rate && e.lead >= 0 &&
           e.lead <= e.most;
}

#endif
