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

/* n fragments of so many pictures, of which every gop-th fragment begins with a keyframe, the first
 * one, too. */
static void fragments(unsigned n, unsigned samples, unsigned gop, size_t size)
{
    for (unsigned i = 0; i < n; i++, dts += samples * SCALE / FPS) {
        struct ring_frag f = picture(dts, samples * SCALE / FPS, i % gop == 0);
        f.samples = (uint16_t)samples;
        ring_put(&ring, &f, bytes, size, 0);
    }
}

static void pictures(unsigned n, unsigned gop, size_t size)
{
    fragments(n, 1, gop, size);
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

static int front_is(const struct past *p, unsigned packets, unsigned ahead, unsigned n,
                    uint64_t size)
{
    uint64_t sent = 1;
    return past_front(&ring, p, packets, ahead, &sent) == n && sent == size;
}

static void in_front(void)
{
    struct past p;
    empty();
    pictures(90, 30, 500);
    find(2 * SECOND, 30, &p); /* 61 from number 29 on: from the keyframe 0 */
    ok(p.lead_in == 29 && front_is(&p, 24, 9, 0, 0), "pictures enough are in front: none again");
    ok(front_is(&p, 24, 30, 1, 500), "one more is wanted there");
    ok(front_is(&p, 99, 9, 9, 9 * 500), "90 pictures where 99 are wanted: nine again");
    empty();
    pictures(61, 61, 500);
    find(2 * SECOND, 0, &p);
    ok(p.lead_in == 0 && front_is(&p, 24, 9, 9, 9 * 500), "the keyframe is the first: nine again");
    empty();
    for (size_t size = 1000; size <= 9000; size += 1000)
        fragments(1, 10, size == 1000 ? 1 : 3, size);
    find(2 * SECOND, 9, &p);
    ok(p.key == 2 && p.samples == 70 && p.lead_in == 0 && front_is(&p, 24, 9, 1, 3000),
       "ten pictures a fragment: one of them");
    ok(front_is(&p, 24, 11, 2, 3000 + 4000), "two for eleven pictures");
    ok(front_is(&p, 91, 9, 3, 3000 + 4000 + 5000), "three where 91 are wanted and 70 there");
    ok(front_is(&p, 24, 71, 8, 3000 * 2 + 4000 + 5000 + 6000 + 7000 + 8000 + 9000),
       "and round again");
    empty();
    fragments(4, 1, 1, 700);
    find(SECOND / 10, 0, &p);
    ok(p.samples == 4 && front_is(&p, 24, 9, 20, 20 * 700), "four pictures, again and again");
}

int main(void)
{
    found();
    broken();
    too_much();
    in_front();
    free(memory);
    return done();
}
