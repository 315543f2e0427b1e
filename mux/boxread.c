#include "mux/boxread.h"

#include <stdio.h>
#include <string.h>

#include "mux/box.h"

struct child {
    char type[4];
    const uint8_t *body, *end; /* behind the header, and the box's end */
};

/* A box at p[0, len) with a 32-bit size that fits. Returns its size, or 0. */
static size_t read_child(const uint8_t *p, size_t len, struct child *c)
{
    if (len < 8)
        return 0;
    size_t size = get_u32(p);
    if (size < 8 || size > len)
        return 0;
    memcpy(c->type, p + 4, 4);
    c->body = p + 8;
    c->end = p + size;
    return size;
}

static int is(const struct child *c, const char *type)
{
    return memcmp(c->type, type, 4) == 0;
}

/* The first child of this type in [p, end). Returns 1 or 0. */
static int find_child(const uint8_t *p, const uint8_t *end, const char *type, struct child *c)
{
    size_t size;
    while ((size = read_child(p, (size_t)(end - p), c))) {
        if (is(c, type))
            return 1;
        p += size;
    }
    return 0;
}

static int find_path(struct child *c, const char *const *path, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!find_child(c->body, c->end, path[i], c))
            return 0;
    return 1;
}

static size_t body(const struct child *c)
{
    return (size_t)(c->end - c->body);
}

/* stsd, its only entry, avcC: size and codec. */
static int read_entry(const struct child *stsd, struct init_info *out)
{
    struct child entry, avcc;
    if (body(stsd) < 8 || !read_child(stsd->body + 8, body(stsd) - 8, &entry))
        return -1;
    if ((!is(&entry, "avc1") && !is(&entry, "avc3")) || body(&entry) < 78)
        return -1;
    out->width = (uint32_t)entry.body[24] << 8 | entry.body[25];
    out->height = (uint32_t)entry.body[26] << 8 | entry.body[27];
    if (!find_child(entry.body + 78, entry.end, "avcC", &avcc) || body(&avcc) < 7)
        return -1;
    snprintf(out->codec, sizeof out->codec, "%.4s.%02X%02X%02X", entry.type, avcc.body[1],
             avcc.body[2], avcc.body[3]);
    return 0;
}

static const char *read_moov(const struct child *moov, struct init_info *out)
{
    static const char *const to_mdhd[] = {"mdia", "mdhd"};
    static const char *const to_stsd[] = {"mdia", "minf", "stbl", "stsd"};
    struct child trak, other, c;
    memset(out, 0, sizeof *out);
    if (!find_child(moov->body, moov->end, "trak", &trak))
        return "moov without a track";
    if (find_child(trak.end, moov->end, "trak", &other))
        return "more than one track";
    c = trak;
    if (!find_path(&c, to_mdhd, 2) || body(&c) < 24 || (c.body[0] == 1 && body(&c) < 36))
        return "moov without a media header";
    out->timescale = get_u32(c.body + (c.body[0] == 1 ? 20 : 12));
    c = trak;
    if (!find_path(&c, to_stsd, 4) || read_entry(&c, out) < 0)
        return "the track is not H.264";
    return out->timescale ? NULL : "timescale 0";
}

enum { TFHD_BASE_OFFSET = 1, TFHD_INDEX = 2, TFHD_DURATION = 8, TFHD_SIZE = 16, TFHD_FLAGS = 32 };
enum { TRUN_OFFSET = 1, TRUN_FIRST_FLAGS = 4, TRUN_DURATION = 0x100, TRUN_FLAGS = 0x400 };
enum { TRUN_COMPOSITION = 0x800 };

struct track_defaults {
    struct moof_field duration, flags;
};

/* 8.8.7: the optional fields in the order of their flags. */
static int read_tfhd(const uint8_t *unit, const struct child *c, struct track_defaults *d)
{
    static const struct {
        uint32_t flag;
        unsigned bytes;
    } optional[] = {
        {TFHD_BASE_OFFSET, 8}, {TFHD_INDEX, 4}, {TFHD_DURATION, 4}, {TFHD_SIZE, 4}, {TFHD_FLAGS, 4},
    };
    if (body(c) < 8)
        return -1;
    uint32_t flags = get_u32(c->body) & 0xffffff;
    const uint8_t *p = c->body + 8;
    if (flags & TFHD_BASE_OFFSET)
        return -1;
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        if (!(flags & optional[i].flag))
            continue;
        if ((size_t)(c->end - p) < optional[i].bytes)
            return -1;
        struct moof_field here = {(uint16_t)(p - unit), 1, 0};
        if (optional[i].flag == TFHD_DURATION)
            d->duration = here;
        if (optional[i].flag == TFHD_FLAGS)
            d->flags = here;
        p += optional[i].bytes;
    }
    return 0;
}

