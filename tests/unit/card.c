/* The test card's picture: cells, CRC, what is drawn when, what fits. */
#include "capture/card.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

static struct card card;
static void *memory;

static void fresh(unsigned width, unsigned height)
{
    free(memory);
    memory = malloc(card_memory(width, height));
    card_init(&card, width, height, memory);
}

static void record(void)
{
    /* "123456789012"; its CRC is the rest of a long division done elsewhere, which also gives f4
     * for "123456789", the check value that catalogues list. */
    static const uint8_t want[] = {0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37,
                                   0x38, 0x39, 0x30, 0x31, 0x32, 0x54};
    static const uint8_t ones[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x07};
    uint8_t r[CARD_RECORD];

    card_record(r, 0, 0);
    static const uint8_t zeros[CARD_RECORD];
    ok(!memcmp(r, zeros, sizeof r), "all zero: CRC 0");
    card_record(r, 0, 1);
    ok(!memcmp(r, ones, sizeof r), "one microsecond: CRC is the polynomial");
    card_record(r, 0x31323334, UINT64_C(0x3536373839303132));
    ok(!memcmp(r, want, sizeof r), "big-endian counter, time, CRC %02x", r[12]);
}

/* Reads the record back from the samples, strictly. */
static int read_cells(uint8_t r[CARD_RECORD])
{
    memset(r, 0, CARD_RECORD);
    for (unsigned cell = 0; cell < CARD_CELLS; cell++) {
        const struct macroblock *mb =
            &card.picture.mb[cell / card.columns * card.picture.mb_width + cell % card.columns];
        for (unsigned i = 0; i < 256; i++)
            if (mb->y[i] != mb->y[0] || (mb->y[i] != 235 && mb->y[i] != 16))
                return 0;
        r[cell / 8] = (uint8_t)(r[cell / 8] | (mb->y[0] == 235) << (7 - cell % 8));
    }
    return 1;
}

static void cells(unsigned width, unsigned height)
{
    uint8_t want[CARD_RECORD], got[CARD_RECORD];
    uint64_t us = UINT64_C(1795305600000000);
    int good = 1;

    fresh(width, height);
    ok(card.columns == width / 16, "%ux%u: floor(W/16) cells a row", width, height);
    for (uint32_t frame = 0; frame < 500; frame++, us += 33367) {
        uint32_t n = frame < 250 ? frame : UINT32_MAX - frame;
        card_draw(&card, n, us);
        card_record(want, n, us);
        good &= read_cells(got) && !memcmp(want, got, sizeof got);
    }
    ok(good, "%ux%u: 500 records read back from the samples", width, height);
}

static size_t drawn(void)
{
    size_t n = 0, count = (size_t)card.picture.mb_width * card.picture.mb_height;

    for (size_t i = 0; i < count; i++)
        n += card.picture.drawn[i];
    memset(card.picture.drawn, 0, count);
    return n;
}

/* Every change is marked, and a picture does not depend on the ones before it. */
static void changes(unsigned width, unsigned height)
{
    size_t count = (size_t)((width + 15) / 16) * ((height + 15) / 16);
    struct macroblock *before = malloc(count * sizeof *before);
    uint64_t us = UINT64_C(1795305600000000);
    int good = 1;

    fresh(width, height);
    ok(drawn() == count, "%ux%u: at first everything is drawn", width, height);
    for (uint32_t frame = 0; frame < 100; frame++, us += 33333) {
        memcpy(before, card.picture.mb, count * sizeof *before);
        card_draw(&card, frame, us);
        for (size_t i = 0; i < count; i++)
            good &=
                card.picture.drawn[i] || !memcmp(&before[i], &card.picture.mb[i], sizeof *before);
        drawn();
    }
    ok(good, "%ux%u: what is not marked has not changed", width, height);
    memcpy(before, card.picture.mb, count * sizeof *before);
    fresh(width, height);
    card_draw(&card, 99, us - 33333);
    ok(!memcmp(before, card.picture.mb, count * sizeof *before),
       "%ux%u: the picture is one of the moment alone", width, height);
    good = 1;
    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 64; k++)
            good &= card.picture.mb[i].cb[k] % 2 == 0 && card.picture.mb[i].cr[k] % 2 == 0;
    ok(good, "%ux%u: chroma is even", width, height);
    drawn();
    card_draw(&card, 99, us - 33333);
    ok(drawn() < 20, "%ux%u: the same moment again draws the ball at most", width, height);
    free(before);
}

static void texts(void)
{
    fresh(640, 480);
    card_draw(&card, 4294967295, UINT64_C(1795392000000000) - 1000);
    ok(!memcmp(card.clock.shown, "23:59:59.999", 12), "the last millisecond of a day");
    ok(!memcmp(card.number.shown, "4294967295", 10), "the largest counter");
    card_draw(&card, 0, UINT64_C(1795392000000000));
    ok(!memcmp(card.clock.shown, "00:00:00.000", 12), "midnight");
    ok(!memcmp(card.number.shown, "         0", 10), "zero, to the right");
}

static void ball(void)
{
    int good = 1;
    unsigned last = 0, way;

    fresh(640, 480);
    way = card.columns * 16 - card.ball;
    for (uint64_t n = 0; n < 10000; n++) {
        card_draw(&card, 0, n * 1000000 / 240 + 1);
        unsigned moved = card.ball_x > last ? card.ball_x - last : last - card.ball_x;
        good &= card.ball_x <= way && (n == 0 || moved == 1);
        last = card.ball_x;
    }
    ok(good, "the ball moves by one pixel each 1/240 s and stays inside");
}

static void fits(void)
{
    static const struct {
        unsigned width, height;
        int fits, ball, clock, number;
    } t[] = {
        {640, 480, 1, 48, 12, 10}, {1920, 1080, 1, 48, 12, 10}, {4096, 2304, 1, 48, 12, 10},
        {352, 288, 1, 32, 12, 10}, {176, 208, 1, 16, 12, 10},   {1664, 16, 1, 0, 0, 0},
        {1664, 32, 1, 16, 0, 0},   {1664, 48, 1, 16, 12, 0},    {16, 1664, 1, 0, 0, 0},
        {16, 2304, 1, 0, 0, 0},    {32, 900, 1, 16, 0, 0},      {642, 482, 1, 48, 12, 10},
        {160, 160, 0, 0, 0, 0},    {176, 144, 0, 0, 0, 0},      {1648, 16, 0, 0, 0, 0},
        {641, 480, 0, 0, 0, 0},    {640, 481, 0, 0, 0, 0},      {4098, 480, 0, 0, 0, 0},
        {640, 2306, 0, 0, 0, 0},   {0, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        unsigned w = t[i].width, h = t[i].height;
        ok(card_fits(w, h) == t[i].fits, "%ux%u: fits = %d", w, h, t[i].fits);
        if (!t[i].fits)
            continue;
        fresh(w, h);
        card_draw(&card, 1, 1);
        ok((int)card.ball == t[i].ball && (int)card.clock.len == t[i].clock &&
               (int)card.number.len == t[i].number,
           "%ux%u: ball %u clock %u number %u", w, h, card.ball, card.clock.len, card.number.len);
    }
}

int main(void)
{
    record();
    cells(640, 480);
    cells(1920, 1080);
    cells(642, 482);
    cells(176, 208);
    cells(16, 1664);
    changes(640, 480);
    changes(642, 482);
    changes(176, 208);
    texts();
    ball();
    fits();
    free(memory);
    return done();
}
