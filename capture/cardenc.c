#include "capture/cardenc.h"

#include "capture/bits.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAL_SLICE = 0x41, /* nal_ref_idc 2 */
    NAL_IDR = 0x65,
    SLICE_P = 5, /* all slices of the picture */
    SLICE_I = 7,
    I_PCM = 25,     /* Table 7-11 */
    P_INTRA = 5,    /* what intra mb_types are moved by in a P slice (Table 7-13) */
    PCM_TOTAL = 16, /* total_coeff() of a block of an I_PCM macroblock */
    I_PCM_BYTES_MAX = 384 + 4,
};

/* Intra_16x16 luma modes (Table 8-4). Chroma numbers the same three differently (Table 8-5). */
enum { LUMA_VERTICAL, LUMA_HORIZONTAL, LUMA_DC };
enum { CHROMA_DC, CHROMA_HORIZONTAL, CHROMA_VERTICAL };

static const uint8_t start_code[] = {0, 0, 0, 1};
static const uint8_t delimiter[CARDENC_AUD] = {0, 0, 0, 1, 9, 0xf0}; /* primary_pic_type 7 */

/* How to predict a flat macroblock, and the levels that make up for the prediction's error. */
struct flat {
    unsigned luma_mode, chroma_mode;
    int luma, cb, cr;
};

static size_t macroblocks(unsigned width, unsigned height)
{
    return (size_t)((width + 15) / 16) * ((height + 15) / 16);
}

size_t cardenc_memory(unsigned width, unsigned height)
{
    return macroblocks(width, height) * sizeof(struct macroblock) + (width + 15) / 16;
}

size_t cardenc_unit_max(unsigned width, unsigned height)
{
    /* Emulation prevention adds at most one byte to two. */
    return macroblocks(width, height) * I_PCM_BYTES_MAX * 3 / 2 + CARDENC_EXTRA_MAX;
}

void cardenc_init(struct cardenc *e, unsigned width, unsigned height, struct rate rate,
                  void *memory)
{
    memset(e, 0, sizeof *e);
    e->mb_width = (width + 15) / 16;
    e->mb_height = (height + 15) / 16;
    e->last = memory;
    e->coefficients = (uint8_t *)(e->last + macroblocks(width, height));
    e->sets_len = cardenc_sets(e->sets, width, height, rate);
}

void cardenc_begin(uint8_t out[CARDENC_AUD])
{
    memcpy(out, delimiter, sizeof delimiter);
}

/* 7.3.3 */
static void slice_header(struct bitwriter *w, const struct cardenc *e, int key)
{
    bitw_u(w, 8, key ? NAL_IDR : NAL_SLICE);
    bitw_ue(w, 0); /* first_mb_in_slice */
    bitw_ue(w, key ? SLICE_I : SLICE_P);
    bitw_ue(w, 0); /* pic_parameter_set_id */
    bitw_u(w, 8, e->frame_num);
    if (key) {
        bitw_ue(w, e->idr_pic_id);
        bitw_u(w, 2, 0); /* no_output_of_prior_pics_flag, long_term_reference_flag */
    } else {
        bitw_u(w, 1, 0); /* num_ref_idx_active_override_flag */
        bitw_u(w, 1, 0); /* ref_pic_list_modification_flag_l0 */
        bitw_u(w, 1, 0); /* adaptive_ref_pic_marking_mode_flag */
    }
    bitw_se(w, 0); /* slice_qp_delta */
    bitw_ue(w, 1); /* disable_deblocking_filter_idc */
}

static int is_flat(const struct macroblock *mb)
{
    return !memcmp(mb->y, mb->y + 1, sizeof mb->y - 1) &&
           !memcmp(mb->cb, mb->cb + 1, sizeof mb->cb - 1) &&
           !memcmp(mb->cr, mb->cr + 1, sizeof mb->cr - 1);
}

/* The value of n samples `step` apart, or -1 when they differ. */
static int uniform(const uint8_t *p, size_t step, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        if (p[i * step] != p[0])
            return -1;
    return p[0];
}

static unsigned sum(const uint8_t *p, size_t step, unsigned n)
{
    unsigned total = 0;

    for (unsigned i = 0; i < n; i++)
        total += p[i * step];
    return total;
}

