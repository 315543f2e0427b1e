#include "capture/misb.h"

#include "capture/bits.h"
#include "capture/nal.h"
#include "capture/sei.h"

#include <string.h>

enum { UUID_SIZE = 16, PAYLOAD_SIZE = 28 };

static const uint8_t uuid[UUID_SIZE] = "MISPmicrosectime";

size_t misb_write(uint8_t out[MISB_NAL_MAX], const struct misb_stamp *stamp)
{
    struct bitwriter w;

    bitw_init(&w, out, MISB_NAL_MAX);
    bitw_u(&w, 8, NAL_SEI);
    bitw_u(&w, 8, SEI_USER_DATA_UNREGISTERED);
    bitw_u(&w, 8, PAYLOAD_SIZE);
    bitw_raw(&w, uuid, sizeof uuid);
    bitw_u(&w, 8, stamp->status);
    for (unsigned shift = 64; shift;) {
        shift -= 16;
        bitw_u(&w, 16, (uint32_t)(stamp->us >> shift));
        if (shift)
            bitw_u(&w, 8, 0xff);
    }
    bitw_trailing(&w);
    return w.len;
}

/* Consumes PAYLOAD_SIZE bytes, or as many as it takes to see that they are no stamp. */
static int stamp_payload(struct bits *b, struct misb_stamp *stamp)
{
    uint64_t us = 0;
    uint32_t marks = 0xff;

    for (int i = 0; i < UUID_SIZE; i++)
        marks &= bits_u(b, 8) == uuid[i] ? 0xff : 0;
    uint32_t status = bits_u(b, 8);
    for (int i = 0; i < 4; i++) {
        us = us << 16 | bits_u(b, 16);
        if (i < 3)
            marks &= bits_u(b, 8);
    }
    *stamp = (struct misb_stamp){.us = us, .status = (uint8_t)status};
    return marks == 0xff && !b->bad;
}

int misb_read(const uint8_t *nal, size_t len, struct misb_stamp *stamp)
{
    struct misb_stamp found;
    struct sei_message m;
    struct bits b;

    if (sei_begin(&b, nal, len) < 0)
        return 0;
    while (sei_next(&b, &m)) {
        if (m.type == SEI_USER_DATA_UNREGISTERED && m.size >= PAYLOAD_SIZE) {
            if (stamp_payload(&b, &found)) {
                bits_u(&b, 1); /* a further message or the stop bit, or it was cut short */
                if (!b.bad)
                    *stamp = found;
                return !b.bad;
            }
            m.size -= PAYLOAD_SIZE;
        }
        sei_skip(&b, m.size);
    }
    return 0;
}
