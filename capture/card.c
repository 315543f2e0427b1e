#include "capture/card.h"

#include <string.h>

/* Limited range. Chroma is even everywhere: the encoder's flat macroblocks move it by twos. */
enum { BLACK = 16, GREY = 64, WHITE = 235, NEUTRAL = 128 };

enum {
    GLYPH_WIDTH = 8, /* font units */
    GLYPH_HEIGHT = 12,
    BALL_PIXELS_PER_SECOND = 240,
    BARS = 8,
};

struct colour {
    uint8_t y, cb, cr;
};

/* 75 % white, yellow, cyan, green, magenta, red, blue, black. */
static const struct colour bars_601[BARS] = {{180, 128, 128}, {162, 44, 142}, {131, 156, 44},
                                             {112, 72, 58},   {84, 184, 198}, {65, 100, 212},
                                             {35, 212, 114},  {16, 128, 128}};
static const struct colour bars_709[BARS] = {{180, 128, 128}, {168, 44, 136}, {145, 146, 44},
                                             {133, 64, 52},   {63, 192, 204}, {51, 110, 212},
                                             {28, 212, 120},  {16, 128, 128}};

int card_fits(unsigned width, unsigned height)
{
    return width % 2 == 0 && height % 2 == 0 && width <= CARD_WIDTH_MAX &&
           height <= CARD_HEIGHT_MAX && (width / 16) * (height / 16) >= CARD_CELLS;
}

static size_t macroblocks(unsigned width, unsigned height)
{
    return (size_t)((width + 15) / 16) * ((height + 15) / 16);
}

size_t card_memory(unsigned width, unsigned height)
{
    return macroblocks(width, height) * (sizeof(struct macroblock) + 1);
}

static void fill(struct picture *pic, unsigned mb_x, unsigned mb_y, struct colour c)
{
    size_t i = (size_t)mb_y * pic->mb_width + mb_x;

    memset(pic->mb[i].y, c.y, sizeof pic->mb[i].y);
    memset(pic->mb[i].cb, c.cb, sizeof pic->mb[i].cb);
    memset(pic->mb[i].cr, c.cr, sizeof pic->mb[i].cr);
    pic->drawn[i] = 1;
}

static void fill_rows(struct picture *pic, unsigned row, unsigned rows, unsigned column,
                      unsigned columns, struct colour c)
{
    for (unsigned y = row; y < row + rows; y++)
        for (unsigned x = column; x < column + columns; x++)
            fill(pic, x, y, c);
}

/* Luma of a rectangle. Chroma stays: what is drawn by the pixel is on neutral ground. */
static void rectangle(struct picture *pic, unsigned x, unsigned y, unsigned width, unsigned height,
                      uint8_t luma)
{
    for (unsigned end_y = y + height; y < end_y; y++) {
        for (unsigned at = x, end_x = x + width; at < end_x;) {
            size_t i = (size_t)(y / 16) * pic->mb_width + at / 16;
            unsigned n = 16 - at % 16 < end_x - at ? 16 - at % 16 : end_x - at;
            memset(pic->mb[i].y + y % 16 * 16 + at % 16, luma, n);
            pic->drawn[i] = 1;
            at += n;
        }
    }
}

/* Seven segments: top, upper right, lower right, bottom, lower left, upper left, middle. */
static const struct {
    uint8_t x, y, width, height;
} segments[7] = {{1, 1, 6, 1}, {6, 1, 1, 5}, {6, 5, 1, 6}, {1, 10, 6, 1},
                 {1, 5, 1, 6}, {1, 1, 1, 5}, {1, 5, 6, 1}};
static const uint8_t digit_segments[10] = {0x3f, 0x06, 0x5b, 0x4f, 0x66,
                                           0x6d, 0x7d, 0x07, 0x7f, 0x6f};

