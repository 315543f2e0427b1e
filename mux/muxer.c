#include "mux/muxer.h"

#include <string.h>

#include "capture/misb.h"
#include "capture/nal.h"
#include "capture/sei.h"
#include "mux/box.h"
#include "mux/boxread.h"
#include "mux/reorder.h"

_Static_assert(PRFT_BYTES + FRAG_FIXED + FRAG_PER_SAMPLE * GOP_SAMPLES_MAX <= FRAG_HEAD_MAX,
               "what we write, our own reader takes");

/* What the loop over an access unit's NAL units finds out. */
struct contents {
    struct misb_stamp stamp;
    int stamped, recovery, new_config;
};

void mux_init(struct mux *m, const struct mux_options *opt)
{
    m->opt = *opt;
    m->written = opt->base;
}

static void put_iov(struct mux *m, void *p, size_t n)
{
    struct iovec *last = m->iovs ? &m->iov[m->iovs - 1] : NULL;
    if (last && (uint8_t *)last->iov_base + last->iov_len == (uint8_t *)p)
        last->iov_len += n;
    else
        m->iov[m->iovs++] = (struct iovec){p, n};
    m->written += n;
}

static int is_paramset(enum nal_type t)
{
    return t == NAL_SPS || t == NAL_PPS;
}

/* 14496-15 5.3.2: delimiters, fillers and end codes are transport, not picture. */
static int is_transport(enum nal_type t)
{
    return t >= NAL_AUD && t <= NAL_FILLER;
}

static void look(struct mux *m, const uint8_t *window, const struct au *au, struct contents *c)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        enum nal_type t = nal_type(n->header);
        if (t == NAL_SEI) {
            c->stamped |= misb_read(window + n->at, n->len, &c->stamp);
            c->recovery |= !au->idr && sei_recovery_point(window + n->at, n->len);
        } else if (is_paramset(t)) {
            enum store_result r = paramstore_put(&m->store, window + n->at, n->len);
            if (r == STORE_BAD)
                m->notes |= MUX_NOTE_BAD_PARAMSET;
            c->new_config |= r == STORE_NEW || r == STORE_CHANGED;
        }
    }
}

/* Whether this NAL unit goes into the sample. A pipe keeps parameter sets in front of the pictures,
 * so that a reader of one endless response follows a change of size. A file has them in its avcC,
 * until one changes: from then on it keeps all, since decoders drop the PPSs of an SPS they see
 * replaced. */
static int keeps(const struct mux *m, const uint8_t *window, const struct au_nal *n)
{
    enum nal_type t = nal_type(n->header);
    if (is_transport(t))
        return 0;
    if (is_paramset(t) && m->opt.patchable && !m->in_band)
        return !paramstore_in_config(&m->store, window + n->at, n->len);
    return 1;
}

static uint32_t sample_size(const struct mux *m, const uint8_t *window, const struct au *au)
{
    size_t size = 0;
    for (unsigned i = 0; i < au->count; i++)
        if (keeps(m, window, &au->nal[i]))
            size += 4 + au->nal[i].len;
    return (uint32_t)size;
}

/* The sample as iovecs. A length takes the place of a 4-byte start code; where that is 3 bytes, it
 * comes from the side. */
static void put_sample(struct mux *m, uint8_t *window, const struct au *au)
{
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        if (!keeps(m, window, n))
            continue;
        uint8_t *payload = window + n->at;
        if (n->lead == 4) {
            put_u32(payload - 4, n->len);
            put_iov(m, payload - 4, n->len + 4);
        } else {
            put_u32(m->lengths[i], n->len);
            put_iov(m, m->lengths[i], 4);
            put_iov(m, payload, n->len);
        }
    }
}

