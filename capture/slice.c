#include "capture/slice.h"

#include <string.h>

#include "capture/bits.h"
#include "capture/nal.h"

/* The header up to redundant_pic_cnt; leaves the reader behind it. */
static int read_front(struct bits *b, const uint8_t *nal, size_t len, const struct sps *sps,
                      const struct pps *pps, struct slice *out)
{
    memset(out, 0, sizeof *out);
    if (len < 2)
        return -1;
    out->nal_ref_idc = (uint8_t)nal_ref_idc(nal[0]);
    out->idr = nal_type(nal[0]) == NAL_IDR;
    bits_init(b, nal + 1, len - 1);
    out->first_mb = bits_ue(b);
    uint32_t type = bits_ue(b), pps_id = bits_ue(b);
    if (b->bad || type > 9 || pps_id >= PPS_IDS)
        return -1;
    out->type = (uint8_t)(type % 5);
    out->pps_id = (uint8_t)pps_id;
    const struct pps *p = &pps[pps_id];
    const struct sps *s = &sps[p->sps_id];
    if (!p->valid || !s->valid)
        return 0;
    out->sps_id = p->sps_id;
    if (s->separate_colour_plane)
        out->colour_plane = (uint8_t)bits_u(b, 2);
    out->frame_num = bits_u(b, s->log2_max_frame_num);
    if (!s->frame_mbs_only) {
        out->field = (uint8_t)bits_u(b, 1);
        if (out->field)
            out->bottom = (uint8_t)bits_u(b, 1);
    }
    if (out->idr)
        out->idr_pic_id = bits_ue(b);
    int both = p->bottom_field_pic_order && !out->field;
    if (s->poc_type == 0) {
        out->poc_lsb = bits_u(b, s->log2_max_poc_lsb);
        if (both)
            out->delta_poc[0] = bits_se(b);
    } else if (s->poc_type == 1 && !s->delta_pic_order_always_zero) {
        out->delta_poc[0] = bits_se(b);
        if (both)
            out->delta_poc[1] = bits_se(b);
    }
    if (p->redundant_pic_cnt_present)
        out->redundant = bits_ue(b);
    out->known = !b->bad;
    return b->bad ? -1 : 0;
}

int slice_parse(const uint8_t *nal, size_t len, const struct sps *sps, const struct pps *pps,
                struct slice *out)
{
    struct bits b;
    return read_front(&b, nal, len, sps, pps, out);
}

static void skip_list_modification(struct bits *b)
{
    if (!bits_u(b, 1))
        return;
    while (!b->bad && bits_ue(b) != 3)
        bits_ue(b);
}

/* 7.3.3.2 */
static void skip_weights(struct bits *b, const struct sps *s, const uint32_t refs[2], int lists)
{
    int chroma = s->chroma_format_idc && !s->separate_colour_plane;
    bits_ue(b);
    if (chroma)
        bits_ue(b);
    for (int list = 0; list < lists; list++)
        for (uint32_t i = 0; i < refs[list] && !b->bad; i++) {
            if (bits_u(b, 1)) {
                bits_se(b);
                bits_se(b);
            }
            if (chroma && bits_u(b, 1))
                for (int k = 0; k < 4; k++)
                    bits_se(b);
        }
}

/* 7.3.3.1, 7.3.3.2: from redundant_pic_cnt to dec_ref_pic_marking(). */
static void skip_prediction(struct bits *b, const struct sps *s, const struct pps *p, int type)
{
    uint32_t refs[2] = {p->refs_default[0], p->refs_default[1]};
    int lists = type == SLICE_B ? 2 : type == SLICE_P || type == SLICE_SP ? 1 : 0;
    if (type == SLICE_B)
        bits_u(b, 1); /* direct_spatial_mv_pred_flag */
    if (lists && bits_u(b, 1))
        for (int list = 0; list < lists; list++)
            refs[list] = bits_ue(b) + 1;
    for (int list = 0; list < lists; list++)
        skip_list_modification(b);
    if (refs[0] > REFS_MAX || refs[1] > REFS_MAX)
        b->bad = 1;
    if ((p->weighted_pred && lists == 1) || (p->weighted_bipred_idc == 1 && lists == 2))
        skip_weights(b, s, refs, lists);
}

int slice_resets(const uint8_t *nal, size_t len, const struct sps *sps, const struct pps *pps)
{
    struct bits b;
    struct slice s;
    if (read_front(&b, nal, len, sps, pps, &s) < 0 || !s.known || s.idr || !s.nal_ref_idc)
        return 0;
    skip_prediction(&b, &sps[s.sps_id], &pps[s.pps_id], s.type);
    if (!bits_u(&b, 1)) /* adaptive_ref_pic_marking_mode_flag */
        return 0;
    while (!b.bad) {
        uint32_t operation = bits_ue(&b);
        if (operation == 5 && !b.bad)
            return 1;
        if (operation == 0 || operation > 6)
            return 0;
        bits_ue(&b);
        if (operation == 3)
            bits_ue(&b);
    }
    return 0;
}

int slice_new_picture(const struct slice *a, const struct slice *b)
{
    if (!a->known || !b->known)
        return b->first_mb == 0;
    if (b->redundant)
        return 0;
    return a->frame_num != b->frame_num || a->pps_id != b->pps_id || a->sps_id != b->sps_id ||
           a->field != b->field || a->bottom != b->bottom ||
           (a->nal_ref_idc == 0) != (b->nal_ref_idc == 0) || a->poc_lsb != b->poc_lsb ||
           a->delta_poc[0] != b->delta_poc[0] || a->delta_poc[1] != b->delta_poc[1] ||
           a->idr != b->idr || (a->idr && a->idr_pic_id != b->idr_pic_id);
}