static void glyph(struct picture *pic, unsigned x, unsigned y, unsigned scale, char c)
{
    rectangle(pic, x, y, GLYPH_WIDTH * scale, GLYPH_HEIGHT * scale, BLACK);
    if (c == ':')
        rectangle(pic, x + 3 * scale, y + 3 * scale, 2 * scale, 2 * scale, WHITE);
    if (c == ':' || c == '.')
        rectangle(pic, x + 3 * scale, y + 8 * scale, 2 * scale, 2 * scale, WHITE);
    if (c < '0' || c > '9')
        return;
    for (unsigned s = 0; s < 7; s++)
        if (digit_segments[c - '0'] >> s & 1)
            rectangle(pic, x + segments[s].x * scale, y + segments[s].y * scale,
                      segments[s].width * scale, segments[s].height * scale, WHITE);
}

static void show(struct card *card, struct card_text *text, const char *now)
{
    for (unsigned i = 0; i < text->len; i++) {
        if (text->shown[i] == now[i])
            continue;
        text->shown[i] = now[i];
        glyph(&card->picture, text->x + i * GLYPH_WIDTH * card->scale, text->y, card->scale,
              now[i]);
    }
}

/* `width` digits that end before `end`. */
static void decimal(char *end, unsigned width, uint64_t value)
{
    while (width--) {
        *--end = (char)('0' + value % 10);
        value /= 10;
    }
}

static void draw_texts(struct card *card, uint32_t frame, uint64_t us)
{
    char clock[] = "HH:MM:SS.mmm", number[] = "4294967295";

    decimal(clock + 2, 2, us / 3600000000 % 24);
    decimal(clock + 5, 2, us / 60000000 % 60);
    decimal(clock + 8, 2, us / 1000000 % 60);
    decimal(clock + 12, 3, us / 1000 % 1000);
    decimal(number + CARD_NUMBER_LEN, CARD_NUMBER_LEN, frame);
    for (char *c = number; *c == '0' && c[1]; c++)
        *c = ' ';
    show(card, &card->clock, clock);
    show(card, &card->number, number);
}

static void draw_ball(struct card *card, uint64_t us)
{
    unsigned d = card->ball, way = card->columns * 16 - d;

    if (!d)
        return;
    uint64_t pixels =
        us / 1000000 * BALL_PIXELS_PER_SECOND + us % 1000000 * BALL_PIXELS_PER_SECOND / 1000000;
    unsigned x = (unsigned)(pixels % (2 * way));
    if (x > way)
        x = 2 * way - x;
    rectangle(&card->picture, card->ball_x, card->ball_y, d, d, GREY);
    for (unsigned line = 0; line < d; line++)
        rectangle(&card->picture, x + d / 2 - card->half[line], card->ball_y + line,
                  2u * card->half[line], 1, WHITE);
    card->ball_x = x;
}

static uint8_t crc8(const uint8_t *p, size_t n)
{
    unsigned crc = 0;

    while (n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x80 ? 0x07 : 0)) & 0xff;
    }
    return (uint8_t)crc;
}

void card_record(uint8_t record[CARD_RECORD], uint32_t frame, uint64_t us)
{
    for (unsigned i = 0; i < 4; i++)
        record[i] = (uint8_t)(frame >> (24 - 8 * i));
    for (unsigned i = 0; i < 8; i++)
        record[4 + i] = (uint8_t)(us >> (56 - 8 * i));
    record[CARD_RECORD - 1] = crc8(record, CARD_RECORD - 1);
}

static void draw_cells(struct card *card, const uint8_t record[CARD_RECORD])
{
    for (unsigned cell = 0; cell < CARD_CELLS; cell++) {
        unsigned byte = cell / 8, shift = 7 - cell % 8;
        if (!((record[byte] ^ card->record[byte]) >> shift & 1))
            continue;
        uint8_t luma = record[byte] >> shift & 1 ? WHITE : BLACK;
        fill(&card->picture, cell % card->columns, cell / card->columns,
             (struct colour){luma, NEUTRAL, NEUTRAL});
    }
    memcpy(card->record, record, CARD_RECORD);
}

