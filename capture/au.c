#include "capture/au.h"

#include <string.h>

#include "capture/nal.h"

enum { NONE = AU_NALS_MAX };

void au_init(struct au_framer *f)
{
    memset(f, 0, sizeof *f);
    f->opener = NONE;
}

static void new_picture(struct au_framer *f)
{
    f->pictures = 0;
    f->has_mb0 = 0;
    f->damaged = 0;
    f->idr = 0;
    f->intra = 1;
    f->opener = NONE;
}

/* Forgets the access unit handed out last: what was found behind it moves to the front. */
static void retire(struct au_framer *f)
{
    if (!f->taken_size)
        return;
    unsigned keep = f->count - f->taken;
    for (unsigned i = 0; i < keep; i++) {
        f->nal[i] = f->nal[f->taken + i];
        f->nal[i].at -= (uint32_t)f->taken_size;
    }
    f->count = keep;
    f->judged -= f->taken;
    f->scan -= f->taken_size;
    f->taken = 0;
    f->taken_size = 0;
    new_picture(f);
}

/* Ends the open NAL unit at `end`, less the zero bytes that belong to the start code or pad. A NAL
 * unit of nothing but zeros never was one. */
static void close_nal(struct au_framer *f, const uint8_t *window, size_t end)
{
    if (!f->open)
        return;
    f->open = 0;
    struct au_nal *n = &f->nal[f->count - 1];
    while (end > n->at && window[end - 1] == 0)
        end--;
    n->len = (uint32_t)(end - n->at);
    if (n->len == 0) {
        f->count--;
        if (f->judged > f->count)
            f->judged = f->count;
    }
}

/* Finds the next start code and opens the NAL unit behind it. Returns 1, 0 when there is none in
 * the window, -1 when there are too many NAL units. */
static int find_nal(struct au_framer *f, const uint8_t *window, size_t len, int end)
{
    size_t code = f->scan + nal_start_code(window + f->scan, len - f->scan);
    if (code + 3 < len) {
        close_nal(f, window, code);
        f->scan = code;
        if (f->count == AU_NALS_MAX)
            return -1;
        struct au_nal *n = &f->nal[f->count++];
        n->at = (uint32_t)(code + 3);
        n->header = window[code + 3];
        n->lead = code > 0 && window[code - 1] == 0 ? 4 : 3;
        n->len = 0;
        f->open = 1;
        f->scan = code + 3;
        return 1;
    }
    if (end) {
        close_nal(f, window, code + 3 == len ? code : len);
        f->scan = len;
    } else {
        /* The start code may be cut in two, or its NAL header byte not be there yet. */
        size_t from = len > 3 ? len - 3 : 0;
        if (from > f->scan)
            f->scan = from;
    }
    return 0;
}

/* Where a NAL unit of this type, behind a slice, would begin an access unit (7.4.1.2.3). */
static int may_open(enum nal_type t)
{
    return (t >= NAL_SEI && t <= NAL_AUD) || (t >= NAL_PREFIX && t <= NAL_RESERVED_18);
}

static void read_paramset(struct au_framer *f, const uint8_t *nal, size_t len)
{
    struct sps sps;
    struct pps pps;
    if (nal_type(nal[0]) == NAL_SPS && sps_parse(nal, len, &sps) == 0)
        f->sps[sps.id] = sps;
    else if (nal_type(nal[0]) == NAL_PPS && pps_parse(nal, len, &pps) == 0)
        f->pps[pps.id] = pps;
}

/* 7.4.1.2.4, and what it takes for granted: a picture has its macroblock 0 only once. */
static int begins_picture(const struct au_framer *f, const struct slice *s)
{
    if (slice_new_picture(&f->first, s))
        return 1;
    if (s->redundant || s->colour_plane != f->first.colour_plane)
        return 0;
    return s->first_mb == 0 && f->has_mb0;
}

/* An open slice can be read once its end is not in its first SLICE_HEADER_MAX bytes: one that is
 * cut short must not be read on into the next NAL unit. */
static int header_is_there(const uint8_t *nal, size_t have)
{
    return have >= SLICE_HEADER_MAX && nal_start_code(nal, SLICE_HEADER_MAX) == SLICE_HEADER_MAX;
}

/* Decides where NAL unit i belongs. Returns the index of the NAL unit the next access unit begins
 * with, NONE when i is part of the current one, or -1 when more of i must be seen. */
