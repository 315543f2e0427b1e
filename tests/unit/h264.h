/* H.264 streams made to order for the tests: parameter sets and slice headers written field by
 * field, and whole streams from a line of text. */
#ifndef TESTS_UNIT_H264_H
#define TESTS_UNIT_H264_H

#include "capture/bits.h"
#include "capture/misb.h"
#include "capture/nal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SET_MAX = 4096,
    CROP = 1,
    ASPECT = 2,
    COLOUR = 4,
    TIMING = 8,
    VUI = 16,
    HRD = 32,
    REORDER = 64
};

/* Zero is a value that works: baseline, 4:2:0, one macroblock. */
struct sps_plan {
    unsigned profile, constraints, level, id;
    unsigned chroma, separate, depth_luma, depth_chroma;
    int scaling; /* 0: none, 1: flags only, 2: lists, 3: a list with a delta out of range */
    unsigned frame_num_bits, poc_type, poc_bits;
    unsigned always_zero, cycle;
    unsigned mbs, map_units; /* minus 1 */
    unsigned interlaced, mbaff;
    unsigned has; /* CROP and so on */
    unsigned crop[4];
    unsigned aspect, sar_width, sar_height;
    unsigned colour[4]; /* full range, primaries, transfer, matrix */
    unsigned units, scale;
    unsigned bitrate, cpb; /* of the NAL HRD; each a multiple of 64 */
    unsigned reorder_frames;
};

struct pps_plan {
    unsigned id, sps, bottom, redundant;
    int groups; /* 0, or 1 + slice_group_map_type */
};

struct slice_plan {
    unsigned header; /* the NAL unit's; 0: 0x65 or 0x41 by idr */
    unsigned first_mb, type, pps, plane, frame_num, field, bottom, idr, idr_pic_id, poc_lsb;
    int delta[2];
    unsigned redundant;
};

static inline void write_scaling(struct bitwriter *w, const struct sps_plan *p)
{
    bitw_u(w, 1, p->scaling != 0);
    for (unsigned i = 0; p->scaling && i < (p->chroma == 3 ? 12u : 8u); i++) {
        int list = p->scaling == 3 ? i == 7 : p->scaling == 2 && i != 3;
        bitw_u(w, 1, (unsigned)list);
        for (int n = i < 6 ? 16 : 64; list && n; n--) {
            if (p->scaling == 3 && n == 30)
                bitw_se(w, 2147483647);
            else
                bitw_se(w, i == 5 ? -8 : i == 6 ? -128 : n & 1 ? 127 : -127);
            if (i == 5)
                break; /* back to the flat list */
        }
    }
}

static inline void write_vui(struct bitwriter *w, const struct sps_plan *p)
{
    bitw_u(w, 1, (p->has & ASPECT) != 0);
    if (p->has & ASPECT) {
        bitw_u(w, 8, p->aspect);
        if (p->aspect == 255)
            bitw_u(w, 32, p->sar_width << 16 | p->sar_height);
    }
    bitw_u(w, 2, 2); /* overscan info, not appropriate */
    bitw_u(w, 1, (p->has & COLOUR) != 0);
    if (p->has & COLOUR) {
        bitw_u(w, 3, 5);
        bitw_u(w, 2, p->colour[0] << 1 | 1);
        for (int i = 1; i < 4; i++)
            bitw_u(w, 8, p->colour[i]);
    }
    bitw_u(w, 1, 1); /* chroma location */
    bitw_ue(w, 2);
    bitw_ue(w, 3);
    bitw_u(w, 1, (p->has & TIMING) != 0);
    if (p->has & TIMING) {
        bitw_u(w, 32, p->units);
        bitw_u(w, 32, p->scale);
        bitw_u(w, 1, 1);
    }
    for (int vcl = 0; vcl < 2; vcl++) { /* the second HRD says something else */
        bitw_u(w, 1, (p->has & HRD) != 0);
        if (!(p->has & HRD))
            continue;
        bitw_ue(w, 1);
        bitw_u(w, 8, 0x02);
        for (unsigned part = 2 + (unsigned)vcl; part > (unsigned)vcl; part--) {
            bitw_ue(w, (p->bitrate >> 6) / part - 1);
            bitw_ue(w, (p->cpb >> 6) / part - 1);
            bitw_u(w, 1, 1);
        }
        bitw_u(w, 20, 0x5a5a5);
    }
    bitw_u(w, (p->has & HRD) ? 2 : 1, 0); /* low delay, pic_struct */
    bitw_u(w, 1, (p->has & REORDER) != 0);
    if (p->has & REORDER) {
        bitw_u(w, 1, 1);
        for (unsigned i = 0; i < 4; i++)
            bitw_ue(w, i);
        bitw_ue(w, p->reorder_frames);
        bitw_ue(w, 16);
    }
}

