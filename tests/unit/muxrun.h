/* Runs a stream through framer and muxer as h264fmp4 does, and reads what comes out without the
 * product's reader. */
#ifndef TESTS_UNIT_MUXRUN_H
#define TESTS_UNIT_MUXRUN_H

#include "mux/box.h"
#include "mux/muxer.h"
#include "tests/unit/h264.h"

struct result {
    uint8_t *p;
    size_t len, cap;
    unsigned notes, patches, most_iovs;
};

struct fragment {
    size_t moof, payload, bytes;
    uint64_t tfdt, utc_us, utc_time;
    uint32_t sequence, samples;
    const uint8_t *table; /* `step` bytes a sample: duration, size, flags, perhaps an offset */
    uint32_t step;
};

static struct au_framer run_framer;

static inline void put_result(struct result *r, const struct mux *m, unsigned n)
{
    size_t more = 0;
    for (unsigned i = 0; i < n; i++)
        more += m->iov[i].iov_len;
    if (r->len + more > r->cap) {
        r->cap = 2 * (r->len + more);
        r->p = realloc(r->p, r->cap);
        if (!r->p)
            _exit(99);
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(r->p + r->len, m->iov[i].iov_base, m->iov[i].iov_len);
        r->len += m->iov[i].iov_len;
    }
    if (n > r->most_iovs)
        r->most_iovs = n;
}

static inline void take_unit(struct result *r, struct mux *m, uint8_t *window, const struct au *au,
                             int64_t arrival, uint64_t utc)
{
    unsigned n = mux_add(m, window, au, arrival, utc);
    if (m->patch) {
        m->patch = 0;
        r->patches++;
        memcpy(r->p + m->patch_at - m->opt.base, MUX_PATCH, 4);
    }
    put_result(r, m, n);
    r->notes |= m->notes;
    m->notes = 0;
}

/* The stream in pieces of `step` bytes; access unit n arrives at 40 n ms, at utc_us + 40 n ms. */
static inline struct result run_mux(const struct stream *s, size_t step,
                                    const struct mux_options *opt, uint64_t utc_us)
{
    struct mux *m = calloc(1, sizeof *m);
    uint8_t *copy = malloc(s->len + 1);
    struct result r = {0};
    struct au au;
    enum au_result got;
    size_t from = 0;
    uint64_t units = 0;
    if (!m || !copy)
        _exit(99);
    memcpy(copy, s->p, s->len);
    mux_init(m, opt);
    au_init(&run_framer);
    for (size_t len = step < s->len ? step : s->len;;
         len = len + step < s->len ? len + step : s->len) {
        while ((got = au_next(&run_framer, copy + from, len - from, len == s->len, &au)) !=
               AU_MORE) {
            if (got == AU_READY)
                take_unit(&r, m, copy + from, &au, (int64_t)units * 40000,
                          utc_us ? utc_us + units * 40000 : 0);
            units += got == AU_READY;
            from += au.size;
        }
        if (len == s->len)
            break;
    }
    put_result(&r, m, mux_end(m));
    free(copy);
    free(m);
    return r;
}

/* The place of the nth box of this type, -1 when there is none. Looks into the containers. */
static inline long find_box(const uint8_t *p, size_t len, const char *type, unsigned nth)
{
    static const char *const inner[] = {"moov", "trak", "mdia", "minf", "stbl",
                                        "mvex", "moof", "traf", "mfra"};
    size_t at = 0, end = len;
    while (at + 8 <= end) {
        size_t size = get_u32(p + at), step = size;
        if (size < 8 || size > end - at)
            return -1;
        if (!memcmp(p + at + 4, type, 4) && nth-- == 0)
            return (long)at;
        for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++)
            if (!memcmp(p + at + 4, inner[i], 4))
                step = 8;
        if (!memcmp(p + at + 4, "stsd", 4))
            step = 16;
        if (!memcmp(p + at + 4, "avc1", 4) || !memcmp(p + at + 4, "avc3", 4))
            step = 86;
        at += step;
    }
    return -1;
}

