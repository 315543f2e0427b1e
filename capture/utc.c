#include "capture/utc.h"

#include "capture/misb.h"

uint8_t utc_fix(struct utc *utc, int64_t offset_now)
{
    int64_t step = offset_now - utc->offset;

    if (utc->fixed && step <= UTC_STEP_US && step >= -UTC_STEP_US)
        return MISB_STATUS;
    uint8_t status = MISB_STATUS | (utc->fixed ? MISB_DISCONTINUITY : 0);
    *utc = (struct utc){.offset = offset_now, .fixed = 1};
    return status;
}