static int judge(struct au_framer *f, const uint8_t *window, size_t len, unsigned i)
{
    const struct au_nal *n = &f->nal[i];
    enum nal_type type = nal_type(n->header);
    int whole = !(f->open && i == f->count - 1);
    size_t have = whole ? n->len : len - n->at;

    if (type == NAL_AUD && f->pictures)
        return (int)(f->opener != NONE ? f->opener : i);
    if (type == NAL_SPS || type == NAL_PPS) {
        if (!whole)
            return -1;
        read_paramset(f, window + n->at, n->len);
    }
    if (may_open(type)) {
        if (f->pictures && f->opener == NONE)
            f->opener = i;
        return NONE;
    }
    if (type != NAL_SLICE && type != NAL_IDR && type != NAL_PARTITION_A)
        return NONE;
    if (!whole && !header_is_there(window + n->at, have))
        return -1;
    struct slice s;
    if (slice_parse(window + n->at, have < SLICE_HEADER_MAX ? have : SLICE_HEADER_MAX, f->sps,
                    f->pps, &s) < 0)
        s.known = 0;
    if (f->pictures && begins_picture(f, &s))
        return (int)(f->opener != NONE ? f->opener : i);
    if (!f->pictures)
        f->first = s;
    f->pictures = 1;
    f->has_mb0 |= s.first_mb == 0 && !s.redundant;
    f->idr |= s.idr;
    f->intra &= s.type == SLICE_I || s.type == SLICE_SI;
    f->opener = NONE;
    return NONE;
}

static enum au_result hand_out(struct au_framer *f, unsigned count, size_t size, struct au *out)
{
    out->nal = f->nal;
    out->count = count;
    out->size = size;
    out->first = f->first;
    out->idr = f->idr;
    out->intra = f->intra;
    f->taken = count;
    f->taken_size = size;
    return AU_READY;
}

/* Drops `size` bytes. */
static enum au_result drop(struct au *out, size_t size)
{
    memset(out, 0, sizeof *out);
    out->size = size;
    return AU_BAD;
}

/* Drops all that was looked at, and remembers the picture it was of. */
static enum au_result give_up(struct au_framer *f, struct au *out)
{
    size_t size = f->scan;
    f->count = f->judged = 0;
    f->open = 0;
    f->scan = 0;
    f->opener = NONE;
    f->damaged = f->pictures;
    return drop(out, size);
}

/* The access unit ends in front of NAL unit `count`, which is at least 1, or is not there. */
static enum au_result end_unit(struct au_framer *f, unsigned count, size_t size, struct au *out)
{
    if (!f->damaged)
        return hand_out(f, count, size, out);
    f->taken = count;
    f->taken_size = size;
    return drop(out, size);
}

enum au_result au_next(struct au_framer *f, const uint8_t *window, size_t len, int end,
                       struct au *out)
{
    retire(f);
    if (len >= AU_BYTES_MAX) {
        len = AU_BYTES_MAX;
        end = 0;
    }
    if (f->count == 0 && !f->pictures)
        new_picture(f);
    for (;;) {
        while (f->judged < f->count) {
            int next = judge(f, window, len, f->judged);
            if (next < 0)
                break;
            if (next != NONE) {
                const struct au_nal *n = &f->nal[next];
                size_t size = n->at - n->lead;
                /* The NAL units from the opener on are judged again as part of the next. */
                f->judged = (unsigned)next;
                if (size)
                    return end_unit(f, (unsigned)next, size, out);
                new_picture(f); /* all of the damaged one is gone already */
                continue;
            }
            f->judged++;
        }
        int found = find_nal(f, window, len, end);
        if (found < 0 || (found == 0 && !end && len >= AU_BYTES_MAX))
            return give_up(f, out);
        if (found == 0 && f->judged == f->count)
            break;
        if (found == 0 && !end)
            return AU_MORE;
    }
    if (!end || !f->pictures)
        return AU_MORE;
    /* The end of the stream: a delimiter or parameter sets behind the last slice belong to no
     * picture. */
    unsigned count = f->opener != NONE ? f->opener : f->count;
    size_t size = count < f->count ? f->nal[count].at - f->nal[count].lead : len;
    f->judged = count;
    return size ? end_unit(f, count, size, out) : AU_MORE;
}
