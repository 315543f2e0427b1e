#include "capture/poc.h"

/* Enough of the sequence number to tell neighbours apart; 23 bits and 40 of count make 63. */
enum { SEQUENCE_MASK = 0x7fffff };

/* The two field order counts of a picture; of a single field both are its own. */
struct counts {
    int64_t top, bottom;
};

/* 8.2.1.1 */
static struct counts type_0(struct poc *p, const struct sps *sps, const struct slice *s)
{
    int64_t max = (int64_t)1 << sps->log2_max_poc_lsb, lsb = s->poc_lsb;
    if (s->idr)
        p->prev_msb = p->prev_lsb = 0;
    int64_t msb = p->prev_msb;
    if (lsb < p->prev_lsb && p->prev_lsb - lsb >= max / 2)
        msb += max;
    else if (lsb > p->prev_lsb && lsb - p->prev_lsb > max / 2)
        msb -= max;
    if (s->nal_ref_idc) {
        p->prev_msb = msb;
        p->prev_lsb = lsb;
    }
    return (struct counts){msb + lsb, msb + lsb + (s->field ? 0 : s->delta_poc[0])};
}

/* 8.2.1.2, 8.2.1.3: FrameNumOffset */
static int64_t num_offset(const struct poc *p, const struct sps *sps, const struct slice *s)
{
    if (s->idr)
        return 0;
    int64_t wrapped = p->prev_num > (int64_t)s->frame_num;
    int64_t offset = p->prev_num_offset + (wrapped << sps->log2_max_frame_num);
    /* No stream that keeps to 8.2.1 comes near: order counts have 32 bits. */
    return offset > INT32_MAX ? 0 : offset;
}

/* 8.2.1.2 */
static struct counts type_1(const struct sps *sps, const struct slice *s, int64_t offset)
{
    int64_t n = sps->poc_cycle_length, abs_num = n ? offset + s->frame_num : 0, expected = 0;
    if (!s->nal_ref_idc && abs_num > 0)
        abs_num--;
    if (abs_num > 0) {
        int64_t cycle_sum = 0;
        for (int64_t i = 0; i < n; i++)
            cycle_sum += sps->offset_for_ref_frame[i];
        expected = (abs_num - 1) / n * cycle_sum;
        for (int64_t i = 0; i <= (abs_num - 1) % n; i++)
            expected += sps->offset_for_ref_frame[i];
    }
    if (!s->nal_ref_idc)
        expected += sps->offset_for_non_ref_pic;
    struct counts c;
    c.top = expected + s->delta_poc[0];
    c.bottom = c.top + sps->offset_for_top_to_bottom + s->delta_poc[1];
    if (s->field && s->bottom)
        c.top = c.bottom = expected + sps->offset_for_top_to_bottom + s->delta_poc[0];
    else if (s->field)
        c.bottom = c.top;
    return c;
}

/* 8.2.1.3 */
static struct counts type_2(const struct slice *s, int64_t offset)
{
    int64_t count = s->idr ? 0 : 2 * (offset + s->frame_num) - !s->nal_ref_idc;
    return (struct counts){count, count};
}

int64_t poc_order(struct poc *p, const struct sps *sps, const struct slice *s, int reset)
{
    struct counts c;
    int64_t offset = num_offset(p, sps, s);
    if (sps->poc_type == 0)
        c = type_0(p, sps, s);
    else
        c = sps->poc_type == 1 ? type_1(sps, s, offset) : type_2(s, offset);
    p->prev_num = s->frame_num;
    p->prev_num_offset = offset;
    p->sequence += s->idr;
    int64_t count = c.top < c.bottom ? c.top : c.bottom;
    if (reset) {
        /* The picture counts from 0 once it is decoded, and frame_num with it (8.2.1, 7.4.3). */
        p->sequence++;
        p->prev_msb = 0;
        p->prev_lsb = s->field && s->bottom ? 0 : c.top - count;
        p->prev_num = p->prev_num_offset = 0;
        count = 0;
    }
    const int64_t middle = (int64_t)1 << (POC_COUNT_BITS - 1);
    if (count < -middle || count >= middle)
        count = 0;
    return (int64_t)(p->sequence & SEQUENCE_MASK) * 2 * middle + middle + count;
}
