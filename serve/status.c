#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "mux/boxread.h"
#include "serve/server.h"

/* Frames, bytes and seconds over the newest second or so in the ring. */
struct recent {
    double fps, bits;
};

static struct recent recent(const struct ring *r, uint32_t timescale)
{
    struct ring_frag f;
    struct recent out = {0, 0};
    uint64_t head = ring_head(r), ticks = 0, bytes = 0, samples = 0;
    for (uint64_t i = head; i-- > 0 && ticks < timescale && ring_get(r, i, &f) == 0;) {
        ticks += f.duration;
        bytes += f.size;
        samples += f.samples;
    }
    if (ticks) {
        out.fps = (double)samples * timescale / (double)ticks;
        out.bits = 8.0 * (double)bytes * timescale / (double)ticks;
    }
    return out;
}

static unsigned viewers_of(const struct server *s, const struct camera *c, enum viewer_kind kind)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->viewers; i++) {
        const struct conn *v = &s->conn[s->viewer[i]];
        n += v->camera == c && v->kind == kind;
    }
    return n;
}

struct text {
    char *p;
    size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->p + t->len, t->cap - t->len, format, ap);
    va_end(ap);
    if (n > 0)
        t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

static void add_camera(const struct server *s, unsigned i, struct text *t, int64_t now)
{
    const struct camera *c = &s->camera[i];
    const struct window *listed = &s->hls[i].window;
    const struct ring_header *h = c->ring.header;
    static struct ring_init init;
    int there = ring_copy_init(&c->ring, h->epoch, &init) == 0;
    struct recent r = recent(&c->ring, there ? init.timescale : 1);
    struct unit u = {.kind = UNIT_SKIP};
    const char *why;
    if (there)
        unit_next(init.bytes, init.size, &u, &why);
    add(t, "{\n    \"name\": \"%s\",\n", c->name);
    add(t, "    \"codec\": \"%s\",\n", u.init.codec);
    add(t, "    \"width\": %" PRIu32 ",\n    \"height\": %" PRIu32 ",\n", u.init.width,
        u.init.height);
    add(t, "    \"frames_per_second\": %.2f,\n    \"bits_per_second\": %.0f,\n", r.fps, r.bits);
    add(t, "    \"fragments\": %" PRIu64 ",\n    \"epoch\": %" PRIu32 ",\n", ring_head(&c->ring),
        (uint32_t)h->epoch);
    if (ring_head(&c->ring))
        add(t, "    \"age_ms\": %" PRId64 ",\n", (now - h->published) / 1000);
    else
        add(t, "    \"age_ms\": null,\n");
    add(t, "    \"hls\": {\"segments\": %zu, \"watched\": %s},\n", listed->end - listed->first,
        s->hls[i].asked ? "true" : "false");
    add(t, "    \"viewers\": {\"stream\": %u, \"raw\": %u}\n  }", viewers_of(s, c, VIEW_STREAM),
        viewers_of(s, c, VIEW_RAW));
}

size_t status_write(const struct server *s, char *text, size_t cap, int64_t now)
{
    struct text t = {text, cap, 0};
    add(&t, "{\n  \"version\": \"" VERSION "\",\n");
    add(&t, "  \"uptime_ms\": %" PRId64 ",\n", (now - s->started) / 1000);
    add(&t, "  \"cameras\": [");
    for (unsigned i = 0; i < s->cameras; i++) {
        add(&t, i ? ", " : "");
        add_camera(s, i, &t, now);
    }
    add(&t, "],\n");
    add(&t, "  \"connections\": %u,\n  \"static_children\": %u,\n", s->open, s->children);
    add(&t, "  \"requests_total\": %" PRIu64 ",\n  \"viewers_total\": %" PRIu64 ",\n",
        s->count.requests, s->count.viewers);
    add(&t, "  \"refused_total\": %" PRIu64 ",\n  \"closed_slow_total\": %" PRIu64 ",\n",
        s->count.refused, s->count.closed_slow);
    add(&t, "  \"jumps_total\": %" PRIu64 ",\n  \"sent_bytes_total\": %" PRIu64 "\n}\n",
        s->count.jumps, s->count.sent_bytes);
    return t.len;
}