/* ftyp and moov, at the start and (to a pipe) where the parameter sets change. */
static int put_init(struct mux *m, const struct au *au)
{
    struct init_place place;
    if (!au->first.known)
        return -1;
    size_t n =
        init_write(m->init, sizeof m->init, &m->store, au->first.sps_id, m->opt.rotate, &place);
    if (!n)
        return -1;
    m->patch_at = m->written + place.entry_type;
    m->stale = 0;
    m->announced = m->store.parsed[au->first.sps_id];
    put_iov(m, m->init, n);
    return 0;
}

/* The first access unit to be written must decode alone: an IDR picture, else a recovery point,
 * else a picture of I slices only. */
static int start(struct mux *m, const struct au *au, const struct contents *c)
{
    if (!(au->idr || c->recovery || au->intra) || put_init(m, au) < 0) {
        m->notes |= MUX_NOTE_SKIPPED;
        return -1;
    }
    const struct sps *sps = &m->store.parsed[au->first.sps_id];
    timing_init(&m->timing, c->stamped, m->opt.rate, timing_sps_rate(sps), m->opt.live);
    if (m->timing.guessed)
        m->notes |= MUX_NOTE_RATE_GUESSED;
    m->no_idr = !au->idr;
    m->started = 1;
    m->duration = (uint32_t)timing_first_interval(&m->timing);
    return 0;
}

static void put_head(struct mux *m, uint64_t tfdt, uint64_t utc, const struct frag_sample *s,
                     uint32_t n)
{
    size_t len = 0;
    if (utc) {
        frag_write_prft(m->head, utc, tfdt);
        len = PRFT_BYTES;
    }
    len += frag_write(m->head + len, sizeof m->head - len, ++m->sequence, tfdt, s, n);
    put_iov(m, m->head, len);
}

static void add_to_pipe(struct mux *m, uint8_t *window, const struct au *au, int64_t tick, int sync,
                        uint64_t utc)
{
    if (au->first.known && au->first.type == SLICE_B)
        m->notes |= MUX_NOTE_B_FRAMES;
    uint32_t first = (uint32_t)timing_first_interval(&m->timing);
    int64_t interval = m->timing.count > 1 ? tick - m->tick : first;
    int64_t longest = first > TIMESCALE ? first + 1 : TIMESCALE; /* rounded down */
    /* A gap: the sample before ends where it did, this one begins just before its time. */
    if (interval <= longest)
        m->duration = (uint32_t)interval;
    struct frag_sample s = {m->duration, sample_size(m, window, au),
                            sync ? SAMPLE_SYNC : SAMPLE_NON_SYNC, 0};
    put_head(m, (uint64_t)(first + tick - m->duration), sync ? utc : 0, &s, 1);
    put_sample(m, window, au);
}

/* Writes out the group gathered so far. next: the time of the access unit behind it, or -1 at the
 * end, where the last sample lasts as long as the one before. */
static void flush_gop(struct mux *m, int64_t next)
{
    if (!m->samples)
        return;
    if (next >= 0)
        m->duration = next - m->tick > UINT32_MAX ? UINT32_MAX : (uint32_t)(next - m->tick);
    m->sample[m->samples - 1].duration = m->duration;
    reorder_samples(m->sample, m->order, m->shown, m->samples);
    uint64_t moof = m->written + (m->gop_utc ? PRFT_BYTES : 0);
    if (m->gop_sync)
        mfra_add(&m->mfra, (uint64_t)m->gop_tick, moof);
    put_head(m, (uint64_t)m->gop_tick, m->gop_utc, m->sample, m->samples);
    put_iov(m, m->gop[m->gathering], m->gop_bytes);
    m->gathering ^= 1;
    m->samples = 0;
    m->gop_bytes = 0;
}

static void gather(struct mux *m, uint8_t *window, const struct au *au)
{
    uint8_t *out = m->gop[m->gathering];
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        if (!keeps(m, window, n))
            continue;
        put_u32(out + m->gop_bytes, n->len);
        memcpy(out + m->gop_bytes + 4, window + n->at, n->len);
        m->gop_bytes += 4 + n->len;
    }
}

