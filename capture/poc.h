/* Picture order count (ISO/IEC 14496-10 8.2.1): the order in which decoded pictures are shown. */
#ifndef CAPTURE_POC_H
#define CAPTURE_POC_H

#include <stdint.h>

#include "capture/paramset.h"
#include "capture/slice.h"

enum { POC_COUNT_BITS = 40 }; /* of an order; above them, the sequence */

/* What the standard carries over from one picture to the next. All zero before the first. */
struct poc {
    int64_t prev_msb, prev_lsb;        /* of the last reference picture (type 0) */
    int64_t prev_num, prev_num_offset; /* of the last picture (types 1, 2) */
    uint32_t sequence;                 /* IDR pictures and resets (MMCO 5) so far */
};

/* The place of this picture in output order: pictures with a smaller value are shown earlier (but
 * where, after 2^23 sequences, the value starts over). A field and its opposite may be given the
 * same. s is the first slice of the picture's access unit, which must be known, sps its parameter
 * set; reset: the picture makes the counts begin anew (slice_resets()). Pictures in decoding
 * order. */
int64_t poc_order(struct poc *p, const struct sps *sps, const struct slice *s, int reset);

/* Orders that were counted from the same IDR picture or reset give the same. */
static inline int64_t poc_sequence(int64_t order)
{
    return order >> POC_COUNT_BITS;
}

#endif
