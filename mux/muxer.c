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

enum {
    IDR_LESS = 2,          /* recovery points in a row */
    PRFT_SLACK_US = 20000, /* by which a file's clock may be off before it is said again */
};

/* When an access unit is decoded and shown. */
struct moment {
    int64_t tick, shown; /* ticks */
    int64_t order;
    uint64_t utc;   /* microseconds from 1970, or 0 */
    uint32_t flags; /* of the sample */
    int sync;
};

/* A later stamp is rubbish, which timing_next() deals with; sums stay far from overflow. */
#define STAMP_MAX_US (UINT64_MAX / 4096)

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

static int is_readable(const uint8_t *set, size_t len)
{
    struct sps sps;
    struct pps pps;
    return nal_type(set[0]) == NAL_SPS ? sps_parse(set, len, &sps) == 0
                                       : pps_parse(set, len, &pps) == 0;
}

/* Whether this NAL unit goes into the sample. A pipe keeps parameter sets in front of the pictures,
 * so that a reader of one endless response follows a change of size. A file has them in its avcC,
 * until one changes: from then on it keeps all, since decoders drop the PPSs of an SPS they see
 * replaced. A damaged one goes nowhere: what it was to replace is still in force. */
static int keeps(const struct mux *m, const uint8_t *window, const struct au_nal *n)
{
    enum nal_type t = nal_type(n->header);
    if (is_transport(t) || (is_paramset(t) && !is_readable(window + n->at, n->len)))
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
    size_t n = init_write(m->init, sizeof m->init, &m->store, au->first.sps_id, m->opt.rotate,
                          m->opt.mode == MUX_GOP && m->opt.patchable, &place);
    if (!n)
        return -1;
    m->patch_at = m->written + place.entry_type;
    m->length_at = place.length ? m->written + place.length : 0;
    m->stale = 0;
    m->announced = m->store.parsed[au->first.sps_id];
    put_iov(m, m->init, n);
    if (m->opt.mode == MUX_GOP && m->opt.patchable &&
        !m->opt.base) { /* behind another file ffmpeg would take ours for all */
        m->index_at = m->written;
        put_iov(m, m->index, sidx_reserve(m->index, sizeof m->index));
    }
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
    m->recoveries = au->idr ? 0 : IDR_LESS;
    m->started = 1;
    m->duration = (uint32_t)timing_first_interval(&m->timing);
    return 0;
}

/* The times at which something is shown are those at which something is decoded, so a first sample
 * that is shown later than it is decoded is one that others are shown before. */
static enum sidx_sap sap_of(const struct frag_sample *s)
{
    if (s->flags != SAMPLE_SYNC)
        return SIDX_SAP_NONE;
    return s->shown > 0 ? SIDX_SAP_OPEN : SIDX_SAP_CLOSED;
}

/* Whether a prft says something that the last one does not: to a file with room for an index, which
 * is to have none between its fragments. */
static int is_news(struct mux *m, uint64_t utc, uint64_t tfdt)
{
    uint64_t zero = utc - tfdt * 100 / 9, off = zero - m->utc_zero;
    if (m->index_at && m->utc_zero && off + PRFT_SLACK_US <= 2 * PRFT_SLACK_US)
        return 0;
    m->utc_zero = zero;
    return 1;
}

