#include "capture/misb.h"

#include "capture/bits.h"

#include <string.h>

enum { NAL_SEI = 6, USER_DATA_UNREGISTERED = 5, UUID_SIZE = 16, PAYLOAD_SIZE = 28 };

static const uint8_t uuid[UUID_SIZE] = "MISPmicrosectime";

size_t misb_write(uint8_t out[MISB_NAL_MAX], const struct misb_stamp *stamp)
{
    struct bitwriter w;

    bitw_init(&w, out, MISB_NAL_MAX);
    bitw_u(&w, 8, NAL_SEI);
    bitw_u(&w, 8, USER_DATA_UNREGISTERED);
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

/* A payload type or size (7.3.2.3.1): each ff byte adds 255, the last byte adds itself. */
static uint64_t ff_coded(struct bits *b)
{
    uint64_t value = 0;
    uint32_t byte;

    do {
        byte = bits_u(b, 8);
        value += byte;
    } while (byte == 0xff);
    return value;
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
    struct bits b;

    bits_init(&b, nal, len);
    if ((bits_u(&b, 8) & 0x1f) != NAL_SEI)
        return 0;
    while (bits_more(&b)) {
        uint64_t type = ff_coded(&b);
        uint64_t size = ff_coded(&b);
        if (type == USER_DATA_UNREGISTERED && size >= PAYLOAD_SIZE) {
            if (stamp_payload(&b, &found)) {
                bits_u(&b, 1); /* a further message or the stop bit, or it was cut short */
                if (!b.bad)
                    *stamp = found;
                return !b.bad;
            }
            size -= PAYLOAD_SIZE;
        }
        while (size-- && !b.bad)
            bits_u(&b, 8);
    }
    return 0;
}
