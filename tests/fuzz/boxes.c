/* Any bytes may be a fragmented MP4 stream. Where a unit's numbers are said to lie they can be
 * read, a unit needs all of its bytes, and an endless init segment is an init segment. */
#include "mux/boxread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const struct moof_field *f, unsigned head)
{
    if (f->n)
        assert(f->at + (f->n - 1u) * f->step + 4 <= head);
}

static void check_frag(const struct unit *u)
{
    const struct moof_info *m = &u->moof;
    assert(m->payload_at <= u->size && m->moof_at < m->payload_at && m->samples);
    assert(m->sequence_at > m->moof_at && m->sequence_at + 4u <= m->payload_at);
    assert(m->tfdt_at > m->moof_at && m->tfdt_at + 8u <= m->payload_at);
    assert(m->duration.n == 1 || m->duration.n == m->samples);
    assert(m->flags.n <= 1 || m->flags.n == m->samples);
    inside(&m->duration, m->payload_at);
    inside(&m->flags, m->payload_at);
    assert(m->first_flags_at + 4u <= m->payload_at);
}

static void check_init(const uint8_t *p, size_t size, const struct init_info *info)
{
    size_t cap = size + 64;
    uint8_t *out = malloc(cap);
    size_t len = init_make_endless(out, cap, p, size);
    struct unit again;
    const char *why;
    assert(info->timescale && strlen(info->codec) < CODEC_MAX);
    if (len) {
        assert(unit_next(out, len, &again, &why) == UNIT_READY && again.kind == UNIT_INIT);
        assert(again.init.timescale == info->timescale && again.init.width == info->width);
        assert(init_make_endless(out, len - 1, p, size) == 0);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *window = malloc(size);
    const char *why = NULL;
    struct unit u, part;
    size_t at = 0;
    enum unit_result r;

    if (size)
        memcpy(window, data, size);
    while ((r = unit_next(window + at, size - at, &u, &why)) == UNIT_READY) {
        assert(u.size >= 8 && u.size <= size - at);
        assert(unit_next(window + at, u.size - 1, &part, &why) == UNIT_MORE);
        if (u.kind == UNIT_FRAG)
            check_frag(&u);
        if (u.kind == UNIT_INIT)
            check_init(window + at, u.size, &u.init);
        at += u.size;
    }
    if (r == UNIT_BAD)
        assert(why && u.size <= size - at);
    free(window);
    return 0;
}
