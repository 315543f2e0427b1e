/* The input is read as an RBSP, the codes in an order the input itself gives. What could be read is
 * written with the same codes and must read back the same, through the emulation prevention. */
#include "capture/bits.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CODES_MAX = 64, ROOM = 1024 };

static uint32_t read_code(struct bits *b, unsigned code)
{
    unsigned n = code % 35;
    return n == 34 ? (uint32_t)bits_se(b) : n == 33 ? bits_ue(b) : bits_u(b, n);
}

static void write_code(struct bitwriter *w, unsigned code, uint32_t value)
{
    unsigned n = code % 35;
    if (n == 34)
        bitw_se(w, (int32_t)value);
    else if (n == 33)
        bitw_ue(w, value);
    else
        bitw_u(w, n, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t value[CODES_MAX];
    uint8_t written[ROOM];
    struct bits b;
    struct bitwriter w;
    size_t codes = size ? data[0] % CODES_MAX : 0, n = 0;

    if (size < 1 + codes)
        return 0;
    bits_init(&b, data + 1 + codes, size - 1 - codes);
    for (; n < codes; n++) {
        value[n] = read_code(&b, data[1 + n]);
        if (b.bad)
            break;
    }
    bits_more(&b);
    bitw_init(&w, written, sizeof written);
    for (size_t i = 0; i < n; i++)
        write_code(&w, data[1 + i], value[i]);
    bitw_trailing(&w);
    assert(!w.full);
    bits_init(&b, written, w.len);
    for (size_t i = 0; i < n; i++)
        assert(read_code(&b, data[1 + i]) == value[i]);
    assert(!b.bad && !bits_more(&b));
    return 0;
}
