/* Any bytes may be read as an SEI NAL unit; a stamp that is found is written again and found again,
 * the same. */
#include "capture/misb.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct misb_stamp found, again;
    uint8_t nal[MISB_NAL_MAX];

    if (!misb_read(data, size, &found))
        return 0;
    size_t len = misb_write(nal, &found);
    assert(len <= sizeof nal);
    assert(misb_read(nal, len, &again));
    assert(again.us == found.us && again.status == found.status);
    return 0;
}
