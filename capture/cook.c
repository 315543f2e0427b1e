#include "capture/cook.h"

#include "capture/nal.h"
#include "capture/sei.h"

#include <string.h>

static const uint8_t start_code[4] = {0, 0, 0, 1};
/* primary_pic_type 7: any kind of slice may follow */
static const uint8_t delimiter[COOK_AUD] = {0, 0, 0, 1, NAL_AUD, 0xf0};

void cook_init(struct cook *c)
{
    memset(c, 0, sizeof *c);
}

/* --- Parameter sets --- */

static struct cook_set *find_set(struct cook *c, uint8_t type, uint8_t id)
{
    for (unsigned i = 0; i < c->sets; i++)
        if (c->set[i].type == type && c->set[i].id == id)
            return &c->set[i];
    return NULL;
}

static void keep_set(struct cook *c, const uint8_t *nal, size_t len)
{
    uint8_t type = (uint8_t)nal_type(nal[0]), id;
    struct sps sps;
    struct pps pps;

    if (len > COOK_SET_BYTES)
        return;
    if (type == NAL_SPS) {
        if (sps_parse(nal, len, &sps))
            return;
        id = sps.id;
        c->sps[id] = sps;
    } else {
        if (pps_parse(nal, len, &pps))
            return;
        id = pps.id;
        c->pps[id] = pps;
    }
    struct cook_set *set = find_set(c, type, id);
    if (!set) {
        if (c->sets == COOK_SETS)
            return;
        set = &c->set[c->sets++];
        *set = (struct cook_set){.type = type, .id = id, .owed = 1};
        memcpy(set->bytes, start_code, sizeof start_code);
    }
    if (set->len != len || memcmp(set->bytes + 4, nal, len) != 0)
        set->owed = 1;
    set->len = (uint16_t)len;
    set->here = 1;
    memcpy(set->bytes + 4, nal, len);
}

/* --- What is in a buffer --- */

/* Slices, and what belongs directly in front of one. */
static int is_picture(enum nal_type type)
{
    return (type >= NAL_SLICE && type <= NAL_IDR) || type == NAL_PREFIX ||
           type == NAL_SLICE_EXTENSION;
}

/* Looks at one NAL unit. Returns whether it is to stay in the stream. */
static int look(struct cook *c, const uint8_t *nal, size_t len, int arrival)
{
    struct misb_stamp stamp;
    enum nal_type type = nal_type(nal[0]);

    switch (type) {
    case NAL_AUD:
    case NAL_FILLER:
        return 0;
    case NAL_SPS:
    case NAL_PPS:
        keep_set(c, nal, len);
        return 1;
    case NAL_SEI:
        c->key |= sei_recovery_point(nal, len);
        if (!misb_read(nal, len, &stamp))
            return 1;
        c->own_stamp |= arrival;
        return arrival;
    case NAL_SLICE:
    case NAL_PARTITION_A:
    case NAL_IDR:
        c->key |= type == NAL_IDR;
        if (!c->pictured) {
            size_t header = len < SLICE_HEADER_MAX ? len : SLICE_HEADER_MAX;
            if (slice_parse(nal, header, c->sps, c->pps, &c->first))
                c->first = (struct slice){.nal_ref_idc = 1};
            c->pictured = 1;
        }
        return 1;
    default:
        return 1;
    }
}

/* Adds [from, to) to what stays. Zeros between two NAL units that stay do too: they are allowed
 * there, and leaving them out would be one more piece. */
static int add_part(struct cook *c, size_t from, size_t to, int joins)
{
    if (joins && c->parts) {
        c->part[c->parts - 1].to = to;
        return 0;
    }
    if (c->parts == COOK_PARTS)
        return -1;
    c->part[c->parts++] = (struct cook_part){from, to};
    return 0;
}

/* Finds the NAL units. Returns -1 for garbage. */
static int scan(struct cook *c, const uint8_t *p, size_t len, int arrival)
{
    size_t at = nal_start_code(p, len), next;
    int joins = 0, in_front = 1, found = 0;

    c->parts = c->front = 0;
    c->key = c->own_stamp = c->pictured = 0;
    for (unsigned i = 0; i < c->sets; i++)
        c->set[i].here = 0;
    for (; at < len; at = next) {
        size_t from = at && p[at - 1] == 0 ? at - 1 : at;
        size_t nal = at + 3;
        next = nal + nal_start_code(p + nal, len - nal);
        size_t end = next;
        while (end > nal && p[end - 1] == 0)
            end--;
        if (end == nal)
            continue;
        found = 1;
        if (in_front && is_picture(nal_type(p[nal]))) {
            in_front = joins = 0;
            c->front = c->parts;
        }
        int stays = look(c, p + nal, end - nal, arrival);
        if (stays && add_part(c, from, end, joins))
            return -1;
        joins = stays;
    }
    return found ? 0 : -1;
}

