#include "mux/mfra.h"

#include "mux/box.h"
#include "mux/init.h"

/* Every entry is kept until the table is full; from then on half of them, evenly spread. */
void mfra_add(struct mfra *m, uint64_t time, uint64_t moof)
{
    if (m->phase++ & ((1u << m->halved) - 1))
        return;
    if (m->count == TFRA_MAX) {
        for (uint32_t i = 0; i < TFRA_MAX / 2; i++)
            m->entry[i] = m->entry[2 * i];
        m->count = TFRA_MAX / 2;
        m->halved++;
    }
    m->entry[m->count++] = (struct mfra_entry){time, moof};
}

size_t mfra_write(const struct mfra *m, uint8_t *out, size_t cap)
{
    struct box b;
    box_init(&b, out, cap);
    size_t mfra = box_open(&b, "mfra");
    size_t tfra = box_open_full(&b, "tfra", 1, 0);
    box_u32(&b, TRACK_ID);
    box_u32(&b, 0); /* traf, trun and sample numbers of one byte */
    box_u32(&b, m->count);
    for (uint32_t i = 0; i < m->count; i++) {
        box_u64(&b, m->entry[i].time);
        box_u64(&b, m->entry[i].moof);
        box_u8(&b, 1);
        box_u8(&b, 1);
        box_u8(&b, 1);
    }
    box_close(&b, tfra);
    size_t mfro = box_open_full(&b, "mfro", 0, 0);
    box_u32(&b, (uint32_t)(b.len + 4));
    box_close(&b, mfro);
    box_close(&b, mfra);
    return b.full ? 0 : b.len;
}
