#include "capture/sei.h"

#include "capture/nal.h"

int sei_begin(struct bits *b, const uint8_t *nal, size_t len)
{
    bits_init(b, nal, len);
    return nal_type((uint8_t)bits_u(b, 8)) == NAL_SEI && !b->bad ? 0 : -1;
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

int sei_next(struct bits *b, struct sei_message *m)
{
    if (b->bad || !bits_more(b))
        return 0;
    m->type = ff_coded(b);
    m->size = ff_coded(b);
    return !b->bad;
}

void sei_skip(struct bits *b, uint64_t bytes)
{
    while (bytes-- && !b->bad)
        bits_u(b, 8);
}

int sei_recovery_point(const uint8_t *nal, size_t len)
{
    struct bits b;
    struct sei_message m;
    if (sei_begin(&b, nal, len) < 0)
        return 0;
    while (sei_next(&b, &m)) {
        if (m.type == SEI_RECOVERY_POINT)
            return 1;
        sei_skip(&b, m.size);
    }
    return 0;
}
