/* From a monotonic clock to UTC: an offset that stays as it is until the wall clock is set, so that
 * capture times follow the monotonic clock's pace and neither drift nor jitter. */
#ifndef CAPTURE_UTC_H
#define CAPTURE_UTC_H

#include <stdint.h>

enum { UTC_STEP_US = 500000 }; /* a wall clock this far off was set, it did not drift */

struct utc {
    int64_t offset; /* microseconds to add to the monotonic clock */
    int fixed;      /* 0 before the first offset */
};

/* Takes the offset of this moment, wall clock minus monotonic clock in microseconds. Returns the
 * status for a MISB stamp (misb.h): with the discontinuity bit where the offset had to change. */
uint8_t utc_fix(struct utc *utc, int64_t offset_now);

#endif