/* 8.8.8: a field is in the trun once a sample, or in the tfhd once for all. */
static int read_trun(const uint8_t *unit, const struct child *c, const struct track_defaults *d,
                     struct moof_info *m)
{
    if (body(c) < 8)
        return -1;
    uint32_t flags = get_u32(c->body) & 0xffffff, n = get_u32(c->body + 4);
    size_t fixed = 8;
    if (flags & TRUN_OFFSET)
        fixed += 4;
    if (flags & TRUN_FIRST_FLAGS) {
        m->first_flags_at = (uint16_t)(c->body + fixed - unit);
        fixed += 4;
    }
    unsigned step = 0, before_flags = 0, before_offset = 0;
    for (uint32_t f = TRUN_DURATION; f <= TRUN_COMPOSITION; f <<= 1) {
        if (f == TRUN_FLAGS)
            before_flags = step;
        if (f == TRUN_COMPOSITION)
            before_offset = step;
        step += flags & f ? 4 : 0;
    }
    if (!n || n > UINT16_MAX || body(c) < fixed + (size_t)n * step)
        return -1;
    uint16_t first = (uint16_t)(c->body + fixed - unit), count = (uint16_t)n;
    m->samples = count;
    m->duration = d->duration;
    if (flags & TRUN_DURATION)
        m->duration = (struct moof_field){first, count, (uint16_t)step};
    m->flags = d->flags;
    if (flags & TRUN_FLAGS)
        m->flags = (struct moof_field){(uint16_t)(first + before_flags), count, (uint16_t)step};
    if (flags & TRUN_COMPOSITION)
        m->offset = (struct moof_field){(uint16_t)(first + before_offset), count, (uint16_t)step};
    m->trun_version_at = (uint16_t)(c->body - unit);
    return 0;
}

static void sum_up(const uint8_t *unit, struct moof_info *m)
{
    const struct moof_field *d = &m->duration;
    for (unsigned i = 0; i < d->n; i++)
        m->duration_ticks += get_u32(unit + d->at + i * d->step);
    if (d->n == 1)
        m->duration_ticks *= m->samples;
    unsigned at = m->first_flags_at ? m->first_flags_at : m->flags.n ? m->flags.at : 0;
    /* sample_is_non_sync_sample (8.8.3.1); not said anywhere here: taken for one */
    m->sync = at && !(get_u32(unit + at) & 0x10000);
}

static const char *read_moof(const uint8_t *unit, const struct child *moof, struct moof_info *m)
{
    struct child mfhd, traf, other, c;
    struct track_defaults defaults = {{0, 0, 0}, {0, 0, 0}};
    if (!find_child(moof->body, moof->end, "mfhd", &mfhd) || body(&mfhd) < 8)
        return "moof without a header";
    m->sequence_at = (uint16_t)(mfhd.body + 4 - unit);
    if (!find_child(moof->body, moof->end, "traf", &traf))
        return "moof without a track fragment";
    if (find_child(traf.end, moof->end, "traf", &other))
        return "more than one track fragment in a moof";
    if (!find_child(traf.body, traf.end, "tfhd", &c) || read_tfhd(unit, &c, &defaults) < 0)
        return "tfhd with a base data offset, or damaged";
    if (!find_child(traf.body, traf.end, "tfdt", &c) || body(&c) < 12 || c.body[0] != 1)
        return "no 64-bit tfdt";
    m->tfdt_at = (uint16_t)(c.body + 4 - unit);
    m->tfdt = get_u64(c.body + 4);
    if (!find_child(traf.body, traf.end, "trun", &c) || read_trun(unit, &c, &defaults, m) < 0)
        return "no samples in a moof";
    if (find_child(c.end, traf.end, "trun", &other))
        return "more than one trun in a moof";
    if (!m->duration.n)
        return "no sample duration in a moof";
    sum_up(unit, m);
    return NULL;
}

/* 8.16.5. Seconds from 1900 to 1970 go off. */
static void read_prft(const uint8_t *unit, const struct child *c, struct moof_info *m)
{
    const uint64_t ntp_unix = 2208988800u;
    if (body(c) < 24 || c->body[0] != 1)
        return;
    uint64_t seconds = get_u32(c->body + 8), fraction = get_u32(c->body + 12);
    if (seconds < ntp_unix)
        return;
    m->utc_us = (seconds - ntp_unix) * 1000000 + ((fraction * 1000000 + (1u << 31)) >> 32);
    m->prft_time_at = (uint16_t)(c->body + 16 - unit);
    m->utc_time = get_u64(c->body + 16);
}

/* The header of a top-level box: its size in *size. 1, 0 for more, -1 for no box. */
static int top_header(const uint8_t *p, size_t len, size_t *size)
{
    if (len < 8)
        return 0;
    *size = get_u32(p);
    for (int i = 4; i < 8; i++)
        if ((p[i] < ' ' || p[i] > '~') && p[i] != 0xa9)
            return -1;
    return *size >= 8 ? 1 : -1;
}

