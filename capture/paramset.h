/* Sequence and picture parameter sets (ISO/IEC 14496-10 7.3.2.1, 7.3.2.2, E.1.1): what it takes to
 * find access units, to describe the video in a file and to know its rate. */
#ifndef CAPTURE_PARAMSET_H
#define CAPTURE_PARAMSET_H

#include <stddef.h>
#include <stdint.h>

enum {
    SPS_IDS = 32,
    PPS_IDS = 256,
    DPB_FRAMES_MAX = 16,      /* A.3.1 */
    REFS_MAX = 32,            /* entries of a reference picture list */
    PICTURE_SIDE_MAX = 16384, /* luma samples; larger than any level allows is refused */
};

struct sps {
    uint8_t valid;
    uint8_t id;
    uint8_t profile_idc, constraint_flags, level_idc;
    uint8_t chroma_format_idc, bit_depth_luma, bit_depth_chroma;
    uint8_t separate_colour_plane;
    uint8_t log2_max_frame_num;
    uint8_t poc_type, log2_max_poc_lsb;
    uint8_t delta_pic_order_always_zero;
    uint8_t poc_cycle_length; /* num_ref_frames_in_pic_order_cnt_cycle */
    int32_t offset_for_non_ref_pic, offset_for_top_to_bottom;
    int32_t offset_for_ref_frame[255];
    uint8_t frame_mbs_only, mb_adaptive_frame_field;
    uint16_t width, height;         /* luma samples after cropping */
    uint16_t sar_width, sar_height; /* sample aspect ratio; 0:0 when not said */
    uint8_t has_colour;             /* the four below are said */
    uint8_t full_range, colour_primaries, transfer, matrix;
    uint32_t num_units_in_tick, time_scale; /* 0 when not said; frame rate = scale / units / 2 */
    int8_t reorder_frames;          /* max_num_reorder_frames, 0 to DPB_FRAMES_MAX; -1: not said */
    uint32_t max_bitrate, cpb_bits; /* of the NAL HRD (E.2.2), bits a second, bits; 0: not said */
};

struct pps {
    uint8_t valid;
    uint8_t id, sps_id;
    uint8_t bottom_field_pic_order; /* bottom_field_pic_order_in_frame_present_flag */
    uint8_t redundant_pic_cnt_present;
    uint8_t weighted_pred, weighted_bipred_idc;
    uint8_t refs_default[2]; /* num_ref_idx_lX_default_active_minus1 + 1 */
};

/* Both take a whole NAL unit, header byte first, with its emulation prevention bytes, and return 0,
 * or -1 when it is cut short or breaks a limit of the standard; *out is then not valid. A damaged
 * VUI loses only what comes from the VUI. */
int sps_parse(const uint8_t *nal, size_t len, struct sps *out);
int pps_parse(const uint8_t *nal, size_t len, struct pps *out);

#endif
