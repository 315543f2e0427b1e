/* The test card's picture: machine-readable cells (counter, capture time, CRC), a clock and the
 * frame number for people, a ball that moves, colour bars. A model only: it knows no H.264 beyond
 * the macroblock, and draws only what changes.
 *
 *   cells                   one macroblock a bit, from the top left
 *   ---- ball ----          1 pixel every 1/240 s, there and back
 *   HH:MM:SS.mmm            UTC
 *   frame number
 *
 * on static colour bars; what does not fit is made smaller, then left out, the last line first. */
#ifndef CAPTURE_CARD_H
#define CAPTURE_CARD_H

#include <stddef.h>
#include <stdint.h>

enum {
    CARD_WIDTH_MAX = 4096,
    CARD_HEIGHT_MAX = 2304,
    CARD_RECORD = 13,             /* bytes: counter, capture time, CRC-8 */
    CARD_CELLS = 8 * CARD_RECORD, /* one bit each */
    CARD_HD_HEIGHT = 720,         /* from here on the colours are BT.709, below BT.601 */
    CARD_BALL_MAX = 48,           /* pixels across */
    CARD_CLOCK_LEN = 12,          /* HH:MM:SS.mmm */
    CARD_NUMBER_LEN = 10,         /* 4294967295 */
};

/* 4:2:0 samples in the order of an I_PCM macroblock (ISO/IEC 14496-10 7.3.5). */
struct macroblock {
    uint8_t y[256], cb[64], cr[64];
};

struct picture {
    unsigned mb_width, mb_height; /* macroblocks, partly visible ones included */
    struct macroblock *mb;        /* mb_width * mb_height, row by row */
    uint8_t *drawn; /* one a macroblock: 1 = drawn into; whoever encodes it clears it */
};

struct card_text {
    unsigned x, y; /* pixels, top left */
    char shown[CARD_CLOCK_LEN];
    unsigned len; /* 0: does not fit */
};

struct card {
    struct picture picture;
    unsigned columns; /* cells a row: whole macroblocks */
    unsigned scale;   /* pixels per unit of the font, 0: no text fits */
    unsigned ball;    /* pixels across, 0: does not fit */
    unsigned ball_x, ball_y;
    uint8_t half[CARD_BALL_MAX]; /* the ball's half width, line by line */
    uint8_t record[CARD_RECORD]; /* what the cells show */
    struct card_text clock, number;
};

/* 1 when sides are even, within the limits, and the cells fit. */
int card_fits(unsigned width, unsigned height);

/* Bytes that card_init() needs. */
size_t card_memory(unsigned width, unsigned height);

/* Draws everything that never changes. The size must fit; `memory`, aligned as malloc does, stays
 * the caller's and must outlive the card. */
void card_init(struct card *card, unsigned width, unsigned height, void *memory);

/* Draws one moment: frame counter and capture time in microseconds since 1970, UTC. */
void card_draw(struct card *card, uint32_t frame, uint64_t us);

/* The bytes that the cells show, most significant bit first. */
void card_record(uint8_t record[CARD_RECORD], uint32_t frame, uint64_t us);

#endif