static enum unit_result bad(struct unit *u, size_t at, const char **why, const char *text)
{
    u->size = at;
    *why = text;
    return UNIT_BAD;
}

/* An mdat ends the fragment that the moof in front of it began. */
static enum unit_result end_frag(struct unit *u, size_t at, size_t size, size_t len,
                                 const char **why)
{
    if (!u->moof.samples)
        return bad(u, at, why, "mdat without a moof");
    if (at + 8 > FRAG_HEAD_MAX || size > FRAG_BYTES_MAX)
        return bad(u, at, why, "fragment too large");
    if (at + size > len)
        return UNIT_MORE;
    u->moof.payload_at = (uint16_t)(at + 8);
    u->kind = UNIT_FRAG;
    u->size = at + size;
    return UNIT_READY;
}

enum part { PART_OTHER, PART_FTYP, PART_MOOV, PART_STYP, PART_PRFT, PART_MOOF, PART_MDAT };

static enum part part_of(const uint8_t *type)
{
    static const char names[][5] = {"ftyp", "moov", "styp", "prft", "moof", "mdat"};
    for (int i = 0; i < 6; i++)
        if (memcmp(type, names[i], 4) == 0)
            return (enum part)(i + 1);
    return PART_OTHER;
}

enum unit_result unit_next(const uint8_t *window, size_t len, struct unit *u, const char **why)
{
    size_t at = 0, size;
    memset(u, 0, sizeof *u);
    for (;; at += size) {
        struct child c = {"", NULL, NULL};
        const char *wrong = NULL;
        int head = top_header(window + at, len - at, &size);
        if (head <= 0)
            return head ? bad(u, at, why, "not an MP4 box") : UNIT_MORE;
        enum part part = part_of(window + at + 4);
        if (part == PART_MDAT)
            return end_frag(u, at, size, len, why);
        int in_frag = u->moof.samples != 0;
        if (in_frag && part != PART_OTHER)
            return bad(u, at, why, "moof without its mdat");
        size_t most = in_frag || part >= PART_STYP ? FRAG_HEAD_MAX - 8 : OTHER_BYTES_MAX;
        if (size > most || at + size > most) /* the sum may be no size_t of 32 bits */
            return bad(u, at, why, "box too large");
        if (at + size > len)
            return UNIT_MORE;
        read_child(window + at, size, &c);
        switch (part) {
        case PART_FTYP:
        case PART_STYP:
            break;
        case PART_PRFT:
            read_prft(window, &c, &u->moof);
            break;
        case PART_MOOF:
            u->moof.moof_at = (uint16_t)at;
            wrong = read_moof(window, &c, &u->moof);
            break;
        case PART_MOOV:
            wrong = read_moov(&c, &u->init);
            u->kind = UNIT_INIT;
            break;
        default:
            u->kind = UNIT_SKIP;
            break;
        }
        if (wrong)
            return bad(u, at, why, wrong);
        u->size = at + size;
        if (part == PART_MOOV || (part == PART_OTHER && !in_frag))
            return UNIT_READY;
    }
}

/* 8.4.2, version 1: 64-bit times and duration. */
static void write_endless_mdhd(struct box *b, const struct child *c)
{
    const uint64_t ten_years = (uint64_t)10 * 366 * 86400;
    int wide = c->body[0] == 1;
    uint32_t timescale = get_u32(c->body + (wide ? 20 : 12));
    size_t mdhd = box_open_full(b, "mdhd", 1, 0);
    box_zeros(b, 16);
    box_u32(b, timescale);
    box_u64(b, ten_years * timescale);
    box_bytes(b, c->body + (wide ? 32 : 20), 4); /* language, pre_defined */
    box_close(b, mdhd);
}

/* Copies the boxes of [p, end); moov, trak and mdia by going into them. */
static int copy_endless(struct box *b, const uint8_t *p, const uint8_t *end, int depth)
{
    static const char *const containers[] = {"moov", "trak", "mdia"};
    struct child c;
    size_t size;
    for (; p < end; p += size) {
        size = read_child(p, (size_t)(end - p), &c);
        if (!size)
            return -1;
        if (depth < 3 && is(&c, containers[depth])) {
            size_t place = box_open(b, containers[depth]);
            if (copy_endless(b, c.body, c.end, depth + 1) < 0)
                return -1;
            box_close(b, place);
        } else if (depth == 3 && is(&c, "mdhd")) {
            if (body(&c) < (c.body[0] == 1 ? 36u : 24u))
                return -1;
            write_endless_mdhd(b, &c);
        } else {
            box_bytes(b, p, size);
        }
    }
    return 0;
}

size_t init_make_endless(uint8_t *out, size_t cap, const uint8_t *init, size_t len)
{
    struct box b;
    box_init(&b, out, cap);
    if (copy_endless(&b, init, init + len, 0) < 0 || b.full)
        return 0;
    return b.len;
}
