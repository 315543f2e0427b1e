#include "mux/sidx.h"

#include "mux/box.h"
#include "mux/init.h"
#include "mux/timing.h"

void sidx_add(struct sidx *s, uint64_t time, uint64_t at, enum sidx_sap sap)
{
    if (s->count < SIDX_MAX)
        s->entry[s->count++] = (struct sidx_entry){time, at, sap};
    else
        s->none = 1;
}

static void write_free(struct box *b, size_t size)
{
    size_t place = box_open(b, "free");
    box_zeros(b, size - 8);
    box_close(b, place);
}

size_t sidx_reserve(uint8_t *out, size_t cap)
{
    struct box b;
    box_init(&b, out, cap);
    write_free(&b, SIDX_ROOM);
    return b.full ? 0 : b.len;
}

/* One subsegment, up to where the next begins. */
static int write_entry(struct box *b, const struct sidx_entry *e, uint64_t end, uint64_t length)
{
    if (end - e->at > INT32_MAX || length - e->time > UINT32_MAX)
        return -1;
    box_u32(b, (uint32_t)(end - e->at)); /* reference_type 0: media */
    box_u32(b, (uint32_t)(length - e->time));
    box_u32(b, e->sap ? UINT32_C(1) << 31 | (uint32_t)e->sap << 28 : 0);
    return 0;
}

size_t sidx_write(const struct sidx *s, uint64_t place, uint64_t end, uint64_t length, uint8_t *out,
                  size_t cap)
{
    struct box b;
    const struct sidx_entry *e = s->entry;
    size_t size = SIDX_FIXED + s->count * SIDX_ENTRY_BYTES;
    if (!s->count || s->none)
        return 0;
    box_init(&b, out, cap);
    write_free(&b, SIDX_ROOM - size);
    size_t sidx = box_open_full(&b, "sidx", 1, 0);
    box_u32(&b, TRACK_ID);
    box_u32(&b, TIMESCALE);
    box_u64(&b, e[0].time);
    box_u64(&b, e[0].at - (place + SIDX_ROOM)); /* from the end of this box */
    box_u16(&b, 0);
    box_u16(&b, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        int last = i + 1 == s->count;
        if (write_entry(&b, &e[i], last ? end : e[i + 1].at, last ? length : e[i + 1].time) < 0)
            return 0;
    }
    box_close(&b, sidx);
    return b.full ? 0 : b.len;
}
