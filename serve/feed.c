#include "serve/feed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mux/box.h"

void feed_init(struct feed *f, struct ring *ring, uint32_t segment_ms)
{
    f->ring = ring;
    cut_init(&f->cut, ring, segment_ms);
}

static enum feed_result bad(struct feed *f, size_t at, const char *why)
{
    f->bytes += at;
    f->why = why;
    return FEED_BAD;
}

static struct ring_frag describe(const struct moof_info *m)
{
    return (struct ring_frag){
        .dts = m->tfdt,
        .utc_us = m->utc_us,
        .duration = m->duration_ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)m->duration_ticks,
        .flags = m->sync ? RING_SYNC : 0,
        .samples = m->samples,
        .moof_at = m->moof_at,
        .sequence_at = m->sequence_at,
        .tfdt_at = m->tfdt_at,
        .payload_at = m->payload_at,
        .duration_at = m->duration.at,
        .duration_n = m->duration.n,
        .duration_step = m->duration.step,
        .flags_at = m->flags.at,
        .flags_n = m->flags.n,
        .flags_step = m->flags.step,
        .first_flags_at = m->first_flags_at,
        .offset_at = m->offset.at,
        .offset_n = m->offset.n,
        .offset_step = m->offset.step,
        .trun_version_at = m->trun_version_at,
    };
}

static const struct ring_init *newest_init(const struct ring *r)
{
    return ring_init_of(r, atomic_load_explicit(&r->header->epoch, memory_order_relaxed));
}

/* The same init segment again is the same epoch: who restarts a muxer changes nothing. */
static enum feed_result put_init(struct feed *f, const uint8_t *p, const struct unit *u)
{
    const struct ring_init *old = newest_init(f->ring);
    if (f->info.timescale != u->init.timescale)
        f->placed = 0; /* other ticks */
    f->info = u->init;
    if (old && old->size == u->size && memcmp(old->bytes, p, u->size) == 0)
        return FEED_NOTHING;
    if (ring_put_init(f->ring, p, u->size, u->init.timescale) < 0)
        return bad(f, 0, "init segment too large");
    return FEED_NOTHING;
}

static uint64_t rescale(uint64_t ticks, uint32_t from, uint32_t to)
{
    return ticks / from * to + ticks % from * to / from;
}

enum { FAR_S = 86400 };              /* a fragment that says it comes so much later is wrong */
#define TFDT_MAX (UINT64_C(1) << 62) /* beyond this, times are no times */

/* Where capture times say it goes; `arrival` where they say nothing, or what cannot be: that it was
 * captured before the newest fragment, or after it came. Arrival does not know how long a program
 * took to start, nor what waited in a pipe for it; capture time does. */
static uint64_t by_capture(const struct feed *f, const struct moof_info *m, uint64_t end,
                           uint64_t arrival)
{
    struct ring_frag key;
    int64_t k = ring_last_key(f->ring);
    uint64_t trust = (uint64_t)FEED_TRUST_S * f->info.timescale;
    if (k < 0 || ring_get(f->ring, (uint64_t)k, &key) < 0 || !key.utc_us || m->utc_us <= key.utc_us)
        return arrival;
    const struct ring_init *init = ring_init_of(f->ring, key.epoch);
    if (!init)
        return arrival;
    uint64_t at = rescale(key.dts, init->timescale, f->info.timescale) +
                  rescale(m->utc_us - key.utc_us, 1000000, f->info.timescale);
    return at + trust > end && at < arrival + trust ? at : arrival;
}

/* Where the first fragment of this stream goes: behind the newest in the ring, later by the time
 * since, less its own duration, which has gone by already. */
static void place(struct feed *f, const struct moof_info *m, int64_t now)
{
    struct ring_frag last;
    uint64_t head = ring_head(f->ring);
    f->placed = 1;
    f->offset = m->tfdt < TFDT_MAX ? 0 : -m->tfdt;
    if (!head || ring_get(f->ring, head - 1, &last) < 0)
        return;
    const struct ring_init *init = ring_init_of(f->ring, last.epoch);
    uint32_t timescale = f->info.timescale;
    if (!init)
        return;
    int64_t published = atomic_load_explicit(&f->ring->header->published, memory_order_relaxed);
    uint64_t end = rescale(last.dts + last.duration, init->timescale, timescale);
    uint64_t since = now > published ? (uint64_t)(now - published) : 0;
    uint64_t passed = rescale(since, 1000000, timescale), own = m->duration_ticks;
    uint64_t at = by_capture(f, m, end, end + (passed > own ? passed - own : 0));
    f->offset = (at > end ? at : end) - m->tfdt;
}

/* Times go up: a stream whose own begin again in the middle is placed anew. */
static enum feed_result put_frag(struct feed *f, uint8_t *p, const struct unit *u, int64_t now)
{
    const struct moof_info *m = &u->moof;
    struct ring_frag frag = describe(m), last;
    uint64_t head = ring_head(f->ring);
    if (!newest_init(f->ring) || !f->info.timescale)
        return bad(f, 0, "a fragment and no init segment in front of it");
    uint64_t dts = m->tfdt + f->offset, far = (uint64_t)FAR_S * f->info.timescale;
    if (f->placed && head && ring_get(f->ring, head - 1, &last) == 0 &&
        (dts < last.dts || dts - last.dts > far))
        f->placed = 0;
    if (!f->placed)
        place(f, m, now);
    frag.dts = m->tfdt + f->offset;
    put_u64(p + m->tfdt_at, frag.dts);
    put_u32(p + m->sequence_at, (uint32_t)(head + 1));
    if (m->prft_time_at)
        put_u64(p + m->prft_time_at, m->utc_time + f->offset);
    /* First, so that whoever is woken by the fragment finds the segment that ended in front of it.
     */
    frag.size = (uint32_t)u->size;
    cut_add(&f->cut, head, &frag,
            atomic_load_explicit(&f->ring->header->epoch, memory_order_relaxed), f->info.timescale);
    if (ring_put(f->ring, &frag, p, u->size, now) < 0)
        return bad(f, 0, "fragment larger than a quarter of the ring");
    return FEED_FRAG;
}

static enum feed_result drain(struct feed *f, int64_t now)
{
    struct unit u;
    const char *why;
    enum unit_result r;
    enum feed_result result = FEED_NOTHING;
    while ((r = unit_next(f->window + f->from, f->to - f->from, &u, &why)) == UNIT_READY) {
        enum feed_result one = FEED_NOTHING;
        if (u.kind == UNIT_INIT)
            one = put_init(f, f->window + f->from, &u);
        else if (u.kind == UNIT_FRAG)
            one = put_frag(f, f->window + f->from, &u, now);
        if (one == FEED_BAD)
            return one;
        if (one == FEED_FRAG)
            result = one;
        f->from += u.size;
        f->bytes += u.size;
    }
    if (r == UNIT_BAD)
        return bad(f, u.size, why);
    if (f->from == f->to) {
        f->from = f->to = 0;
    } else if (sizeof f->window - f->to < FEED_READ_MAX || f->from > FEED_READ_MAX) {
        memmove(f->window, f->window + f->from, f->to - f->from);
        f->to -= f->from;
        f->from = 0;
    }
    return result;
}

enum feed_result feed_read(struct feed *f, int fd, int64_t now)
{
    ssize_t n = read(fd, f->window + f->to, FEED_READ_MAX);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? FEED_NOTHING : FEED_FAILED;
    f->ended = n == 0;
    if (n == 0)
        return f->to > f->from ? bad(f, f->to - f->from, "ends inside a fragment") : FEED_END;
    f->to += (size_t)n;
    return drain(f, now);
}
