/* The test card's encoder: what an independent decoder (ffmpeg) makes of its streams is the
 * picture, to the sample; levels; sizes of access units. */
#include "capture/cardenc.h"
#include "capture/bits.h"
#include "capture/card.h"
#include "capture/misb.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/cardenc-XXXXXX";
static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* One stream under test, the same pictures as planar samples beside it. */
struct run {
    unsigned width, height;
    struct picture *picture;
    struct cardenc encoder;
    void *memory;
    uint8_t *unit;
    size_t largest;
    FILE *stream, *samples;
};

static FILE *create(const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        _exit(99);
    return f;
}

static void begin(struct run *r, unsigned width, unsigned height, struct picture *picture)
{
    *r = (struct run){.width = width, .height = height, .picture = picture};
    r->memory = malloc(cardenc_memory(width, height));
    r->unit = malloc(cardenc_unit_max(width, height));
    r->stream = create("stream.h264");
    r->samples = create("samples.yuv");
    cardenc_init(&r->encoder, width, height, (struct rate){30, 1}, r->memory);
}

static void write_plane(struct run *r, unsigned plane)
{
    unsigned shift = plane ? 1 : 0, side = 16 >> shift;

    for (unsigned y = 0; y < r->height >> shift; y++)
        for (unsigned x = 0; x < r->width >> shift; x += side) {
            const struct macroblock *mb =
                &r->picture->mb[y / side * r->picture->mb_width + x / side];
            const uint8_t *p = plane == 0 ? mb->y : plane == 1 ? mb->cb : mb->cr;
            unsigned n = (r->width >> shift) - x < side ? (r->width >> shift) - x : side;
            fwrite(p + y % side * side, 1, n, r->samples);
        }
}

static size_t add(struct run *r, int key)
{
    struct misb_stamp stamp = {seed, MISB_STATUS};

    for (unsigned plane = 0; plane < 3; plane++)
        write_plane(r, plane);
    size_t len = cardenc_unit(&r->encoder, r->picture, key, &stamp, r->unit);
    if (len > r->largest)
        r->largest = len;
    /* ffmpeg complains of a delimiter with nothing behind it, so here it goes before. */
    uint8_t aud[CARDENC_AUD];
    cardenc_begin(aud);
    fwrite(aud, 1, sizeof aud, r->stream);
    fwrite(r->unit, 1, len - sizeof aud, r->stream);
    return len;
}

/* Decodes and compares; ffmpeg must have nothing to say. */
static void end(struct run *r, const char *what)
{
    static const char script[] =
        "cd %s && ffmpeg -nostdin -v warning -xerror -f h264 -i stream.h264 -fps_mode passthrough"
        " -f rawvideo -y decoded.yuv 2>log && test ! -s log && cmp samples.yuv decoded.yuv";
    char command[400];

    fclose(r->stream);
    fclose(r->samples);
    ok(r->largest <= cardenc_unit_max(r->width, r->height), "%s: no unit over the maximum", what);
    snprintf(command, sizeof command, script, directory);
    if (system("command -v ffmpeg >/dev/null"))
        ok(1, "%s: decoded to the sample # SKIP no ffmpeg", what);
    else
        ok(!system(command), "%s: decoded to the sample", what);
    free(r->memory);
    free(r->unit);
}

static void cards(unsigned width, unsigned height)
{
    struct card card;
    struct run r;
    void *memory = malloc(card_memory(width, height));
    uint64_t us = UINT64_C(1795305600000000);
    char what[32];

    card_init(&card, width, height, memory);
    begin(&r, width, height, &card.picture);
    for (uint32_t n = 0; n < 60; n++, us += 33333) {
        if (n % 10 == 9)
            us += 1000000; /* frames were lost */
        card_draw(&card, n, us);
        add(&r, n % 25 == 0 || n == 26);
    }
    snprintf(what, sizeof what, "card %ux%u", width, height);
    end(&r, what);
    free(memory);
}

static void random_flat(struct macroblock *mb)
{
    /* Few values, so that equal neighbours, small and large steps and odd chroma all occur. */
    static const uint8_t luma[] = {0, 1, 2, 16, 17, 24, 128, 129, 235, 254, 255};
    static const uint8_t chroma[] = {0, 2, 64, 126, 128, 130, 144, 254, 127, 255};

    memset(mb->y, luma[rnd(sizeof luma)], sizeof mb->y);
    memset(mb->cb, chroma[rnd(sizeof chroma - (rnd(4) ? 2 : 0))], sizeof mb->cb);
    memset(mb->cr, chroma[rnd(sizeof chroma - (rnd(4) ? 2 : 0))], sizeof mb->cr);
}

static void random_macroblock(struct macroblock *mb)
{
    random_flat(mb);
    switch (rnd(6)) {
    case 0: /* noise with many zeros: emulation prevention */
        for (unsigned i = 0; i < sizeof *mb; i++)
            ((uint8_t *)mb)[i] = (uint8_t)(rnd(2) ? 0 : rnd(256));
        break;
    case 1: /* one sample off, chroma still flat */
        mb->y[rnd(256)] ^= 1;
        break;
    case 2: /* one chroma sample off */
        mb->cr[rnd(64)] ^= 2;
        break;
    }
}

