/* Capture time inside the H.264 itself: the MISB ST 0604 precision time stamp, an SEI message
 * user_data_unregistered (payload type 5, ISO/IEC 14496-10 D.1.6) with the UUID "MISPmicrosectime":
 *
 *   16 bytes UUID | status | us[63:48] FF us[47:32] FF us[31:16] FF us[15:0]      28 bytes
 *
 * Status: bit 7 = 1; bit 6 = the clock jumped since the last stamp (discontinuity); the low five
 * bits are 1. 0x9F = running, not locked to an absolute reference. */
#ifndef CAPTURE_MISB_H
#define CAPTURE_MISB_H

#include <stddef.h>
#include <stdint.h>

enum {
    MISB_STATUS = 0x9f,
    MISB_DISCONTINUITY = 0x40,
    MISB_NAL_MAX = 64, /* NAL header, SEI header, payload, trailing bits, emulation prevention */
};

struct misb_stamp {
    uint64_t us;    /* microseconds since 1970, UTC */
    uint8_t status; /* as above */
};

/* Writes one SEI NAL unit (header byte first, no start code, emulation prevention done) and
 * returns its length, at most MISB_NAL_MAX. */
size_t misb_write(uint8_t out[MISB_NAL_MAX], const struct misb_stamp *stamp);

/* Looks for the stamp in an SEI NAL unit (header byte first, no start code, with its emulation
 * prevention bytes; any number of SEI messages). Returns 1 and fills stamp, or 0 when there is
 * none or the NAL unit is cut short. */
int misb_read(const uint8_t *nal, size_t len, struct misb_stamp *stamp);

#endif
