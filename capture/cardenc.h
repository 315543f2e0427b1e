/* The test card's encoder: constrained baseline H.264 written directly (ISO/IEC 14496-10), exact
 * to the sample. A macroblock of one colour is Intra_16x16 with at most one DC level a plane, any
 * other is I_PCM, one that equals the last coded picture is P_Skip.
 *
 * Why QP 28: LevelScale(28 % 6, 0, 0) is 256, so a luma DC level of n moves the macroblock by
 * n (8.5.10: 256n shifted right by 2, then by 6) and a chroma DC level of n by 2n (8.5.11.2: 256n
 * shifted left by 4 and right by 5, then right by 6). */
#ifndef CAPTURE_CARDENC_H
#define CAPTURE_CARDENC_H

#include "capture/card.h"
#include "capture/misb.h"
#include "capture/rate.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CARDENC_AUD = 6,              /* bytes of an access unit delimiter with its start code */
    CARDENC_SETS_MAX = 128,       /* SPS and PPS */
    CARDENC_EXTRA_MAX = 512,      /* everything in an access unit but macroblocks */
    CARDENC_PICTURE_BITS = 90000, /* more than pictures of any size take, on average */
};

struct cardenc {
    unsigned mb_width, mb_height;
    struct macroblock *last; /* the last coded picture, as a decoder has it */
    uint8_t *coefficients;   /* total_coeff() for nC (9.2.1), of the macroblock row above */
    uint8_t sets[CARDENC_SETS_MAX];
    size_t sets_len;
    uint8_t frame_num; /* modulo MaxFrameNum, 256 */
    uint8_t idr_pic_id;
    int started;
};

/* Bytes that cardenc_init() needs, and the largest access unit with its delimiter. */
size_t cardenc_memory(unsigned width, unsigned height);
size_t cardenc_unit_max(unsigned width, unsigned height);

/* A size that card_fits(). `memory`, aligned as malloc does, stays the caller's. */
void cardenc_init(struct cardenc *e, unsigned width, unsigned height, struct rate rate,
                  void *memory);

/* The delimiter that a stream begins with: start code, access unit delimiter. */
void cardenc_begin(uint8_t out[CARDENC_AUD]);

/* Writes one access unit with start codes: at a keyframe SPS and PPS, the stamp, the slice, and
 * then the delimiter of the next access unit. The first one is always a keyframe. Clears
 * picture->drawn. Returns the length; `out` holds cardenc_unit_max() bytes. */
size_t cardenc_unit(struct cardenc *e, struct picture *picture, int key,
                    const struct misb_stamp *stamp, uint8_t *out);

/* Writes SPS and PPS with start codes (CARDENC_SETS_MAX bytes at most), returns their length. */
size_t cardenc_sets(uint8_t *out, unsigned width, unsigned height, struct rate rate);

/* level_idc of Table A-1: the lowest that has the frame size, its sides, the macroblocks a second,
 * and the bits a second at one keyframe a second. */
unsigned cardenc_level(unsigned width, unsigned height, struct rate rate);

#endif