static inline size_t make_sps(uint8_t *out, const struct sps_plan *p)
{
    struct bitwriter w;
    unsigned profile = p->profile ? p->profile : 66;
    bitw_init(&w, out, SET_MAX);
    bitw_u(&w, 8, 0x67);
    bitw_u(&w, 8, profile);
    bitw_u(&w, 8, p->constraints);
    bitw_u(&w, 8, p->level ? p->level : 30);
    bitw_ue(&w, p->id);
    if (profile != 66 && profile != 77 && profile != 88) {
        bitw_ue(&w, p->chroma);
        if (p->chroma == 3)
            bitw_u(&w, 1, p->separate);
        bitw_ue(&w, p->depth_luma);
        bitw_ue(&w, p->depth_chroma);
        bitw_u(&w, 1, 0);
        write_scaling(&w, p);
    }
    bitw_ue(&w, p->frame_num_bits ? p->frame_num_bits - 4 : 0);
    bitw_ue(&w, p->poc_type);
    if (p->poc_type == 0)
        bitw_ue(&w, p->poc_bits ? p->poc_bits - 4 : 0);
    if (p->poc_type == 1) {
        bitw_u(&w, 1, p->always_zero);
        bitw_se(&w, -5);
        bitw_se(&w, 2147483647);
        bitw_ue(&w, p->cycle);
        for (unsigned i = 0; i < p->cycle; i++)
            bitw_se(&w, (int)i - 100);
    }
    bitw_ue(&w, 1);
    bitw_u(&w, 1, 0);
    bitw_ue(&w, p->mbs);
    bitw_ue(&w, p->map_units);
    bitw_u(&w, 1, !p->interlaced);
    if (p->interlaced)
        bitw_u(&w, 1, p->mbaff);
    bitw_u(&w, 1, 1);
    bitw_u(&w, 1, (p->has & CROP) != 0);
    for (int i = 0; p->has & CROP && i < 4; i++)
        bitw_ue(&w, p->crop[i]);
    int vui = (p->has & (VUI | ASPECT | COLOUR | TIMING | HRD | REORDER)) != 0;
    bitw_u(&w, 1, (unsigned)vui);
    if (vui)
        write_vui(&w, p);
    bitw_trailing(&w);
    return w.len;
}

static inline void write_groups(struct bitwriter *w, int type)
{
    bitw_ue(w, 5); /* six slice groups: three bits each in type 6 */
    bitw_ue(w, (unsigned)type);
    for (int i = 0; i < (type == 0 ? 6 : type == 2 ? 10 : 0); i++)
        bitw_ue(w, (unsigned)i);
    if (type >= 3 && type <= 5) {
        bitw_u(w, 1, 1);
        bitw_ue(w, 99);
    }
    if (type == 6) {
        bitw_ue(w, 98);
        for (unsigned i = 0; i < 99; i++)
            bitw_u(w, 3, i % 6);
    }
}

static inline size_t make_pps(uint8_t *out, const struct pps_plan *p)
{
    struct bitwriter w;
    bitw_init(&w, out, SET_MAX);
    bitw_u(&w, 8, 0x68);
    bitw_ue(&w, p->id);
    bitw_ue(&w, p->sps);
    bitw_u(&w, 2, p->bottom);
    if (p->groups)
        write_groups(&w, p->groups - 1);
    else
        bitw_ue(&w, 0);
    bitw_ue(&w, 31);
    bitw_ue(&w, 0);
    bitw_u(&w, 3, 0);
    bitw_se(&w, -26);
    bitw_se(&w, 25);
    bitw_se(&w, 12);
    bitw_u(&w, 2, 2);
    bitw_u(&w, 1, p->redundant);
    bitw_trailing(&w);
    return w.len;
}

/* The header up to where slice_parse() reads, and `more` bytes that are no zeros. */
static inline size_t make_slice(uint8_t *out, size_t cap, const struct sps_plan *s,
                                const struct pps_plan *p, const struct slice_plan *h, size_t more)
{
    struct bitwriter w;
    bitw_init(&w, out, cap);
    bitw_u(&w, 8, h->header ? h->header : h->idr ? 0x65 : 0x41);
    bitw_ue(&w, h->first_mb);
    bitw_ue(&w, h->type);
    bitw_ue(&w, h->pps);
    if (s->separate)
        bitw_u(&w, 2, h->plane);
    bitw_u(&w, s->frame_num_bits ? s->frame_num_bits : 4, h->frame_num);
    if (s->interlaced) {
        bitw_u(&w, 1, h->field);
        if (h->field)
            bitw_u(&w, 1, h->bottom);
    }
    if (h->idr)
        bitw_ue(&w, h->idr_pic_id);
    if (s->poc_type == 0)
        bitw_u(&w, s->poc_bits ? s->poc_bits : 4, h->poc_lsb);
    if (s->poc_type == 0 ? p->bottom && !h->field : s->poc_type == 1 && !s->always_zero)
        bitw_se(&w, h->delta[0]);
    if (s->poc_type == 1 && !s->always_zero && p->bottom && !h->field)
        bitw_se(&w, h->delta[1]);
    if (p->redundant)
        bitw_ue(&w, h->redundant);
    bitw_trailing(&w);
    for (size_t i = 0; i < more && w.len < cap; i++)
        w.out[w.len++] = (uint8_t)(0x80 | i);
    return w.len;
}

