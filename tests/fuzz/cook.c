/* Any buffers, one after the other, with losses between them: what goes out is the camera's bytes,
 * one delimiter at its end, and a stamp; nothing but delimiters, filler and stamps is left out. */
#include "capture/cook.h"
#include "capture/nal.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t total(const struct cook *c)
{
    size_t sum = 0;
    for (unsigned i = 0; i < c->count; i++) {
        const uint8_t *p = c->iov[i].iov_base;
        assert(c->iov[i].iov_len > 0);
        sum += c->iov[i].iov_len + (p[0] & 0u);
    }
    return sum;
}

static void one(struct cook *c, const uint8_t *p, size_t len, uint8_t how)
{
    struct cook_time t = {.stamp = {how, MISB_STATUS}, .arrival = how >> 7};
    if (how & 1)
        cook_lost(c);
    if (how & 2) {
        cook_skip(c, p, len);
        return;
    }
    if (cook_take(c, p, len, &t) != COOK_WRITE)
        return;
    assert(c->count <= COOK_IOV);
    assert(total(c) <= len + (COOK_SETS + 3) * (4 + COOK_SET_BYTES));
    const struct iovec *last = &c->iov[c->count - 1];
    assert(last->iov_len == COOK_AUD && nal_type(((uint8_t *)last->iov_base)[4]) == NAL_AUD);
    if (!(how & 4))
        cook_written(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cook c;
    cook_init(&c);
    while (size >= 3) {
        size_t len = data[0] | (size_t)data[1] << 8;
        uint8_t how = data[2];
        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        one(&c, data, len, how);
        data += len;
        size -= len;
    }
    return 0;
}
