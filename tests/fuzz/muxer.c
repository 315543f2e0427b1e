/* From a stream of any bytes to boxes: every list is in range, and what comes out is read back,
 * unit by unit, by the product's own reader. The first byte chooses the way, the second the size of
 * the pieces the stream comes in. */
#include "mux/muxer.h"
#include "mux/boxread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 4 << 20, IN_MAX = 1 << 16 };

static struct au_framer framer;
static struct mux mux;
static uint8_t out[OUT_MAX];
static size_t out_len;

/* Zeroes all but the large buffers. */
static void clear(void)
{
    uint8_t *p = (uint8_t *)&mux;
    memset(p, 0, offsetof(struct mux, gop));
    memset(&mux.gathering, 0, offsetof(struct mux, mfra) - offsetof(struct mux, gathering));
    mux.mfra.count = mux.mfra.phase = mux.mfra.halved = 0;
}

static int is_within(const uint8_t *p, size_t n, const void *object, size_t size)
{
    const uint8_t *from = object;
    return p >= from && n <= size && p + n <= from + size;
}

static void take(unsigned n, const uint8_t *window, size_t len)
{
    assert(n == mux.iovs && n <= MUX_IOV_MAX);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *p = mux.iov[i].iov_base;
        size_t bytes = mux.iov[i].iov_len;
        assert(bytes > 0);
        assert(is_within(p, bytes, &mux, sizeof mux) || is_within(p, bytes, window, len));
        if (bytes <= OUT_MAX - out_len)
            memcpy(out + out_len, p, bytes);
        assert(bytes <= OUT_MAX - out_len);
        out_len += bytes;
    }
}

static void read_back(int to_pipe)
{
    struct unit u;
    const char *why = NULL;
    uint64_t next = 0;
    for (size_t at = 0; at < out_len; at += u.size) {
        assert(unit_next(out + at, out_len - at, &u, &why) == UNIT_READY);
        assert(u.size > 0 && u.size <= out_len - at);
        assert(at || u.kind == UNIT_INIT);
        if (u.kind != UNIT_FRAG)
            continue;
        assert(u.moof.tfdt >= next && (!to_pipe || u.moof.samples == 1));
        next = u.moof.tfdt + u.moof.duration_ticks;
    }
}

static void run(uint8_t *p, size_t len, size_t step)
{
    struct au au;
    enum au_result r;
    size_t from = 0;
    int64_t arrival = 0;
    for (size_t to = step < len ? step : len;; to = to + step < len ? to + step : len) {
        while ((r = au_next(&framer, p + from, to - from, to == len, &au)) != AU_MORE) {
            arrival += 1 + 7919 * (int64_t)(au.size % 911);
            if (r == AU_READY) {
                unsigned n = mux_add(&mux, p + from, &au, arrival, (uint64_t)arrival);
                if (mux.patch)
                    memcpy(out + mux.patch_at, MUX_PATCH, 4);
                mux.patch = 0;
                take(n, p + from, au.size);
            }
            from += au.size;
        }
        if (to == len)
            break;
    }
    take(mux_end(&mux), NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > IN_MAX)
        return 0;
    struct mux_options opt = {.mode = data[0] & 1 ? MUX_GOP : MUX_AU,
                              .patchable = data[0] >> 1 & 1,
                              .live = data[0] >> 2 & 1,
                              .rotate = 90u * (data[0] >> 3 & 3)};
    if (data[0] >> 5 & 1)
        opt.rate = (struct rate){30000, 1001};
    uint8_t *copy = malloc(size - 2 + 1);
    assert(copy);
    memcpy(copy + 1, data + 2, size - 2);
    clear();
    out_len = 0;
    au_init(&framer);
    mux_init(&mux, &opt);
    run(copy + 1, size - 2, (size_t)data[1] * data[1] + 1);
    free(copy);
    read_back(opt.mode == MUX_AU);
    return 0;
}
