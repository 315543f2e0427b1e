/* The messages of an SEI NAL unit (ISO/IEC 14496-10 7.3.2.3, D.1). */
#ifndef CAPTURE_SEI_H
#define CAPTURE_SEI_H

#include <stddef.h>
#include <stdint.h>

#include "capture/bits.h"

enum sei_type { SEI_USER_DATA_UNREGISTERED = 5, SEI_RECOVERY_POINT = 6 };

struct sei_message {
    uint64_t type, size; /* payloadType; payloadSize, in bytes */
};

/* Begins to read the NAL unit nal[0, len), header byte first. Returns 0, or -1 when it is no SEI.
 */
int sei_begin(struct bits *b, const uint8_t *nal, size_t len);

/* Reads the head of the next message and leaves the reader at its payload, which the caller reads
 * or skips. Returns 1, or 0 when there is none or it is cut short. */
int sei_next(struct bits *b, struct sei_message *m);
void sei_skip(struct bits *b, uint64_t bytes);

/* Whether the NAL unit holds a recovery point (D.1.8): decoding may begin there. */
int sei_recovery_point(const uint8_t *nal, size_t len);

#endif
