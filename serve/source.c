/* Standard input into the ring: fragments are cut out of the byte stream and published whole. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mux/boxread.h"
#include "serve/server.h"

enum { READ_MAX = 256 << 10 };

static uint8_t window[FRAG_BYTES_MAX + FRAG_HEAD_MAX + READ_MAX];
static size_t from, to; /* what is in the window */

static enum source_result bad(struct server *s, size_t at, const char *why)
{
    s->source_bytes += at;
    s->source_why = why;
    return SOURCE_BAD;
}

static struct ring_frag describe(const struct moof_info *m)
{
    return (struct ring_frag){
        .dts = m->tfdt,
        .utc_us = m->utc_us,
        .duration = m->duration_ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)m->duration_ticks,
        .flags = m->sync ? RING_SYNC : 0,
        .samples = m->samples,
        .moof_at = m->moof_at,
        .sequence_at = m->sequence_at,
        .tfdt_at = m->tfdt_at,
        .payload_at = m->payload_at,
        .duration_at = m->duration.at,
        .duration_n = m->duration.n,
        .duration_step = m->duration.step,
        .flags_at = m->flags.at,
        .flags_n = m->flags.n,
        .flags_step = m->flags.step,
        .first_flags_at = m->first_flags_at,
    };
}

static enum source_result publish(struct server *s, const uint8_t *p, const struct unit *u)
{
    if (u->kind == UNIT_INIT) {
        if (ring_put_init(&s->ring, p, u->size, u->init.timescale) < 0)
            return bad(s, 0, "init segment too large");
        s->info = u->init;
    } else if (u->kind == UNIT_FRAG) {
        struct ring_frag f = describe(&u->moof);
        if (!s->ring.header->epoch)
            return bad(s, 0, "a fragment and no init segment in front of it");
        if (ring_put(&s->ring, &f, p, u->size) < 0)
            return bad(s, 0, "fragment larger than a quarter of the ring");
        s->published = now_us();
        return SOURCE_FRAG;
    }
    return SOURCE_NOTHING;
}

static enum source_result drain(struct server *s)
{
    struct unit u;
    const char *why;
    enum unit_result r;
    enum source_result result = SOURCE_NOTHING;
    while ((r = unit_next(window + from, to - from, &u, &why)) == UNIT_READY) {
        enum source_result one = publish(s, window + from, &u);
        if (one == SOURCE_BAD)
            return one;
        if (one == SOURCE_FRAG)
            result = one;
        from += u.size;
        s->source_bytes += u.size;
    }
    if (r == UNIT_BAD)
        return bad(s, u.size, why);
    if (from == to) {
        from = to = 0;
    } else if (sizeof window - to < READ_MAX || from > READ_MAX) {
        memmove(window, window + from, to - from);
        to -= from;
        from = 0;
    }
    return result;
}

enum source_result source_read(struct server *s, int fd)
{
    ssize_t n = read(fd, window + to, READ_MAX);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? SOURCE_NOTHING : SOURCE_FAILED;
    if (n == 0)
        return to > from ? bad(s, to - from, "ends inside a fragment") : SOURCE_END;
    to += (size_t)n;
    return drain(s);
}
