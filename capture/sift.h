/* Which of a driver's buffers can be trusted, from what the driver says of them. Pure. */
#ifndef CAPTURE_SIFT_H
#define CAPTURE_SIFT_H

#include <stdint.h>

#include "capture/device.h"

enum sift_result {
    SIFT_GOOD,
    SIFT_ERROR, /* flagged as damaged */
    SIFT_EMPTY,
    SIFT_FULL, /* filled to the last byte: cut short, or never written (v4l2loopback's first) */
    SIFT_LATE, /* its successor has come before it */
    SIFT_RESULTS
};

struct sift {
    int counting; /* a number has been seen */
    int was_late; /* the last one was */
    uint32_t last;
};

/* Judges a buffer. *lost is set to the number of frames missing in front of it, 0 where the driver
 * does not count (the same number every time). Start with zeros, also when streaming is restarted:
 * drivers count from 0 then. */
enum sift_result sift(struct sift *s, const struct device_frame *frame, uint32_t *lost);

#endif
