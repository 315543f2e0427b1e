/* NAL unit types (ISO/IEC 14496-10 table 7-1) and the Annex-B byte stream's start codes (B.1). */
#ifndef CAPTURE_NAL_H
#define CAPTURE_NAL_H

#include <stddef.h>
#include <stdint.h>

enum nal_type {
    NAL_SLICE = 1,
    NAL_PARTITION_A = 2,
    NAL_PARTITION_B = 3,
    NAL_PARTITION_C = 4,
    NAL_IDR = 5,
    NAL_SEI = 6,
    NAL_SPS = 7,
    NAL_PPS = 8,
    NAL_AUD = 9,
    NAL_END_SEQUENCE = 10,
    NAL_END_STREAM = 11,
    NAL_FILLER = 12,
    NAL_SPS_EXTENSION = 13,
    NAL_PREFIX = 14,
    NAL_SUBSET_SPS = 15,
    NAL_RESERVED_18 = 18,
    NAL_AUXILIARY = 19,
    NAL_SLICE_EXTENSION = 20,
};

static inline enum nal_type nal_type(uint8_t header)
{
    return (enum nal_type)(header & 0x1f);
}

static inline unsigned nal_ref_idc(uint8_t header)
{
    return (header >> 5) & 3;
}

/* Finds the next 00 00 01 in p[0, len) and returns its offset, or len when there is none that is
 * whole. Never looks outside p[0, len). */
size_t nal_start_code(const uint8_t *p, size_t len);

#endif
