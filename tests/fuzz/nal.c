/* A stream cut into pieces must give the access units it gives at once. The first byte says how
 * many bytes with sizes of pieces follow it; behind them is the stream. */
#include "capture/au.h"
#include "capture/sei.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECES_MAX = 15, LOG_MAX = 1 << 16 };

struct log {
    size_t n;
    uint64_t v[LOG_MAX];
};

static struct au_framer framer;
static struct log at_once, in_pieces;

static void note(struct log *log, uint64_t v)
{
    if (log->n < LOG_MAX)
        log->v[log->n++] = v;
}

static void note_unit(struct log *log, enum au_result r, const struct au *au, size_t from)
{
    note(log, (uint64_t)r << 56 | from);
    note(log, au->size);
    if (r != AU_READY)
        return;
    note(log, (uint64_t)au->count << 32 | (uint32_t)(au->idr << 1 | au->intra));
    note(log, (uint64_t)au->first.first_mb << 32 | au->first.frame_num);
    note(log, (uint64_t)au->first.pps_id << 8 | au->first.known);
    for (unsigned i = 0; i < au->count; i++) {
        const struct au_nal *n = &au->nal[i];
        assert(n->len >= 1 && n->at + (size_t)n->len <= au->size && n->at >= n->lead);
        note(log, (uint64_t)n->at << 32 | n->len);
        note(log, (uint64_t)n->header << 8 | n->lead);
    }
}

/* A copy of the window that ends with its memory, so that reading on is seen. */
static size_t show(const uint8_t *p, size_t from, size_t to, int end, struct log *log)
{
    uint8_t *window = malloc(to - from + 1);
    struct au au;
    enum au_result r;
    size_t used = 0, len = to - from;
    assert(window);
    memcpy(window + 1, p + from, len);
    while ((r = au_next(&framer, window + 1 + used, len - used, end, &au)) != AU_MORE) {
        assert(au.size >= 1 && au.size <= len - used);
        note_unit(log, r, &au, from + used);
        if (r == AU_READY)
            for (unsigned i = 0; i < au.count; i++) {
                const struct au_nal *n = &au.nal[i];
                const uint8_t *nal = window + 1 + used + n->at;
                assert(nal[0] == n->header && nal[-1] == 1 && nal[-2] == 0 && nal[-3] == 0);
                assert(n->lead == 3 || (n->lead == 4 && nal[-4] == 0));
                sei_recovery_point(nal, n->len);
            }
        used += au.size;
    }
    free(window);
    return from + used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t pieces = size ? data[0] & PIECES_MAX : 0;
    if (size < 1 + pieces)
        return 0;
    const uint8_t *p = data + 1 + pieces;
    size_t len = size - 1 - pieces, from = 0, to = 0;
    at_once.n = in_pieces.n = 0;
    au_init(&framer);
    show(p, 0, len, 1, &at_once);
    au_init(&framer);
    for (size_t i = 0; pieces && to < len; i++) {
        size_t step = (size_t)data[1 + i % pieces] + 1;
        to = to + step < len ? to + step : len;
        from = show(p, from, to, 0, &in_pieces);
    }
    show(p, from, len, 1, &in_pieces);
    assert(at_once.n == in_pieces.n);
    assert(!memcmp(at_once.v, in_pieces.v, at_once.n * sizeof at_once.v[0]));
    return 0;
}
