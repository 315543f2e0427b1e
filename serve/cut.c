#include "serve/cut.h"

#include "hls/window.h"

enum { INDEPENDENT = 1, DISCONTINUITY = 2, GUARD = 8, CHANCE_BITS = 21, KILO = 1000 };

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A clock that nobody has set says nothing: a number by chance alone is less than any with one.
 * Discontinuities begin with 0: players keep something for each, and one stands still over a number
 * as large as a time. */
void cut_number(struct ring *r, const struct ring *old, uint64_t utc_s, uint32_t chance)
{
    struct ring_header *h = r->header;
    uint64_t first = chance, epoch = chance >> 1 | 1;
    if (utc_s >= SEGMENT_UTC_MIN / SEGMENT_SECOND && utc_s < SEGMENT_UTC_END / SEGMENT_SECOND)
        first = (utc_s & UINT32_MAX) << CHANCE_BITS | (chance & ((1u << CHANCE_BITS) - 1));
    if (old) {
        first = larger(first, cut_next(old));
        epoch = (uint64_t)atomic_load(&old->header->epoch) + 1;
        h->discontinuities = old->header->discontinuities + 1;
    }
    h->first_epoch = (uint32_t)epoch;
    h->cut_first = first;
    atomic_store(&h->cut_next, first);
}

/* The table's words. */
static void pack(const struct segment *s, uint64_t w[RING_CUT_WORDS])
{
    w[0] = s->sequence;
    w[1] = s->discontinuities;
    w[2] = s->first;
    w[3] = s->end;
    w[4] = s->duration_us;
    w[5] = s->utc_us;
    w[6] = s->bytes;
    w[7] = (uint64_t)s->epoch << 32 | (s->independent ? INDEPENDENT : 0u) |
           (s->discontinuity ? DISCONTINUITY : 0u);
}

static void unpack(const uint64_t w[RING_CUT_WORDS], struct segment *s)
{
    *s = (struct segment){.sequence = w[0],
                          .discontinuities = w[1],
                          .first = w[2],
                          .end = w[3],
                          .duration_us = w[4],
                          .utc_us = w[5],
                          .bytes = w[6],
                          .epoch = (uint32_t)(w[7] >> 32),
                          .discontinuity = (w[7] & DISCONTINUITY) != 0,
                          .independent = (w[7] & INDEPENDENT) != 0};
}

static void put(struct cut *c, const struct segment *s)
{
    struct ring_header *h = c->ring->header;
    struct ring_cut *slot = &c->ring->cut[s->sequence % RING_CUTS];
    uint64_t w[RING_CUT_WORDS];
    pack(s, w);
    for (int i = 0; i < RING_CUT_WORDS; i++)
        atomic_store_explicit(&slot->word[i], w[i], memory_order_relaxed);
    h->discontinuities = s->discontinuities;
    atomic_store_explicit(&h->target_duration, c->segmenter.target_duration, memory_order_relaxed);
    atomic_store_explicit(&h->dependent, c->segmenter.dependent ? 1 : 0, memory_order_relaxed);
    atomic_store_explicit(&h->cut_next, s->sequence + 1, memory_order_release);
    if (s->duration_us < c->segmenter.target_us / 2) /* too short to tell a rate */
        return;
    c->most_bytes = larger(c->most_bytes, s->bytes * SEGMENT_SECOND / s->duration_us);
    c->most_frags =
        larger(c->most_frags, (s->end - s->first) * KILO * SEGMENT_SECOND / s->duration_us);
}

/* Takes the fragments from `from` on that are in the ring. */
static void replay(struct cut *c, uint64_t from)
{
    struct ring_frag f;
    uint64_t head = ring_head(c->ring),
             oldest = head > c->ring->entries ? head - c->ring->entries : 0;
    for (uint64_t i = larger(from, oldest); i < head; i++) {
        const struct ring_init *init;
        if (ring_get(c->ring, i, &f) == 0 && (init = ring_init_of(c->ring, f.epoch)))
            cut_add(c, i, &f, f.epoch, atomic_load(&init->timescale));
    }
}

