#include "capture/paramset.h"

#include <string.h>

#include "capture/bits.h"

enum { EXTENDED_SAR = 255 };

/* Table E-1, aspect_ratio_idc 1 to 16. */
static const uint8_t sample_aspect[17][2] = {
    {0, 0},   {1, 1},   {12, 11}, {10, 11}, {16, 11},  {40, 33}, {24, 11}, {20, 11}, {32, 11},
    {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1},
};

/* 7.3.2.1.1: the profiles whose SPS says its chroma format. */
static int has_chroma_format(uint8_t profile)
{
    static const uint8_t profiles[] = {100, 110, 122, 244, 44,  83, 86,
                                       118, 128, 138, 139, 134, 135};
    return memchr(profiles, profile, sizeof profiles) != NULL;
}

static void skip_scaling_list(struct bits *b, int size)
{
    int last = 8, next = 8;
    for (int i = 0; i < size && !b->bad; i++) {
        if (next) {
            int delta = bits_se(b);
            if (delta < -128 || delta > 127) {
                b->bad = 1;
                return;
            }
            next = (last + delta) & 255;
        }
        if (next)
            last = next;
    }
}

static void parse_chroma_format(struct bits *b, struct sps *s)
{
    uint32_t format = bits_ue(b);
    if (format > 3)
        b->bad = 1;
    s->chroma_format_idc = (uint8_t)format;
    if (format == 3)
        s->separate_colour_plane = (uint8_t)bits_u(b, 1);
    uint32_t luma = bits_ue(b), chroma = bits_ue(b);
    if (luma > 6 || chroma > 6)
        b->bad = 1;
    s->bit_depth_luma = (uint8_t)(8 + luma);
    s->bit_depth_chroma = (uint8_t)(8 + chroma);
    bits_u(b, 1); /* qpprime_y_zero_transform_bypass_flag */
    if (!bits_u(b, 1))
        return;
    int lists = format == 3 ? 12 : 8;
    for (int i = 0; i < lists && !b->bad; i++)
        if (bits_u(b, 1))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

/* log2_max_frame_num_minus4 and its like. */
static uint8_t log2_max(struct bits *b)
{
    uint32_t minus4 = bits_ue(b);
    if (minus4 > 12)
        b->bad = 1;
    return (uint8_t)(minus4 + 4);
}

static void parse_poc_type(struct bits *b, struct sps *s)
{
    uint32_t type = bits_ue(b);
    if (type > 2)
        b->bad = 1;
    s->poc_type = (uint8_t)type;
    if (type == 0) {
        s->log2_max_poc_lsb = log2_max(b);
    } else if (type == 1) {
        s->delta_pic_order_always_zero = (uint8_t)bits_u(b, 1);
        s->offset_for_non_ref_pic = bits_se(b);
        s->offset_for_top_to_bottom = bits_se(b);
        uint32_t cycle = bits_ue(b);
        if (cycle > 255)
            b->bad = 1;
        s->poc_cycle_length = (uint8_t)cycle;
        for (uint32_t i = 0; i < cycle && !b->bad; i++)
            s->offset_for_ref_frame[i] = bits_se(b);
    }
}

/* 7.4.2.1.1: the cropping window counts chroma samples, and fields count double. */
static void parse_size(struct bits *b, struct sps *s)
{
    uint32_t mbs = bits_ue(b), map_units = bits_ue(b);
    s->frame_mbs_only = (uint8_t)bits_u(b, 1);
    if (!s->frame_mbs_only)
        s->mb_adaptive_frame_field = (uint8_t)bits_u(b, 1);
    bits_u(b, 1); /* direct_8x8_inference_flag */
    uint32_t fields = 2u - s->frame_mbs_only;
    if (b->bad || mbs >= PICTURE_SIDE_MAX / 16 || map_units >= PICTURE_SIDE_MAX / 16 / fields) {
        b->bad = 1;
        return;
    }
    uint32_t width = (mbs + 1) * 16, height = (map_units + 1) * 16 * fields;
    if (bits_u(b, 1)) {
        int mono = s->chroma_format_idc == 0 || s->separate_colour_plane;
        uint32_t unit_x = !mono && s->chroma_format_idc < 3 ? 2 : 1;
        uint32_t unit_y = (!mono && s->chroma_format_idc < 2 ? 2 : 1) * fields;
        uint64_t left = bits_ue(b), right = bits_ue(b), top = bits_ue(b), bottom = bits_ue(b);
        if ((left + right) * unit_x >= width || (top + bottom) * unit_y >= height) {
            b->bad = 1;
            return;
        }
        width -= (uint32_t)(left + right) * unit_x;
        height -= (uint32_t)(top + bottom) * unit_y;
    }
    s->width = (uint16_t)width;
    s->height = (uint16_t)height;
}

static void parse_aspect(struct bits *b, struct sps *s)
{
    uint32_t idc = bits_u(b, 8);
    if (idc == EXTENDED_SAR) {
        s->sar_width = (uint16_t)bits_u(b, 16);
        s->sar_height = (uint16_t)bits_u(b, 16);
    } else if (idc < sizeof sample_aspect / sizeof sample_aspect[0]) {
        s->sar_width = sample_aspect[idc][0];
        s->sar_height = sample_aspect[idc][1];
    }
}

/* E.1.2, E.2.2: bits a second and bits of the schedule of the highest rate. */
static void parse_hrd(struct bits *b, uint32_t *bitrate, uint32_t *cpb_bits)
{
    uint32_t schedules = bits_ue(b) + 1;
    unsigned rate_scale = 6 + bits_u(b, 4), size_scale = 4 + bits_u(b, 4);

    if (schedules > 32)
        b->bad = 1;
    for (uint32_t i = 0; i < schedules && !b->bad; i++) {
        uint64_t rate = ((uint64_t)bits_ue(b) + 1) << rate_scale;
        uint64_t size = ((uint64_t)bits_ue(b) + 1) << size_scale;

        bits_u(b, 1); /* cbr_flag */
        if (rate > *bitrate && rate <= UINT32_MAX && size <= UINT32_MAX) {
            *bitrate = (uint32_t)rate;
            *cpb_bits = (uint32_t)size;
        }
    }
    bits_u(b, 20); /* lengths of delays */
}

static void parse_restriction(struct bits *b, struct sps *s)
{
    bits_u(b, 1);
    for (int i = 0; i < 4; i++)
        bits_ue(b);
    uint32_t frames = bits_ue(b);
    if (frames > DPB_FRAMES_MAX)
        b->bad = 1;
    else
        s->reorder_frames = (int8_t)frames;
    bits_ue(b); /* max_dec_frame_buffering */
}

/* E.1.1, as far as the timing. */
static void parse_vui(struct bits *b, struct sps *s)
{
    if (bits_u(b, 1))
        parse_aspect(b, s);
    if (bits_u(b, 1)) /* overscan_info_present_flag */
        bits_u(b, 1);
    if (bits_u(b, 1)) { /* video_signal_type_present_flag */
        bits_u(b, 3);
        s->full_range = (uint8_t)bits_u(b, 1);
        if (bits_u(b, 1)) {
            s->has_colour = 1;
            s->colour_primaries = (uint8_t)bits_u(b, 8);
            s->transfer = (uint8_t)bits_u(b, 8);
            s->matrix = (uint8_t)bits_u(b, 8);
        }
    }
    if (bits_u(b, 1)) { /* chroma_loc_info_present_flag */
        bits_ue(b);
        bits_ue(b);
    }
    if (bits_u(b, 1)) { /* timing_info_present_flag */
        s->num_units_in_tick = bits_u(b, 32);
        s->time_scale = bits_u(b, 32);
        bits_u(b, 1);
    }
}

/* E.1.1, what lies behind the timing: how pictures are buffered. */
static void parse_buffering(struct bits *b, struct sps *s)
{
    uint32_t vcl_bitrate = 0, vcl_bits = 0;
    int nal_hrd = (int)bits_u(b, 1);

    if (nal_hrd)
        parse_hrd(b, &s->max_bitrate, &s->cpb_bits);
    int vcl_hrd = (int)bits_u(b, 1);
    if (vcl_hrd)
        parse_hrd(b, &vcl_bitrate, &vcl_bits);
    if (nal_hrd || vcl_hrd)
        bits_u(b, 1); /* low_delay_hrd_flag */
    bits_u(b, 1);     /* pic_struct_present_flag */
    if (bits_u(b, 1)) /* bitstream_restriction_flag */
        parse_restriction(b, s);
}

/* E.2.1, max_num_reorder_frames not said: the intra profiles and order count type 2 know. */
static int8_t inferred_reorder(const struct sps *s)
{
    static const uint8_t profiles[] = {44, 86, 100, 110, 122, 244};
    int intra = memchr(profiles, s->profile_idc, sizeof profiles) && s->constraint_flags & 0x10;

    return intra || s->poc_type == 2 ? 0 : -1;
}

int sps_parse(const uint8_t *nal, size_t len, struct sps *out)
{
    struct bits b;
    memset(out, 0, sizeof *out);
    if (len < 4)
        return -1;
    bits_init(&b, nal + 1, len - 1);
    out->profile_idc = (uint8_t)bits_u(&b, 8);
    out->constraint_flags = (uint8_t)bits_u(&b, 8);
    out->level_idc = (uint8_t)bits_u(&b, 8);
    uint32_t id = bits_ue(&b);
    if (id >= SPS_IDS)
        return -1;
    out->id = (uint8_t)id;
    out->chroma_format_idc = 1;
    out->bit_depth_luma = out->bit_depth_chroma = 8;
    if (has_chroma_format(out->profile_idc))
        parse_chroma_format(&b, out);
    out->log2_max_frame_num = log2_max(&b);
    parse_poc_type(&b, out);
    bits_ue(&b);   /* max_num_ref_frames */
    bits_u(&b, 1); /* gaps_in_frame_num_value_allowed_flag */
    parse_size(&b, out);
    int has_vui = (int)bits_u(&b, 1);
    if (!has_vui)
        bits_u(&b, 1); /* the stop bit, or it was cut short */
    if (b.bad)
        return -1;
    out->valid = 1;
    out->reorder_frames = inferred_reorder(out);
    if (has_vui) {
        struct sps whole = *out;
        parse_vui(&b, out);
        if (!b.bad) {
            whole = *out;
            parse_buffering(&b, out);
        }
        if (b.bad)
            *out = whole;
    }
    return 0;
}

/* 7.3.2.2: slice groups (FMO) are read only to get past them. */
static void skip_slice_groups(struct bits *b, uint32_t groups)
{
    uint32_t type = bits_ue(b);
    if (type == 0) {
        for (uint32_t i = 0; i < groups; i++)
            bits_ue(b);
    } else if (type == 2) {
        for (uint32_t i = 0; i < 2 * (groups - 1); i++)
            bits_ue(b);
    } else if (type >= 3 && type <= 5) {
        bits_u(b, 1);
        bits_ue(b);
    } else if (type == 6) {
        unsigned width = groups > 4 ? 3 : groups > 2 ? 2 : 1;
        uint32_t units = bits_ue(b);
        for (uint64_t i = 0; i <= units && !b->bad; i++)
            bits_u(b, width);
    } else if (type != 1) {
        b->bad = 1;
    }
}

int pps_parse(const uint8_t *nal, size_t len, struct pps *out)
{
    struct bits b;
    memset(out, 0, sizeof *out);
    if (len < 2)
        return -1;
    bits_init(&b, nal + 1, len - 1);
    uint32_t id = bits_ue(&b), sps_id = bits_ue(&b);
    if (id >= PPS_IDS || sps_id >= SPS_IDS)
        return -1;
    out->id = (uint8_t)id;
    out->sps_id = (uint8_t)sps_id;
    bits_u(&b, 1); /* entropy_coding_mode_flag */
    out->bottom_field_pic_order = (uint8_t)bits_u(&b, 1);
    uint32_t groups = bits_ue(&b) + 1;
    if (groups > 8)
        return -1;
    if (groups > 1)
        skip_slice_groups(&b, groups);
    for (int list = 0; list < 2; list++) {
        uint32_t minus1 = bits_ue(&b);
        if (minus1 >= REFS_MAX)
            return -1;
        out->refs_default[list] = (uint8_t)(minus1 + 1);
    }
    out->weighted_pred = (uint8_t)bits_u(&b, 1);
    out->weighted_bipred_idc = (uint8_t)bits_u(&b, 2);
    bits_se(&b);
    bits_se(&b);
    bits_se(&b);
    bits_u(&b, 2); /* deblocking_filter_control_present_flag, constrained_intra_pred_flag */
    out->redundant_pic_cnt_present = (uint8_t)bits_u(&b, 1);
    bits_u(&b, 1); /* what follows or the stop bit, or it was cut short */
    if (b.bad)
        return -1;
    out->valid = 1;
    return 0;
}