/* --- Whole streams --- */

struct stream {
    uint8_t *p;
    size_t len, cap;
    struct sps_plan sps;
    struct pps_plan pps;
    struct slice_plan last;
    size_t more; /* bytes of each slice behind its header */
    unsigned lead;
    uint64_t us; /* of the next capture time */
};

static inline void add_bytes(struct stream *s, const void *p, size_t n)
{
    if (s->len + n >= s->cap) {
        s->cap = 2 * (s->len + n) + 64;
        s->p = realloc(s->p, s->cap);
        if (!s->p)
            _exit(99);
    }
    memcpy(s->p + s->len, p, n);
    s->len += n;
}

static inline void add_nal(struct stream *s, const uint8_t *nal, size_t n)
{
    static const uint8_t code[] = {0, 0, 0, 1};
    unsigned lead = s->lead ? s->lead : 4;
    add_bytes(s, code + 4 - lead, lead);
    add_bytes(s, nal, n);
}

static inline void add_slice(struct stream *s)
{
    size_t cap = s->more + 256;
    uint8_t *nal = malloc(cap);
    if (!nal)
        _exit(99);
    add_nal(s, nal, make_slice(nal, cap, &s->sps, &s->pps, &s->last, s->more));
    free(nal);
}

/* Picture and slice of the letters I J K P i; 7.4.1.2.4 by frame_num or idr_pic_id. */
static inline void add_picture(struct stream *s, char what)
{
    if (what == 'i') {
        s->last.first_mb++;
    } else {
        s->last.first_mb = 0;
        s->last.idr = what == 'I' || what == 'J';
        s->last.type = what == 'P' ? 5 : 7;
        s->last.frame_num = s->last.idr ? 0 : (s->last.frame_num + 1) & 15;
        s->last.idr_pic_id += what == 'I';
    }
    add_slice(s);
}

/* One letter of a line: A delimiter, S and p parameter sets, T SEI with a capture time, E other
 * SEI, R recovery point, N prefix, F filler, Q and Z end of sequence and stream, - an empty NAL
 * unit, 0 zeros, g garbage, 3 and 4 the length of start codes from here on, I an IDR picture, J one
 * with the idr_pic_id of the last, K an I picture that is none, P a picture that follows, i one
 * more slice of the last picture. */
static inline void add_letter(struct stream *s, char c)
{
    static const char garbage[] = "\1\2garb\0\1\0\2age\0";
    static const uint8_t aud[] = {9, 0xf0}, sei[] = {6, 1, 1, 0x55, 0x80};
    static const uint8_t recovery[] = {6, 6, 1, 0xc4, 0x80}, prefix[] = {0x6e, 0x40, 0x80, 0x07};
    static const uint8_t filler[] = {12, 0xff, 0xff, 0x80}, end[] = {10, 11};
    uint8_t nal[SET_MAX];
    switch (c) {
    case 'A':
        add_nal(s, aud, sizeof aud);
        break;
    case 'S':
        add_nal(s, nal, make_sps(nal, &s->sps));
        break;
    case 'p':
        add_nal(s, nal, make_pps(nal, &s->pps));
        break;
    case 'T':
        add_nal(s, nal, misb_write(nal, &(struct misb_stamp){s->us, MISB_STATUS}));
        s->us += 40000;
        break;
    case 'E':
        add_nal(s, sei, sizeof sei);
        break;
    case 'R':
        add_nal(s, recovery, sizeof recovery);
        break;
    case 'N':
        add_nal(s, prefix, sizeof prefix);
        break;
    case 'F':
        add_nal(s, filler, sizeof filler);
        break;
    case 'Q':
        add_nal(s, end, 1);
        break;
    case 'Z':
        add_nal(s, end + 1, 1);
        break;
    case '-':
        add_nal(s, end, 0);
        break;
    case '0':
        add_bytes(s, "\0\0\0\0\0", 5);
        break;
    case 'g':
        add_bytes(s, garbage, sizeof garbage);
        break;
    case '3':
    case '4':
        s->lead = (unsigned)(c - '0');
        break;
    case ' ':
    case '|':
    case '!':
        break;
    default:
        add_picture(s, c);
    }
}

static inline void add_line(struct stream *s, const char *line)
{
    for (; *line; line++)
        add_letter(s, *line);
}

/* --- Memory with an unreadable page behind it --- */

static inline uint8_t *edge_of(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    uint8_t *p =
        mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + size, page, PROT_NONE))
        _exit(99);
    return p + size;
}

#endif