/* 8.3.3.3 */
static int luma_dc(const struct macroblock *left, const struct macroblock *up)
{
    unsigned total = (left ? sum(left->y + 15, 16, 16) : 0) + (up ? sum(up->y + 240, 1, 16) : 0);

    if (left && up)
        return (int)((total + 16) >> 5);
    return left || up ? (int)((total + 8) >> 4) : 128;
}

static void predict_luma(struct flat *f, int y, const struct macroblock *left,
                         const struct macroblock *up)
{
    int above = up ? uniform(up->y + 240, 1, 16) : -1;
    int beside = left ? uniform(left->y + 15, 16, 16) : -1;

    f->luma_mode = LUMA_DC;
    f->luma = y - luma_dc(left, up);
    if (beside >= 0 && abs(y - beside) <= abs(f->luma)) {
        f->luma_mode = LUMA_HORIZONTAL;
        f->luma = y - beside;
    }
    if (above >= 0 && abs(y - above) <= abs(f->luma)) {
        f->luma_mode = LUMA_VERTICAL;
        f->luma = y - above;
    }
}

/* One candidate for chroma: usable when it predicts one even difference a plane, taken when it is
 * smaller than what there was (`found`). */
static int try_chroma(struct flat *f, int found, unsigned mode, int d_cb, int d_cr)
{
    if (d_cb % 2 || d_cr % 2)
        return found;
    if (found && abs(d_cb) + abs(d_cr) >= 2 * (abs(f->cb) + abs(f->cr)))
        return 1;
    f->chroma_mode = mode;
    f->cb = d_cb / 2;
    f->cr = d_cr / 2;
    return 1;
}

/* 8.3.4. The DC mode is of use only without neighbours: with them it predicts one value for the
 * whole plane only where the other two do so as well. 0 when no mode is exact. */
static int predict_chroma(struct flat *f, int cb, int cr, const struct macroblock *left,
                          const struct macroblock *up)
{
    int found = 0;

    if (!left && !up)
        found = try_chroma(f, found, CHROMA_DC, cb - 128, cr - 128);
    if (left) {
        int l_cb = uniform(left->cb + 7, 8, 8), l_cr = uniform(left->cr + 7, 8, 8);
        if (l_cb >= 0 && l_cr >= 0)
            found = try_chroma(f, found, CHROMA_HORIZONTAL, cb - l_cb, cr - l_cr);
    }
    if (up) {
        int u_cb = uniform(up->cb + 56, 1, 8), u_cr = uniform(up->cr + 56, 1, 8);
        if (u_cb >= 0 && u_cr >= 0)
            found = try_chroma(f, found, CHROMA_VERTICAL, cb - u_cb, cr - u_cr);
    }
    return found;
}

/* A code of Table 9-5: its length and value. */
struct vlc {
    uint8_t len, bits;
};

/* A block whose only level that may differ from zero is the first (7.3.5.3.2). `tokens`:
 * coeff_token for no coefficient, for one, and for one that is a trailing one. */
static void dc_block(struct bitwriter *w, const struct vlc tokens[3], int level)
{
    const struct vlc *token = &tokens[level == 0 ? 0 : abs(level) == 1 ? 2 : 1];

    bitw_u(w, token->len, token->bits);
    if (level == 0)
        return;
    if (abs(level) == 1) {
        bitw_u(w, 1, level < 0); /* trailing_ones_sign_flag */
    } else {
        /* 9.2.2.1 backwards, suffixLength 0; 1 and -1 are not possible, so code 0 is 2. */
        unsigned code = 2 * (unsigned)abs(level) - 4 + (level < 0);
        if (code < 14) {
            bitw_u(w, code + 1, 1);
        } else if (code < 30) {
            bitw_u(w, 15, 1);
            bitw_u(w, 4, code - 14);
        } else {
            bitw_u(w, 16, 1);
            bitw_u(w, 12, code - 30);
        }
    }
    bitw_u(w, 1, 1); /* total_zeros 0, the same code in Tables 9-7 and 9-9 */
}