/* Pictures that no card shows: anything next to anything, marked or not. */
static void randoms(unsigned width, unsigned height, unsigned pictures)
{
    unsigned mbw = (width + 15) / 16, mbh = (height + 15) / 16, count = mbw * mbh;
    struct picture pic = {mbw, mbh, malloc(count * sizeof *pic.mb), malloc(count)};
    struct run r;
    char what[32];

    begin(&r, width, height, &pic);
    for (unsigned n = 0; n < pictures; n++) {
        unsigned change = n % 7 == 6 ? 0 : 1 + rnd(4);
        for (unsigned i = 0; i < count; i++) {
            if (n == 0 || rnd(4) < change)
                random_macroblock(&pic.mb[i]);
            pic.drawn[i] = 1; /* even where nothing was drawn */
        }
        add(&r, rnd(20) == 0);
    }
    snprintf(what, sizeof what, "random %ux%u", width, height);
    end(&r, what);
    free(pic.mb);
    free(pic.drawn);
}

/* Nothing changed: a picture of nothing but skipped macroblocks. frame_num wraps on the way. */
static void still(void)
{
    struct card card;
    struct run r;
    void *memory = malloc(card_memory(640, 480));
    size_t largest = 0, key;

    card_init(&card, 640, 480, memory);
    begin(&r, 640, 480, &card.picture);
    key = add(&r, 0);
    for (unsigned n = 1; n < 600; n++) {
        size_t len = add(&r, 0);
        largest = len > largest ? len : largest;
    }
    ok(key > 1000 && largest < 70, "a key of %zu bytes, then at most %zu", key, largest);
    end(&r, "still");
    free(memory);
}

/* Emulation prevention in every second byte: the worst case for the size of a unit. */
static void zeros(void)
{
    struct picture pic = {11, 10, NULL, NULL};
    struct run r;

    pic.mb = calloc(110, sizeof *pic.mb);
    pic.drawn = calloc(110, 1);
    for (unsigned i = 0; i < 110; i++)
        pic.mb[i].y[0] = 1;
    begin(&r, 176, 160, &pic);
    size_t len = add(&r, 1);
    ok(len > 110 * 384 * 14 / 10, "a unit of %zu bytes, the most there can be is %zu", len,
       cardenc_unit_max(176, 160));
    end(&r, "zeros");
    free(pic.mb);
    free(pic.drawn);
}

/* 7.4.3: two IDR pictures in a row differ in idr_pic_id, which decoders at hand do not check. */
static void idr_pic_ids(void)
{
    struct card card;
    struct run r;
    void *memory = malloc(card_memory(640, 480));
    uint32_t last = 9;
    int good = 1;

    card_init(&card, 640, 480, memory);
    begin(&r, 640, 480, &card.picture);
    for (unsigned n = 0; n < 6; n++) {
        size_t len = add(&r, n != 2), at = 0;
        struct bits b;
        if (n == 2)
            continue;
        while (at + 4 < len && memcmp(r.unit + at, "\0\0\1\x65", 4))
            at++;
        bits_init(&b, r.unit + at + 4, len - at - 4);
        good &= bits_ue(&b) == 0 && bits_ue(&b) == 7 && bits_ue(&b) == 0 && bits_u(&b, 8) == 0;
        uint32_t id = bits_ue(&b);
        good &= id != last;
        last = id;
    }
    ok(good, "idr_pic_id alternates");
    end(&r, "keyframes");
    free(memory);
}

static void levels(void)
{
    static const struct {
        unsigned width, height;
        struct rate rate;
        unsigned level;
    } t[] = {
        {640, 480, {30, 1}, 30},   {640, 480, {60, 1}, 31},    {1280, 720, {30, 1}, 31},
        {1280, 720, {60, 1}, 32},  {1920, 1080, {30, 1}, 40},  {1920, 1080, {60, 1}, 42},
        {352, 288, {30, 1}, 21},   {352, 288, {5, 1}, 13},     {4096, 2304, {25, 1}, 51},
        {4096, 2304, {30, 1}, 52}, {4096, 2304, {240, 1}, 62}, {176, 160, {1, 2}, 11},
        {4096, 16, {30, 1}, 40},   {1664, 16, {30, 1}, 22},    {640, 480, {30000, 1001}, 30},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        unsigned level = cardenc_level(t[i].width, t[i].height, t[i].rate);
        ok(level == t[i].level, "%ux%u at %u/%u: level %u", t[i].width, t[i].height, t[i].rate.num,
           t[i].rate.den, level);
    }
}

int main(void)
{
    static const unsigned sizes[][2] = {{640, 480}, {1920, 1080}, {352, 288},
                                        {176, 208}, {642, 482},   {1280, 720},
                                        {16, 1664}, {1664, 16},   {1678, 30}};
    char command[64];

    if (!mkdtemp(directory))
        return 99;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cards(sizes[i][0], sizes[i][1]);
    randoms(176, 144, 400);
    randoms(34, 18, 400);
    randoms(16, 16, 100);
    randoms(400, 16, 100);
    still();
    zeros();
    idr_pic_ids();
    levels();
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command) | done();
}