/* Returns where the moof lies. */
static uint64_t put_head(struct mux *m, uint64_t tfdt, uint64_t utc, const struct frag_sample *s,
                         uint32_t n, int offsets)
{
    uint8_t *head = m->head + m->heads;
    size_t len = 0;
    if (utc && is_news(m, utc, tfdt)) {
        frag_write_prft(head, utc, tfdt);
        len = PRFT_BYTES;
    }
    m->sidx.none |= (len && m->sidx.count) || s->flags == SAMPLE_NON_SYNC;
    uint64_t moof = m->written + len;
    if (m->index_at)
        sidx_add(&m->sidx, tfdt, m->written, sap_of(s));
    len +=
        frag_write(head + len, sizeof m->head - m->heads - len, ++m->sequence, tfdt, s, n, offsets);
    put_iov(m, head, len);
    m->heads += len;
    m->length = tfdt;
    for (uint32_t i = 0; i < n; i++)
        m->length += s[i].duration;
    return moof;
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

static void put_gathered(struct mux *m)
{
    put_iov(m, m->gop[m->gathering], m->gop_bytes);
    m->gathering ^= 1;
    m->samples = 0;
    m->gop_bytes = 0;
}

/* --- One by one, to a pipe --- */

/* What waited for its opposite waits no longer. */
static void put_held(struct mux *m)
{
    if (m->opt.mode != MUX_AU || !m->samples)
        return;
    put_head(m, m->held_tfdt, m->held_utc, m->sample, 1, m->present.reordered);
    put_gathered(m);
}

/* The decode time of the next sample. A gap: the sample before ends where it did, this one begins
 * just before its time. */
static uint64_t next_tfdt(struct mux *m, int64_t tick)
{
    uint32_t first = (uint32_t)timing_first_interval(&m->timing);
    int64_t interval = m->timing.count > 1 ? tick - m->tick : first;
    int64_t longest = first > TIMESCALE ? first + 1 : TIMESCALE; /* rounded down */
    if (interval <= longest)
        m->duration = (uint32_t)interval;
    return (uint64_t)(first + tick - m->duration);
}

static void add_to_pipe(struct mux *m, uint8_t *window, const struct au *au, const struct moment *t)
{
    uint64_t tfdt = next_tfdt(m, t->tick), utc = t->sync ? t->utc : 0;
    int64_t shown = present_place(&m->present, m->present.reordered ? t->shown : (int64_t)tfdt);
    struct frag_sample s = {m->duration, sample_size(m, window, au), t->flags,
                            (int32_t)(shown - (int64_t)tfdt)};
    if (au->first.field) {
        gather(m, window, au);
        m->sample[m->samples++] = s;
        m->held_tfdt = tfdt;
        m->held_utc = utc;
        return;
    }
    put_head(m, tfdt, utc, &s, 1, m->present.reordered);
    put_sample(m, window, au);
}

/* --- Groups of pictures, to a file --- */

/* Writes out the group gathered so far. next: the time of the access unit behind it, or -1 at the
 * end, where the last sample lasts as long as the one before. */
static void flush_gop(struct mux *m, int64_t next)
{
    if (m->opt.mode != MUX_GOP || !m->samples)
        return;
    if (next >= 0)
        m->duration = next - m->tick > UINT32_MAX ? UINT32_MAX : (uint32_t)(next - m->tick);
    m->sample[m->samples - 1].duration = m->duration;
    if (m->timing.source != TIME_MISB)
        reorder_samples(m->sample, m->order, m->shown, m->samples);
    uint64_t moof = put_head(m, (uint64_t)m->gop_tick, m->gop_utc, m->sample, m->samples, 0);
    if (m->gop_sync)
        mfra_add(&m->mfra, (uint64_t)m->gop_tick, moof);
    put_gathered(m);
}

static int gop_is_full(const struct mux *m, uint32_t size, int64_t tick)
{
    return m->samples == GOP_SAMPLES_MAX || m->gop_bytes + size > GOP_BYTES_MAX ||
           tick - m->gop_tick > GOP_TICKS_MAX;
}

static void add_to_file(struct mux *m, uint8_t *window, const struct au *au, const struct moment *t)
{
    uint32_t size = sample_size(m, window, au);
    if (m->samples && !t->sync && !gop_is_full(m, size, t->tick))
        m->sample[m->samples - 1].duration = m->duration = (uint32_t)(t->tick - m->tick);
    else
        flush_gop(m, t->tick);
    if (!m->samples) {
        m->gop_tick = t->tick;
        m->gop_utc = t->sync ? t->utc : 0;
        m->gop_sync = t->sync;
    }
    int64_t shown = present_place(&m->present, m->present.reordered ? t->shown : t->tick);
    m->order[m->samples] = t->order;
    m->sample[m->samples++] = (struct frag_sample){0, size, t->flags, (int32_t)(shown - t->tick)};
    gather(m, window, au);
}

/* --- Order, and fields --- */

static int resets(const struct mux *m, const uint8_t *window, const struct au *au)
{
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        enum nal_type t = nal_type(n->header);
        if (t == NAL_SLICE || t == NAL_PARTITION_A) {
            size_t len = n->len < SLICE_WHOLE_HEADER_MAX ? n->len : SLICE_WHOLE_HEADER_MAX;
            return slice_resets(window + n->at, len, m->store.parsed, m->store.parsed_pps);
        }
    }
    return 0;
}

static const struct sps *sps_of(const struct mux *m, const struct au *au)
{
    const struct sps *s = &m->store.parsed[au->first.sps_id];
    return au->first.known && s->valid ? s : NULL;
}

/* 3.30, 3.31: the second field of a frame follows the first, with the other parity. */
static int is_second_field(const struct mux *m, const struct au *au)
{
    const struct slice *a = &m->field, *b = &au->first;
    return a->field && b->known && b->field && a->bottom != b->bottom &&
           a->frame_num == b->frame_num && a->sps_id == b->sps_id && !b->idr &&
           (a->nal_ref_idc || !b->nal_ref_idc);
}

/* To the sample of the first, if there is room. */
static int add_second_field(struct mux *m, uint8_t *window, const struct au *au)
{
    uint32_t size = sample_size(m, window, au);
    if (!m->samples || m->gop_bytes + size > GOP_BYTES_MAX)
        return 0;
    poc_order(&m->poc, sps_of(m, au), &au->first, resets(m, window, au));
    gather(m, window, au);
    m->sample[m->samples - 1].size += size;
    m->field.field = 0;
    put_held(m);
    return 1;
}

