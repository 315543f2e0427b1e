#include "serve/bend.h"

#include "mux/box.h"
#include "mux/boxread.h"

enum { ALL_SYNC = 0x02000000 };

static void put_each(uint8_t *head, unsigned at, unsigned n, unsigned step, uint32_t value)
{
    for (unsigned i = 0; i < n; i++)
        put_u32(head + at + i * step, value);
}

/* `total` ticks shared out among n samples in proportion to what they had. */
static void share_out(uint8_t *head, const struct ring_frag *f, uint32_t total)
{
    if (f->duration_n == 1) {
        put_u32(head + f->duration_at, total / f->samples);
        return;
    }
    uint64_t had = 0, given = 0, spare = total - f->duration_n; /* one each in any case */
    for (unsigned i = 0; i < f->duration_n; i++) {
        uint8_t *p = head + f->duration_at + i * f->duration_step;
        had += get_u32(p);
        uint64_t upto = had < f->duration ? spare * had / f->duration : spare;
        put_u32(p, (uint32_t)(1 + upto - given));
        given = upto;
    }
}

static int32_t clamped(int64_t v)
{
    return v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

/* An offset of version 0 is not negative; none is longer than 31 bits. */
static int32_t offset_at(const uint8_t *head, const struct ring_frag *f, unsigned i)
{
    return (int32_t)get_u32(head + f->offset_at + i * f->offset_step);
}

static void bend_offsets(uint8_t *head, const struct ring_frag *f, uint32_t total, int32_t *shift)
{
    if (f->flags & RING_SYNC)
        *shift = offset_at(head, f, 0);
    for (unsigned i = 0; i < f->offset_n; i++) {
        int64_t from_key = (int64_t)offset_at(head, f, i) - *shift;
        int64_t bent = f->duration ? from_key * (int64_t)total / (int64_t)f->duration : 0;
        put_u32(head + f->offset_at + i * f->offset_step, (uint32_t)clamped(bent));
    }
    head[f->trun_version_at] = 1;
}

void bend_head(uint8_t *head, const struct elastic_step *step, int32_t *shift)
{
    const struct ring_frag *f = &step->frag;
    put_u32(head + f->sequence_at, step->sequence);
    put_u64(head + f->tfdt_at, step->tfdt);
    if (f->offset_n)
        bend_offsets(head, f, step->duration, shift);
    share_out(head, f, step->duration);
    put_each(head, f->flags_at, f->flags_n, f->flags_step, ALL_SYNC);
    if (f->first_flags_at)
        put_u32(head + f->first_flags_at, ALL_SYNC);
}