static inline unsigned count_boxes(const struct result *r, const char *type)
{
    unsigned n = 0;
    while (find_box(r->p, r->len, type, n) >= 0)
        n++;
    return n;
}

/* Reads the fragments, at most `max`, and returns how many there are; 0 where one is not sound. */
static inline unsigned read_fragments(const struct result *r, struct fragment *f, unsigned max)
{
    unsigned n = 0;
    uint64_t utc = 0, utc_time = 0;
    for (size_t at = 0; at < r->len; at += get_u32(r->p + at)) {
        const uint8_t *box = r->p + at;
        size_t size = get_u32(box);
        if (size < 8 || size > r->len - at)
            return 0;
        if (!memcmp(box + 4, "prft", 4)) {
            utc = (get_u32(box + 16) - UINT64_C(2208988800)) * 1000000 +
                  ((get_u32(box + 20) * UINT64_C(1000000) + (1u << 31)) >> 32);
            utc_time = get_u64(box + 24);
        }
        if (memcmp(box + 4, "moof", 4))
            continue;
        const uint8_t *trun = box + find_box(box, size, "trun", 0);
        const uint8_t *tfdt = box + find_box(box, size, "tfdt", 0);
        const uint8_t *mfhd = box + find_box(box, size, "mfhd", 0);
        size_t bytes = 0;
        if (n == max)
            return 0;
        f[n] = (struct fragment){.moof = at,
                                 .payload = at + size + 8,
                                 .tfdt = get_u64(tfdt + 12),
                                 .utc_us = utc,
                                 .utc_time = utc_time,
                                 .sequence = get_u32(mfhd + 12),
                                 .samples = get_u32(trun + 12),
                                 .table = trun + 20,
                                 .step = trun[10] & 8 ? 16 : 12};
        for (uint32_t i = 0; i < f[n].samples; i++)
            bytes += get_u32(f[n].table + f[n].step * i + 4);
        f[n].bytes = bytes;
        if (get_u32(trun + 16) != size + 8 || get_u32(box + size) != bytes + 8 ||
            memcmp(box + size + 4, "mdat", 4) || f[n].payload + bytes > r->len ||
            f[n].sequence != n + 1)
            return 0;
        utc = utc_time = 0;
        n++;
    }
    return n;
}

static inline uint32_t sample_duration(const struct fragment *f, uint32_t i)
{
    return get_u32(f->table + f->step * i);
}

static inline int sample_is_sync(const struct fragment *f, uint32_t i)
{
    return !(get_u32(f->table + f->step * i + 8) & 0x10000);
}

static inline int32_t sample_offset(const struct fragment *f, uint32_t i)
{
    return f->step == 16 ? (int32_t)get_u32(f->table + f->step * i + 12) : 0;
}

static inline uint64_t fragment_ticks(const struct fragment *f)
{
    uint64_t ticks = 0;
    for (uint32_t i = 0; i < f->samples; i++)
        ticks += sample_duration(f, i);
    return ticks;
}

/* The letters of the NAL units in all samples, as add_line() writes them, one bar in front of each
 * sample; slices are I, i and P, p is a PPS. */
static inline void spell(const struct result *r, char *text, size_t cap)
{
    static const char letters[] = "?P????ESpA????N?????????????????";
    static struct fragment f[10000];
    unsigned n = read_fragments(r, f, 10000);
    size_t k = 0;
    for (unsigned i = 0; i < n; i++) {
        size_t at = f[i].payload;
        for (uint32_t s = 0; s < f[i].samples; s++) {
            size_t end = at + get_u32(f[i].table + f[i].step * s + 4);
            if (k + 1 < cap)
                text[k++] = '|';
            while (at < end) {
                uint8_t header = r->p[at + 4];
                char c = nal_type(header) == NAL_IDR ? 'I' : letters[header & 31];
                if (k + 1 < cap)
                    text[k++] = c;
                at += 4 + get_u32(r->p + at);
            }
            if (at != end)
                k = 0;
        }
    }
    text[k] = 0;
}

#endif