/* Where the picture lies in order, and whether it is a field whose opposite may follow. */
static int64_t place_in_order(struct mux *m, const uint8_t *window, const struct au *au)
{
    const struct sps *sps = sps_of(m, au);
    if (!sps) {
        m->field.field = 0;
        return m->last_order;
    }
    int reset = resets(m, window, au);
    m->field = au->first;
    m->field.field &= !reset;
    m->last_order = poc_order(&m->poc, sps, &au->first, reset);
    if (au->first.field)
        m->last_order &= ~INT64_C(1); /* that of its frame, whether it is the top or bottom field */
    return m->last_order;
}

/* A recovery point is no IDR picture: what is shown before it may refer to what was before. But
 * where one follows the other with no IDR picture between them, in an open GOP or with intra
 * refresh, there is nothing else to begin at. */
static int decodes_alone(struct mux *m, const struct au *au, const struct contents *c)
{
    if (au->idr && m->recoveries < IDR_LESS)
        m->recoveries = 0;
    if (c->recovery && m->recoveries < IDR_LESS)
        m->recoveries++;
    return au->idr || (c->recovery && m->recoveries == IDR_LESS);
}

/* Stamps say when a picture was taken, which is when it is shown. The clock that picture after
 * picture is decoded by runs at the same pace, and never back. */
static struct moment timed(struct mux *m, const struct au *au, const struct contents *c,
                           int64_t order, int64_t arrival_us)
{
    const struct sps *sps = sps_of(m, au);
    struct misb_stamp stamp = c->stamp;
    int stamped = c->stamped && stamp.us < STAMP_MAX_US;
    struct moment t = {.order = order};
    int places = present_next(&m->present, sps ? sps->reorder_frames : 0, order,
                              stamped ? (int64_t)stamp.us : PRESENT_NO_STAMP);
    int64_t early = 0;
    if (m->present.reordered && stamped && m->timing.source == TIME_MISB) {
        int64_t step = present_interval(&m->present);
        if (step <= 0 || step > TIME_STEP_MAX_US)
            step = m->timing.step_us;
        early = places * step;
        int64_t least = m->timing.zero + m->timing.last_us + m->timing.step_us / 4;
        if (!(stamp.status & MISB_DISCONTINUITY) && (int64_t)stamp.us - early < least &&
            least - ((int64_t)stamp.us - early) < step * DPB_FRAMES_MAX && m->timing.count)
            early = (int64_t)stamp.us - least;
        stamp.us -= (uint64_t)early;
    }
    t.tick = timing_next(&m->timing, c->stamped ? &stamp : NULL, arrival_us);
    t.shown = m->timing.source == TIME_MISB && stamped ? t.tick + early * TIMESCALE / 1000000
                                                       : timing_near(&m->timing, places);
    return t;
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
    m->heads = 0;
    look(m, window, au, &c);
    if (is_second_field(m, au) && add_second_field(m, window, au))
        return m->iovs;
    put_held(m);
    int first = !m->started;
    if (first && start(m, au, &c) < 0)
        return 0;
    int64_t order = place_in_order(m, window, au);
    struct moment t = timed(m, au, &c, order, arrival_us);
    t.sync = decodes_alone(m, au, &c) || first;
    t.flags = !t.sync ? SAMPLE_NON_SYNC : au->intra ? SAMPLE_SYNC : SAMPLE_RECOVERY;
    t.utc = c.stamped ? c.stamp.us : utc_us;
    if (t.utc &&
        m->timing.source == TIME_ARRIVAL) /* of the time that media has, not of its jitter */
        t.utc += (uint64_t)(m->timing.smooth.last_us - arrival_us);
    m->stale |= !first && c.new_config;
    if ((m->stale || is_resized(m, au)) && (t.sync || m->opt.patchable))
        reconfigure(m, au, t.tick);
    if (m->opt.mode == MUX_GOP)
        add_to_file(m, window, au, &t);
    else
        add_to_pipe(m, window, au, &t);
    m->tick = t.tick;
    return m->iovs;
}

unsigned mux_end(struct mux *m)
{
    m->iovs = 0;
    m->heads = 0;
    put_held(m);
    flush_gop(m, -1);
    if (m->index_at)
        m->index_bytes =
            sidx_write(&m->sidx, m->index_at, m->written, m->length, m->index, sizeof m->index);
    if (m->opt.mode == MUX_GOP && m->started)
        put_iov(m, m->mfra_bytes, mfra_write(&m->mfra, m->mfra_bytes, sizeof m->mfra_bytes));
    return m->iovs;
}
