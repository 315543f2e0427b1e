/* What of a ring a viewer begins with: which fragments, and when there is nothing. */
#include "serve/past.h"
#include "tests/tap.h"
#include "tests/unit/pictures.h"

enum { SCALE = 90000, DATA = 32 << 20, ENTRIES = 1024, SECOND = 1000000, FPS = 30 };

static struct ring ring;
static void *memory;
static uint8_t bytes[1 << 20];
static uint64_t dts;

static void empty(void)
{
    make_ring(&ring, &memory, DATA, ENTRIES, SCALE);
    dts = 0;
}

/* n pictures, of which every gop-th is a keyframe, the first one, too. */
static void pictures(unsigned n, unsigned gop, size_t size)
{
    for (unsigned i = 0; i < n; i++, dts += SCALE / FPS) {
        struct ring_frag f = picture(dts, SCALE / FPS, i % gop == 0);
        ring_put(&ring, &f, bytes, size, 0);
    }
}

static int find(int64_t media, unsigned lead_in, struct past *past)
{
    return past_find(&ring, SCALE, media, lead_in, past);
}

static void found(void)
{
    struct past p;
    empty();
    ok(find(SECOND, 30, &p) < 0, "an empty ring: nothing");
    pictures(100, 30, 500);
    ok(find(2 * SECOND, 30, &p) == 0 && p.end == 100 && p.from == 100 - 61 && p.key == 30 &&
           p.samples == 70,
       "two seconds of pictures of 33,333 us: 61 of them, from the keyframe in front");
    ok(find(2 * SECOND, 9, &p) == 0, "nine pictures in front of it");
    ok(find(2 * SECOND, 8, &p) < 0, "where eight are allowed: nothing");
    ok(find(4 * (int64_t)SECOND, 30, &p) < 0, "more than there is: nothing");
}

static void broken(void)
{
    struct past p;
    empty();
    pictures(60, 30, 500);
    dts += 1;
    pictures(45, 15, 500);
    ok(find(SECOND, 30, &p) == 0 && p.key >= 60, "behind a hole of one tick");
    ok(find(SECOND * 3 / 2 + 1, 30, &p) < 0, "across it: nothing");
    empty();
    pictures(60, 30, 500);
    ring_put_init(&ring, bytes, 101, SCALE);
    pictures(45, 15, 500);
    ok(find(SECOND, 30, &p) == 0 && p.key >= 60, "behind another init segment");
    ok(find(2 * SECOND, 30, &p) < 0, "across it: nothing");
}

static void too_much(void)
{
    struct past p;
    empty();
    pictures(60, 60, PAST_BYTES / 60);
    ok(find(SECOND, 60, &p) == 0, "as many bytes as there may be");
    empty();
    pictures(60, 60, PAST_BYTES / 60 + 1);
    ok(find(SECOND, 60, &p) < 0, "some more: nothing");
    empty();
    pictures(300, 30, 500);
    ok(find(PAST_MAX, 30, &p) < 0, "more media than there may be: nothing");
    ok(find(PAST_MAX - SECOND / FPS, 30, &p) == 0, "and not quite so much");
}

int main(void)
{
    found();
    broken();
    too_much();
    free(memory);
    return done();
}
