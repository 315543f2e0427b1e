/* The test card's parameter sets. */
#include "capture/bits.h"
#include "capture/cardenc.h"

#include <string.h>

enum { NAL_SPS = 0x67, NAL_PPS = 0x68 };

unsigned cardenc_level(unsigned width, unsigned height, struct rate rate)
{
    static const struct {
        uint32_t idc, mb_per_second, mb_per_frame, bits; /* bits: thousands a second */
    } levels[] = {
        {10, 1485, 99, 64},
        {11, 3000, 396, 192},
        {12, 6000, 396, 384},
        {13, 11880, 396, 768},
        {20, 11880, 396, 2000},
        {21, 19800, 792, 4000},
        {22, 20250, 1620, 4000},
        {30, 40500, 1620, 10000},
        {31, 108000, 3600, 14000},
        {32, 216000, 5120, 20000},
        {40, 245760, 8192, 20000},
        {41, 245760, 8192, 50000},
        {42, 522240, 8704, 50000},
        {50, 589824, 22080, 135000},
        {51, 983040, 36864, 240000},
        {52, 2073600, 36864, 240000},
        {60, 4177920, 139264, 240000},
        {61, 8355840, 139264, 480000},
        {62, 16711680, 139264, 800000},
    };
    uint32_t mbw = (width + 15) / 16, mbh = (height + 15) / 16, mbs = mbw * mbh, i = 0;

    for (; i < sizeof levels / sizeof *levels - 1; i++) {
        uint64_t frame = levels[i].mb_per_frame, den = rate.den;
        if (mbs <= frame && mbw * mbw <= 8 * frame && mbh * mbh <= 8 * frame &&
            (uint64_t)mbs * rate.num <= levels[i].mb_per_second * den &&
            (uint64_t)CARDENC_PICTURE_BITS * rate.num <= levels[i].bits * 1000 * den)
            break;
    }
    return levels[i].idc;
}

/* E.1.1 */
static void vui(struct bitwriter *w, unsigned height, struct rate rate)
{
    /* BT.709, or SMPTE 170M (Tables E-3 to E-5 use one number for all three). */
    uint32_t colour = height < CARD_HD_HEIGHT ? 6 : 1;

    bitw_u(w, 1, 1); /* aspect_ratio_info_present_flag */
    bitw_u(w, 8, 1); /* square samples */
    bitw_u(w, 1, 0); /* overscan_info_present_flag */
    bitw_u(w, 1, 1); /* video_signal_type_present_flag */
    bitw_u(w, 3, 5); /* video_format: unspecified */
    bitw_u(w, 1, 0); /* video_full_range_flag */
    bitw_u(w, 1, 1); /* colour_description_present_flag */
    for (int i = 0; i < 3; i++)
        bitw_u(w, 8, colour); /* primaries, transfer, matrix */
    bitw_u(w, 1, 0);          /* chroma_loc_info_present_flag */
    bitw_u(w, 1, 1);          /* timing_info_present_flag */
    bitw_u(w, 32, rate.den);  /* num_units_in_tick: a tick is half a frame */
    bitw_u(w, 32, 2 * rate.num);
    bitw_u(w, 1, 1); /* fixed_frame_rate_flag */
    bitw_u(w, 3, 0); /* no HRD parameters, pic_struct_present_flag 0 */
    bitw_u(w, 1, 1); /* bitstream_restriction_flag */
    bitw_u(w, 1, 0); /* motion_vectors_over_pic_boundaries_flag */
    bitw_ue(w, 0);   /* max_bytes_per_pic_denom: no limit */
    bitw_ue(w, 0);   /* max_bits_per_mb_denom: no limit */
    bitw_ue(w, 0);   /* log2_max_mv_length_horizontal, vertical: nothing moves */
    bitw_ue(w, 0);
    bitw_ue(w, 0); /* max_num_reorder_frames */
    bitw_ue(w, 1); /* max_dec_frame_buffering */
}

/* 7.3.2.1.1 */
static void sps(struct bitwriter *w, unsigned width, unsigned height, struct rate rate)
{
    unsigned mbw = (width + 15) / 16, mbh = (height + 15) / 16;
    int cropped = width % 16 || height % 16;

    bitw_u(w, 8, NAL_SPS);
    bitw_u(w, 8, 66);   /* baseline, */
    bitw_u(w, 8, 0xc0); /* and constrained baseline: constraint_set0_flag, set1_flag */
    bitw_u(w, 8, cardenc_level(width, height, rate));
    bitw_ue(w, 0); /* seq_parameter_set_id */
    bitw_ue(w, 4); /* log2_max_frame_num_minus4: frame_num has 8 bits */
    bitw_ue(w, 2); /* pic_order_cnt_type: output order is decoding order */
    bitw_ue(w, 1); /* max_num_ref_frames */
    bitw_u(w, 1, 0);
    bitw_ue(w, mbw - 1);
    bitw_ue(w, mbh - 1);
    bitw_u(w, 1, 1); /* frame_mbs_only_flag */
    bitw_u(w, 1, 1); /* direct_8x8_inference_flag */
    bitw_u(w, 1, cropped ? 1 : 0);
    if (cropped) { /* in units of two samples */
        bitw_ue(w, 0);
        bitw_ue(w, (mbw * 16 - width) / 2);
        bitw_ue(w, 0);
        bitw_ue(w, (mbh * 16 - height) / 2);
    }
    bitw_u(w, 1, 1); /* vui_parameters_present_flag */
    vui(w, height, rate);
    bitw_trailing(w);
}

/* 7.3.2.2 */
static void pps(struct bitwriter *w)
{
    bitw_u(w, 8, NAL_PPS);
    bitw_ue(w, 0);   /* pic_parameter_set_id */
    bitw_ue(w, 0);   /* seq_parameter_set_id */
    bitw_u(w, 2, 0); /* CAVLC, no delta_pic_order */
    bitw_ue(w, 0);   /* num_slice_groups_minus1 */
    bitw_ue(w, 0);   /* num_ref_idx_l0_default_active_minus1, l1 */
    bitw_ue(w, 0);
    bitw_u(w, 3, 0); /* no weighted prediction */
    bitw_se(w, 2);   /* pic_init_qp_minus26 */
    bitw_se(w, 0);   /* pic_init_qs_minus26 */
    bitw_se(w, 0);   /* chroma_qp_index_offset */
    bitw_u(w, 1, 1); /* deblocking_filter_control_present_flag */
    bitw_u(w, 2, 0); /* constrained_intra_pred_flag, redundant_pic_cnt_present_flag */
    bitw_trailing(w);
}

size_t cardenc_sets(uint8_t *out, unsigned width, unsigned height, struct rate rate)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    struct bitwriter w;
    size_t len = sizeof start_code;

    memcpy(out, start_code, sizeof start_code);
    bitw_init(&w, out + len, CARDENC_SETS_MAX - len);
    sps(&w, width, height, rate);
    len += w.len;
    memcpy(out + len, start_code, sizeof start_code);
    len += sizeof start_code;
    bitw_init(&w, out + len, CARDENC_SETS_MAX - len);
    pps(&w);
    return len + w.len;
}
