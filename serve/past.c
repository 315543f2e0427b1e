#include "serve/past.h"

static int follows(const struct ring_frag *f, const struct ring_frag *newer)
{
    return f->epoch == newer->epoch && f->dts + f->duration == newer->dts;
}

int past_find(const struct ring *r, uint32_t timescale, int64_t media, unsigned lead_in,
              struct past *past)
{
    struct ring_frag f, newer = {0};
    uint64_t bytes = 0, head = ring_head(r);
    int64_t found = 0;
    *past = (struct past){.from = head, .end = head};
    for (uint64_t i = head; i-- > 0; newer = f) {
        if (ring_get(r, i, &f) < 0 || !ring_safe(r, &f) || (i + 1 < head && !follows(&f, &newer)))
            return -1;
        if (found < media) {
            found += (int64_t)((uint64_t)f.duration * 1000000 / timescale);
            past->from = i;
        }
        bytes += f.size;
        past->samples += f.samples;
        past->lead_in += i < past->from ? f.samples : 0;
        if (bytes > PAST_BYTES || found > PAST_MAX || past->from - i > lead_in)
            return -1;
        if (found >= media && (f.flags & RING_SYNC)) {
            past->key = i;
            return 0;
        }
    }
    return -1;
}

unsigned past_front(const struct ring *r, const struct past *past, unsigned packets, unsigned ahead,
                    uint64_t *bytes)
{
    struct ring_frag f;
    unsigned n = 0, samples = 0;
    *bytes = 0;
    while (past->samples + samples < packets || past->lead_in + samples < ahead) {
        if (ring_get(r, past->key + n % (past->end - past->key), &f) < 0)
            break;
        samples += f.samples;
        *bytes += f.size;
        n++;
    }
    return n;
}