void cut_init(struct cut *c, struct ring *r, uint32_t target_ms)
{
    struct ring_header *h = r->header;
    struct segment s = {0};
    uint64_t next = cut_next(r), from = 0;
    if (h->target_ms && h->target_ms != target_ms) {
        atomic_store(&h->target_duration, 0);
        h->cut_first = next;
        h->discontinuities++;
        from = ring_head(r);
    }
    h->target_ms = target_ms;
    uint32_t duration = atomic_load(&h->target_duration);
    uint32_t longest = segment_target_duration(target_ms, SEGMENT_GOP_US / 1000);
    *c = (struct cut){.ring = r, .asked = INT64_MIN / 2};
    segmenter_init(&c->segmenter, target_ms, duration,
                   window_longest(duration ? duration : longest, 0), next);
    c->segmenter.patient = 1;
    c->segmenter.dependent = (int)atomic_load(&h->dependent);
    for (uint64_t i = cut_oldest(r); i < next; i++)
        if (cut_get(r, i, &s) == 0) {
            segmenter_continue(&c->segmenter, &s);
            from = s.end;
        }
    if (!s.end && h->discontinuities) { /* behind another ring's */
        s = (struct segment){.sequence = next - 1, .discontinuities = h->discontinuities - 1};
        segmenter_continue(&c->segmenter, &s);
    }
    replay(c, from);
}

void cut_add(struct cut *c, uint64_t number, const struct ring_frag *frag, uint32_t epoch,
             uint32_t timescale)
{
    struct segment done;
    const struct segment_frag f = {.number = number,
                                   .dts = frag->dts,
                                   .utc_us = frag->utc_us,
                                   .duration = frag->duration,
                                   .timescale = timescale,
                                   .epoch = epoch,
                                   .bytes = frag->size,
                                   .sync = (frag->flags & RING_SYNC) != 0};
    if (segmenter_add(&c->segmenter, &f, &done))
        put(c, &done);
}

int cut_end(struct cut *c)
{
    struct segment done;
    int ended = segmenter_end(&c->segmenter, &done);
    if (ended)
        put(c, &done);
    return ended;
}

int cut_is_open(const struct cut *c)
{
    return c->segmenter.open;
}

int cut_asks(struct cut *c, int64_t now)
{
    if (!c->segmenter.want_key || now - c->asked < CUT_KEY_ASK_US)
        return 0;
    c->asked = now;
    return 1;
}

uint64_t cut_mib_wanted(const struct cut *c)
{
    uint64_t hold = window_hold(c->segmenter.target_duration, 0);
    uint64_t bytes = window_bytes(hold, c->most_bytes);
    uint64_t entries = window_bytes(hold, c->most_frags) / KILO + 1;
    bytes += bytes / (GUARD - 1) + 1;
    if (bytes <= c->ring->data_bytes && entries < c->ring->entries)
        return 0;
    return larger(bytes >> 20, entries * (RING_DATA_BYTES >> 20) / RING_ENTRIES) + 1;
}

uint64_t cut_next(const struct ring *r)
{
    return atomic_load_explicit(&r->header->cut_next, memory_order_acquire);
}

uint64_t cut_oldest(const struct ring *r)
{
    uint64_t next = cut_next(r), first = r->header->cut_first;
    if (first > next)
        return next;
    return next - first < RING_CUTS ? first : next - RING_CUTS + 1;
}

int cut_get(const struct ring *r, uint64_t sequence, struct segment *s)
{
    uint64_t w[RING_CUT_WORDS], next = cut_next(r);
    if (sequence >= next || sequence < r->header->cut_first || next - sequence >= RING_CUTS)
        return -1;
    for (int i = 0; i < RING_CUT_WORDS; i++)
        w[i] = atomic_load_explicit(&r->cut[sequence % RING_CUTS].word[i], memory_order_relaxed);
    unpack(w, s);
    atomic_thread_fence(memory_order_acquire);
    if (cut_next(r) - sequence >= RING_CUTS || s->sequence != sequence)
        return -1;
    return s->first < s->end && s->end <= ring_head(r) && s->duration_us ? 0 : -1;
}