static int gop_is_full(const struct mux *m, uint32_t size, int64_t tick)
{
    return m->samples == GOP_SAMPLES_MAX || m->gop_bytes + size > GOP_BYTES_MAX ||
           tick - m->gop_tick > GOP_TICKS_MAX;
}

static int64_t place_in_order(struct mux *m, const uint8_t *window, const struct au *au)
{
    const struct slice *s = &au->first;
    const struct sps *sps = &m->store.parsed[s->sps_id];
    int reset = 0;
    if (!s->known || !sps->valid)
        return m->samples ? m->order[m->samples - 1] : 0;
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        enum nal_type t = nal_type(n->header);
        if (t == NAL_SLICE || t == NAL_PARTITION_A) {
            size_t len = n->len < SLICE_WHOLE_HEADER_MAX ? n->len : SLICE_WHOLE_HEADER_MAX;
            reset = slice_resets(window + n->at, len, m->store.parsed, m->store.parsed_pps);
            break;
        }
    }
    return poc_order(&m->poc, sps, s, reset);
}

static void add_to_file(struct mux *m, uint8_t *window, const struct au *au, int64_t tick, int sync,
                        uint64_t utc)
{
    uint32_t size = sample_size(m, window, au);
    if (m->samples && !sync && !gop_is_full(m, size, tick))
        m->sample[m->samples - 1].duration = m->duration = (uint32_t)(tick - m->tick);
    else
        flush_gop(m, tick);
    int64_t order = place_in_order(m, window, au);
    if (!m->samples) {
        m->gop_tick = tick;
        m->gop_utc = sync ? utc : 0;
        m->gop_sync = sync;
    }
    m->order[m->samples] = order;
    m->sample[m->samples++] =
        (struct frag_sample){0, size, sync ? SAMPLE_SYNC : SAMPLE_NON_SYNC, 0};
    gather(m, window, au);
}

/* Whether the picture has another shape than the moov says, if by a set that the avcC does hold. */
static int is_resized(const struct mux *m, const struct au *au)
{
    const struct sps *a = &m->announced, *b = &m->store.parsed[au->first.sps_id];
    return au->first.known && b->valid && (a->width != b->width || a->height != b->height);
}

/* The moov no longer fits the pictures. A pipe gets a new ftyp and moov with the next sync sample,
 * since a reader may begin there; up to it the sets in band do. A file, which can have only one,
 * keeps the new sets in front of their pictures and says so: avc3 (14496-15 5.4.2.1). */
static void reconfigure(struct mux *m, const struct au *au, int64_t tick)
{
    if (m->opt.patchable) {
        m->patch = m->stale && !m->in_band;
        m->in_band |= m->stale;
        m->stale = 0;
        return;
    }
    flush_gop(m, tick);
    put_init(m, au);
}

unsigned mux_add(struct mux *m, uint8_t *window, const struct au *au, int64_t arrival_us,
                 uint64_t utc_us)
{
    struct contents c;
    m->iovs = 0;
    look(m, window, au, &c);
    int first = !m->started;
    if (first && start(m, au, &c) < 0)
        return 0;
    int sync = au->idr || (m->no_idr && c.recovery) || first;
    int64_t tick = timing_next(&m->timing, c.stamped ? &c.stamp : NULL, arrival_us);
    m->stale |= !first && c.new_config;
    if ((m->stale || is_resized(m, au)) && (sync || m->opt.patchable))
        reconfigure(m, au, tick);
    uint64_t utc = c.stamped ? c.stamp.us : utc_us;
    if (m->opt.mode == MUX_GOP)
        add_to_file(m, window, au, tick, sync, utc);
    else
        add_to_pipe(m, window, au, tick, sync, utc);
    m->tick = tick;
    return m->iovs;
}

unsigned mux_end(struct mux *m)
{
    m->iovs = 0;
    if (m->opt.mode == MUX_GOP && m->started) {
        flush_gop(m, -1);
        put_iov(m, m->mfra_bytes, mfra_write(&m->mfra, m->mfra_bytes, sizeof m->mfra_bytes));
    }
    return m->iovs;
}