static void init_text(struct card *card, struct card_text *text, unsigned row, unsigned rows,
                      unsigned len)
{
    unsigned width = (len * GLYPH_WIDTH * card->scale + 15) / 16;
    unsigned column = (card->columns - width) / 2;

    fill_rows(&card->picture, row, rows, column, width, (struct colour){BLACK, NEUTRAL, NEUTRAL});
    text->x = column * 16;
    text->y = row * 16 + (rows * 16 - GLYPH_HEIGHT * card->scale) / 2;
    text->len = len;
}

static void init_ball(struct card *card, unsigned row, unsigned rows)
{
    unsigned d = rows * 16, w = 0;

    fill_rows(&card->picture, row, rows, 0, card->picture.mb_width,
              (struct colour){GREY, NEUTRAL, NEUTRAL});
    card->ball = d;
    card->ball_y = row * 16;
    /* In half pixels, at the middle of each line: w*w + y*y <= r*r. */
    for (unsigned line = 0; line < d / 2; line++) {
        unsigned y = d - 1 - 2 * line;
        while (4 * (w + 1) * (w + 1) + y * y <= d * d)
            w++;
        card->half[line] = card->half[d - 1 - line] = (uint8_t)w;
    }
}

/* Ball, clock and number, one below the other, each `rows` macroblocks high. The largest font
 * with which all three fit, or the smallest and what fits. */
static void layout(struct card *card, unsigned top, unsigned free_rows)
{
    static const uint8_t scales[] = {4, 2, 1};
    unsigned scale = 1, rows = 1;

    for (unsigned i = 0; i < sizeof scales; i++) {
        scale = scales[i];
        rows = (GLYPH_HEIGHT * scale + 15) / 16;
        if (CARD_CLOCK_LEN * GLYPH_WIDTH * scale <= card->columns * 16 && 3 * rows <= free_rows)
            break;
    }
    card->scale = CARD_CLOCK_LEN * GLYPH_WIDTH * scale <= card->columns * 16 ? scale : 0;
    unsigned fit = free_rows / rows < 3 ? free_rows / rows : 3;
    unsigned gap = (free_rows - fit * rows) / (fit + 1);
    unsigned row = top + gap;

    if (fit > 0 && rows < card->columns)
        init_ball(card, row, rows);
    if (fit > 1 && card->scale)
        init_text(card, &card->clock, row + rows + gap, rows, CARD_CLOCK_LEN);
    if (fit > 2 && card->scale)
        init_text(card, &card->number, row + 2 * (rows + gap), rows, CARD_NUMBER_LEN);
}

void card_init(struct card *card, unsigned width, unsigned height, void *memory)
{
    const struct colour *bars = height < CARD_HD_HEIGHT ? bars_601 : bars_709;
    struct picture *pic = &card->picture;
    size_t count = macroblocks(width, height);

    memset(card, 0, sizeof *card);
    pic->mb_width = (width + 15) / 16;
    pic->mb_height = (height + 15) / 16;
    pic->mb = memory;
    pic->drawn = (uint8_t *)memory + count * sizeof(struct macroblock);
    card->columns = width / 16;
    for (unsigned x = 0; x < pic->mb_width; x++)
        fill_rows(pic, 0, pic->mb_height, x, 1, bars[x * BARS / pic->mb_width]);
    for (unsigned cell = 0; cell < CARD_CELLS; cell++) /* record[] is zero */
        fill(pic, cell % card->columns, cell / card->columns,
             (struct colour){BLACK, NEUTRAL, NEUTRAL});
    unsigned top = (CARD_CELLS + card->columns - 1) / card->columns;
    layout(card, top, height / 16 - top);
}

void card_draw(struct card *card, uint32_t frame, uint64_t us)
{
    uint8_t record[CARD_RECORD];

    card_record(record, frame, us);
    draw_cells(card, record);
    draw_ball(card, us);
    draw_texts(card, frame, us);
}
