/* The slice header (ISO/IEC 14496-10 7.3.3) up to redundant_pic_cnt: enough to tell one primary
 * coded picture from the next (7.4.1.2.4). */
#ifndef CAPTURE_SLICE_H
#define CAPTURE_SLICE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/paramset.h"

enum {
    /* No header is longer up to where we read, emulation prevention bytes and all. */
    SLICE_HEADER_MAX = 64,
    /* Nor all of it, prediction weights included. */
    SLICE_WHOLE_HEADER_MAX = 2048,
};

enum slice_type { SLICE_P, SLICE_B, SLICE_I, SLICE_SP, SLICE_SI }; /* table 7-6, modulo 5 */

struct slice {
    uint8_t nal_ref_idc, idr;
    uint8_t known; /* its parameter sets were there, the fields below colour_plane are read */
    uint8_t type;  /* enum slice_type */
    uint8_t pps_id, sps_id;
    uint8_t colour_plane;
    uint8_t field, bottom;
    uint32_t first_mb;
    uint32_t frame_num, idr_pic_id;
    uint32_t poc_lsb;
    int32_t delta_poc[2]; /* type 1; with type 0, [0] is delta_pic_order_cnt_bottom */
    uint32_t redundant;   /* redundant_pic_cnt */
};

/* Reads the header of the slice NAL unit (types 1, 2, 5; header byte first) from its first `len`
 * bytes, SLICE_HEADER_MAX or the whole unit. sps[SPS_IDS] and pps[PPS_IDS] are the sets by id.
 * Returns 0, or -1 when it cannot be read; where its parameter sets are missing, 0 with known = 0.
 */
int slice_parse(const uint8_t *nal, size_t len, const struct sps *sps, const struct pps *pps,
                struct slice *out);

/* Whether the picture of this slice resets the picture order count when it is decoded
 * (memory_management_control_operation 5, 7.3.3.3). Arguments as above, but with
 * SLICE_WHOLE_HEADER_MAX; 0 where it cannot be read. */
int slice_resets(const uint8_t *nal, size_t len, const struct sps *sps, const struct pps *pps);

/* Whether b starts another primary coded picture than the one slice a belongs to (7.4.1.2.4).
 * Where one of them is not known, first_mb_in_slice = 0 is all there is to go by. */
int slice_new_picture(const struct slice *a, const struct slice *b);

#endif
