#include "mux/box.h"

#include <string.h>

void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)(v >> 32));
    put_u32(p + 4, (uint32_t)v);
}

uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t get_u64(const uint8_t *p)
{
    return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

void box_init(struct box *b, uint8_t *buf, size_t cap)
{
    b->buf = buf;
    b->cap = cap;
    b->len = 0;
    b->full = 0;
}

static uint8_t *room(struct box *b, size_t n)
{
    if (b->full || b->cap - b->len < n) {
        b->full = 1;
        return NULL;
    }
    uint8_t *p = b->buf + b->len;
    b->len += n;
    return p;
}

void box_bytes(struct box *b, const void *src, size_t n)
{
    uint8_t *p = room(b, n);
    if (p && n)
        memcpy(p, src, n);
}

void box_zeros(struct box *b, size_t n)
{
    uint8_t *p = room(b, n);
    if (p)
        memset(p, 0, n);
}

void box_u8(struct box *b, unsigned v)
{
    uint8_t *p = room(b, 1);
    if (p)
        *p = (uint8_t)v;
}

void box_u16(struct box *b, unsigned v)
{
    uint8_t *p = room(b, 2);
    if (p) {
        p[0] = (uint8_t)(v >> 8);
        p[1] = (uint8_t)v;
    }
}

void box_u32(struct box *b, uint32_t v)
{
    uint8_t *p = room(b, 4);
    if (p)
        put_u32(p, v);
}

void box_u64(struct box *b, uint64_t v)
{
    uint8_t *p = room(b, 8);
    if (p)
        put_u64(p, v);
}

size_t box_open(struct box *b, const char type[4])
{
    size_t place = b->len;
    box_u32(b, 0);
    box_bytes(b, type, 4);
    return place;
}

size_t box_open_full(struct box *b, const char type[4], unsigned version, uint32_t flags)
{
    size_t place = box_open(b, type);
    box_u32(b, (uint32_t)version << 24 | flags);
    return place;
}

void box_close(struct box *b, size_t place)
{
    if (!b->full)
        put_u32(b->buf + place, (uint32_t)(b->len - place));
}
