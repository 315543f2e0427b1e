/* The offset to UTC changes only when the wall clock was set, and says so once. */
#include "capture/utc.h"
#include "capture/misb.h"
#include "tests/tap.h"

int main(void)
{
    const int64_t start = INT64_C(1795305600000000);
    struct utc utc = {0};

    ok(utc_fix(&utc, start) == MISB_STATUS && utc.offset == start, "the first offset is no step");
    ok(utc_fix(&utc, start + 500000) == MISB_STATUS && utc.offset == start, "half a second ahead");
    ok(utc_fix(&utc, start - 500000) == MISB_STATUS && utc.offset == start, "half a second behind");
    ok(utc_fix(&utc, start + 500001) == (MISB_STATUS | MISB_DISCONTINUITY) &&
           utc.offset == start + 500001,
       "more than that is a step forwards");
    ok(utc_fix(&utc, start + 500001) == MISB_STATUS, "said once");
    ok(utc_fix(&utc, start) == (MISB_STATUS | MISB_DISCONTINUITY) && utc.offset == start,
       "a step backwards");
    utc = (struct utc){0};
    ok(utc_fix(&utc, -7) == MISB_STATUS && utc.offset == -7 &&
           utc_fix(&utc, start) == (MISB_STATUS | MISB_DISCONTINUITY) && utc.offset == start,
       "from 1970 to now");
    return done();
}