/* --- References --- */

/* Whether a reference picture is missing between the last one written and this picture (7.4.3). */
static int reference_missing(const struct cook *c)
{
    const struct slice *s = &c->first;

    if (!s->known || !c->referred)
        return 1;
    uint32_t mask = ((uint32_t)1 << c->sps[s->sps_id].log2_max_frame_num) - 1;
    if (s->field && s->frame_num == c->last_frame_num)
        return 0;
    return s->frame_num != ((c->last_frame_num + 1) & mask);
}

/* Whether the picture may go out, after what was lost before it. */
static int may_go(struct cook *c)
{
    if (c->key) {
        c->waiting = c->suspect = 0;
    } else if (c->suspect) {
        c->suspect = 0;
        c->waiting |= reference_missing(c);
    }
    if (!c->waiting)
        return 1;
    if (++c->waited < COOK_WAIT_MAX)
        return 0;
    c->waiting = 0;
    return 1;
}

/* --- The list --- */

static void put(struct cook *c, const void *p, size_t len)
{
    union { /* writev only reads, but its type does not say so */
        const void *in;
        void *out;
    } base = {.in = p};

    c->iov[c->count++] = (struct iovec){.iov_base = base.out, .iov_len = len};
}

static void put_parts(struct cook *c, const uint8_t *p, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        put(c, p + c->part[i].from, c->part[i].to - c->part[i].from);
}

/* A keyframe without any set gets all there are; one with some, what its first slice refers to. */
static int set_wanted(const struct cook *c, const struct cook_set *set, int any_here)
{
    if (set->here)
        return 0;
    if (set->owed || (c->key && !any_here))
        return 1;
    if (!c->key || !c->first.known)
        return 0;
    return set->id == (set->type == NAL_SPS ? c->first.sps_id : c->first.pps_id);
}

static void put_sets(struct cook *c, uint8_t type)
{
    int any_here = 0;

    for (unsigned i = 0; i < c->sets; i++)
        any_here |= c->set[i].here;
    for (unsigned i = 0; i < c->sets; i++) {
        const struct cook_set *set = &c->set[i];
        if (set->type != type || !set_wanted(c, set, any_here))
            continue;
        memcpy(c->copy[c->copies], set->bytes, 4u + set->len);
        put(c, c->copy[c->copies++], 4u + set->len);
    }
}

enum cook_result cook_take(struct cook *c, const uint8_t *p, size_t len,
                           const struct cook_time *time)
{
    c->count = c->copies = 0;
    if (scan(c, p, len, time->arrival)) {
        cook_lost(c);
        return COOK_GARBAGE;
    }
    if (!c->pictured)
        return COOK_SETS_IN;
    if (c->first.known && c->first.first_mb != 0) {
        cook_lost(c);
        return COOK_TORN;
    }
    if (!may_go(c))
        return COOK_WAITING;
    if (!c->begun)
        put(c, delimiter, sizeof delimiter);
    put_sets(c, NAL_SPS);
    put_parts(c, p, 0, c->front);
    put_sets(c, NAL_PPS);
    if (!c->own_stamp) {
        memcpy(c->stamp, start_code, sizeof start_code);
        put(c, c->stamp, 4 + misb_write(c->stamp + 4, &time->stamp));
    }
    put_parts(c, p, c->front, c->parts);
    put(c, delimiter, sizeof delimiter);
    return COOK_WRITE;
}

void cook_written(struct cook *c)
{
    c->begun = 1;
    c->waited = 0;
    for (unsigned i = 0; i < c->sets; i++)
        c->set[i].owed = 0;
    if (c->first.nal_ref_idc && c->first.known) {
        c->last_frame_num = c->first.frame_num;
        c->referred = 1;
    } else if (c->first.nal_ref_idc) {
        c->referred = 0;
    }
}

void cook_skip(struct cook *c, const uint8_t *p, size_t len)
{
    scan(c, p, len, 0);
    if (c->pictured)
        cook_lost(c);
}

void cook_lost(struct cook *c)
{
    c->suspect = 1;
}
