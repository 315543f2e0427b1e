#include "capture/bits.h"

void bits_init(struct bits *b, const uint8_t *p, size_t len)
{
    *b = (struct bits){.p = p, .end = p + len};
}

/* Loads the next byte of the RBSP; 0 at the end. */
static int next_byte(struct bits *b)
{
    if (b->zeros >= 2 && b->p < b->end && *b->p == 3) {
        b->p++;
        b->zeros = 0;
    }
    if (b->p == b->end)
        return 0;
    b->byte = *b->p++;
    b->left = 8;
    b->zeros = b->byte ? 0 : b->zeros + 1;
    return 1;
}

uint32_t bits_u(struct bits *b, unsigned n)
{
    uint32_t value = 0;

    while (n && !b->bad) {
        if (!b->left && !next_byte(b)) {
            b->bad = 1;
            break;
        }
        unsigned take = n < b->left ? n : b->left;
        b->left -= take;
        n -= take;
        value = value << take | ((uint32_t)b->byte >> b->left & ((1u << take) - 1));
    }
    return b->bad ? 0 : value;
}

uint32_t bits_ue(struct bits *b)
{
    unsigned zeros = 0;

    while (!bits_u(b, 1)) {
        if (b->bad || ++zeros == 32) {
            b->bad = 1;
            return 0;
        }
    }
    uint32_t rest = bits_u(b, zeros);
    return b->bad ? 0 : (uint32_t)((UINT64_C(1) << zeros) - 1) + rest;
}

int32_t bits_se(struct bits *b)
{
    uint32_t code = bits_ue(b);
    int32_t magnitude = (int32_t)((code >> 1) + (code & 1));

    return code & 1 ? magnitude : -magnitude;
}

/* The end of the bytes that hold data or the stop bit: without trailing zeros, which are
 * cabac_zero_words with their emulation prevention bytes, or padding. */
static const uint8_t *last_nonzero(const struct bits *b)
{
    const uint8_t *end = b->end;

    for (;;) {
        const uint8_t *z = end;
        while (z > b->p && z[-1] == 0)
            z--;
        if (z == b->p || z[-1] != 3)
            return z;
        const uint8_t *zero = z - 1;
        while (zero > b->p && zero[-1] == 0)
            zero--;
        size_t before = (size_t)(z - 1 - zero) + (zero == b->p ? b->zeros : 0);
        if (before < 2)
            return z;
        end = z - 1;
    }
}

int bits_more(const struct bits *b)
{
    struct bits at = *b;

    if (at.bad || (!at.left && !next_byte(&at)))
        return 0;
    if (last_nonzero(&at) > at.p)
        return 1;
    unsigned rest = at.byte & ((1u << at.left) - 1);
    return rest != 0 && rest != 1u << (at.left - 1);
}

void bitw_init(struct bitwriter *w, uint8_t *out, size_t cap)
{
    *w = (struct bitwriter){.out = out, .cap = cap};
}

static void put(struct bitwriter *w, uint8_t byte)
{
    int prevent = w->zeros == 2 && byte <= 3;

    if (w->full || w->cap - w->len < (prevent ? 2 : 1)) {
        w->full = 1;
        return;
    }
    if (prevent) {
        w->out[w->len++] = 3;
        w->zeros = 0;
    }
    w->out[w->len++] = byte;
    w->zeros = byte ? 0 : w->zeros + 1;
}

void bitw_u(struct bitwriter *w, unsigned n, uint32_t value)
{
    w->acc = w->acc << n | (value & ((UINT64_C(1) << n) - 1));
    w->n += n;
    while (w->n >= 8) {
        w->n -= 8;
        put(w, (uint8_t)(w->acc >> w->n));
    }
}

void bitw_ue(struct bitwriter *w, uint32_t value)
{
    uint32_t code = value + 1;
    unsigned length = 0;

    while (length < 32 && code >> length)
        length++;
    bitw_u(w, length - 1, 0);
    bitw_u(w, length, code);
}

void bitw_se(struct bitwriter *w, int32_t value)
{
    bitw_ue(w, value > 0 ? 2 * (uint32_t)value - 1 : 2 * (uint32_t)-value);
}

void bitw_align(struct bitwriter *w)
{
    if (w->n)
        bitw_u(w, 8 - w->n, 0);
}

void bitw_raw(struct bitwriter *w, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(w, p[i]);
}

void bitw_trailing(struct bitwriter *w)
{
    bitw_u(w, 1, 1);
    bitw_align(w);
}
