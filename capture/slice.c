#include "capture/slice.h"

#include <string.h>

#include "capture/bits.h"
#include "capture/nal.h"

int slice_parse(const uint8_t *nal, size_t len, const struct sps *sps, const struct pps *pps,
                struct slice *out)
{
    struct bits b;
    memset(out, 0, sizeof *out);
    if (len < 2)
        return -1;
    out->nal_ref_idc = (uint8_t)nal_ref_idc(nal[0]);
    out->idr = nal_type(nal[0]) == NAL_IDR;
    bits_init(&b, nal + 1, len - 1);
    out->first_mb = bits_ue(&b);
    uint32_t type = bits_ue(&b), pps_id = bits_ue(&b);
    if (b.bad || type > 9 || pps_id >= PPS_IDS)
        return -1;
    out->type = (uint8_t)(type % 5);
    out->pps_id = (uint8_t)pps_id;
    const struct pps *p = &pps[pps_id];
    const struct sps *s = &sps[p->sps_id];
    if (!p->valid || !s->valid)
        return 0;
    out->sps_id = p->sps_id;
    if (s->separate_colour_plane)
        out->colour_plane = (uint8_t)bits_u(&b, 2);
    out->frame_num = bits_u(&b, s->log2_max_frame_num);
    if (!s->frame_mbs_only) {
        out->field = (uint8_t)bits_u(&b, 1);
        if (out->field)
            out->bottom = (uint8_t)bits_u(&b, 1);
    }
    if (out->idr)
        out->idr_pic_id = bits_ue(&b);
    int both = p->bottom_field_pic_order && !out->field;
    if (s->poc_type == 0) {
        out->poc_lsb = bits_u(&b, s->log2_max_poc_lsb);
        if (both)
            out->delta_poc[0] = bits_se(&b);
    } else if (s->poc_type == 1 && !s->delta_pic_order_always_zero) {
        out->delta_poc[0] = bits_se(&b);
        if (both)
            out->delta_poc[1] = bits_se(&b);
    }
    if (p->redundant_pic_cnt_present)
        out->redundant = bits_ue(&b);
    out->known = !b.bad;
    return b.bad ? -1 : 0;
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