static void write_flat(struct bitwriter *w, const struct flat *f, unsigned nc, int key)
{
    static const struct vlc few[] = {{1, 1}, {6, 5}, {2, 1}};    /* 0 <= nC < 2 */
    static const struct vlc many[] = {{6, 3}, {6, 0}, {6, 1}};   /* 8 <= nC */
    static const struct vlc chroma[] = {{2, 1}, {6, 7}, {1, 1}}; /* nC = -1 */
    unsigned pattern = f->cb || f->cr;                           /* CodedBlockPatternChroma */

    bitw_ue(w, 1 + f->luma_mode + 4 * pattern + (key ? 0 : P_INTRA));
    bitw_ue(w, f->chroma_mode);
    bitw_se(w, 0); /* mb_qp_delta */
    dc_block(w, nc < 2 ? few : many, f->luma);
    if (pattern) {
        dc_block(w, chroma, f->cb);
        dc_block(w, chroma, f->cr);
    }
}

/* nC of 9.2.1. Only I_PCM counts: Intra_16x16 here has no AC levels, and its DC levels are not
 * those of a block. So nC is 0, 8 or 16. */
static unsigned block_context(const struct cardenc *e, unsigned x, unsigned y)
{
    if (x && y)
        return (e->coefficients[x - 1] + e->coefficients[x] + 1u) >> 1;
    return x ? e->coefficients[x - 1] : y ? e->coefficients[x] : 0;
}

static void write_macroblock(struct cardenc *e, struct bitwriter *w, const struct macroblock *mb,
                             unsigned x, unsigned y, int key)
{
    struct macroblock *last = &e->last[(size_t)y * e->mb_width + x];
    const struct macroblock *left = x ? last - 1 : NULL, *up = y ? last - e->mb_width : NULL;
    struct flat f = {0};

    if (is_flat(mb) && predict_chroma(&f, mb->cb[0], mb->cr[0], left, up)) {
        predict_luma(&f, mb->y[0], left, up);
        write_flat(w, &f, block_context(e, x, y), key);
        e->coefficients[x] = 0;
    } else {
        bitw_ue(w, I_PCM + (key ? 0 : P_INTRA));
        bitw_align(w);
        bitw_raw(w, mb->y, sizeof mb->y);
        bitw_raw(w, mb->cb, sizeof mb->cb);
        bitw_raw(w, mb->cr, sizeof mb->cr);
        e->coefficients[x] = PCM_TOTAL;
    }
    *last = *mb;
}

/* 7.3.4 */
static void slice_data(struct cardenc *e, struct bitwriter *w, struct picture *pic, int key)
{
    uint32_t skipped = 0;
    size_t i = 0;

    for (unsigned y = 0; y < e->mb_height; y++) {
        for (unsigned x = 0; x < e->mb_width; x++, i++) {
            if (!key && (!pic->drawn[i] || !memcmp(&pic->mb[i], &e->last[i], sizeof *pic->mb))) {
                e->coefficients[x] = 0;
                skipped++;
                continue;
            }
            if (!key)
                bitw_ue(w, skipped);
            skipped = 0;
            write_macroblock(e, w, &pic->mb[i], x, y, key);
        }
    }
    if (skipped)
        bitw_ue(w, skipped);
    memset(pic->drawn, 0, i);
}

static size_t append(uint8_t *out, size_t len, const uint8_t *p, size_t n)
{
    memcpy(out + len, p, n);
    return len + n;
}

size_t cardenc_unit(struct cardenc *e, struct picture *pic, int key, const struct misb_stamp *stamp,
                    uint8_t *out)
{
    size_t max = cardenc_unit_max(e->mb_width * 16, e->mb_height * 16), len = 0;
    struct bitwriter w;

    key = key || !e->started;
    e->frame_num = key ? 0 : (uint8_t)(e->frame_num + 1);
    if (key)
        len = append(out, len, e->sets, e->sets_len);
    len = append(out, len, start_code, sizeof start_code);
    len += misb_write(out + len, stamp);
    len = append(out, len, start_code, sizeof start_code);
    bitw_init(&w, out + len, max - len - sizeof delimiter);
    slice_header(&w, e, key);
    slice_data(e, &w, pic, key);
    bitw_trailing(&w);
    e->started = 1;
    e->idr_pic_id ^= key != 0;
    return append(out, len + w.len, delimiter, sizeof delimiter);
}
