#include <inttypes.h>
#include <string.h>

#include "mux/boxread.h"
#include "serve/server.h"
#include "serve/text.h"

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

unsigned status_viewers(const struct server *s, const struct camera *c, enum viewer_kind kind)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->viewers; i++) {
        const struct conn *v = &s->conn[s->viewer[i]];
        n += v->camera == c && v->kind == kind;
    }
    return n;
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
    text_add(t, "{\n    \"name\": \"%s\",\n", c->name);
    text_add(t, "    \"codec\": \"%s\",\n", u.init.codec);
    text_add(t, "    \"width\": %" PRIu32 ",\n    \"height\": %" PRIu32 ",\n", u.init.width,
             u.init.height);
    text_add(t, "    \"frames_per_second\": %.2f,\n    \"bits_per_second\": %.0f,\n", r.fps,
             r.bits);
    text_add(t, "    \"fragments\": %" PRIu64 ",\n    \"epoch\": %" PRIu32 ",\n",
             ring_head(&c->ring), (uint32_t)h->epoch);
    if (ring_head(&c->ring))
        text_add(t, "    \"age_ms\": %" PRId64 ",\n", (now - h->published) / 1000);
    else
        text_add(t, "    \"age_ms\": null,\n");
    text_add(t, "    \"hls\": {\"segments\": %zu, \"watched\": %s},\n", listed->end - listed->first,
             s->hls[i].asked ? "true" : "false");
    text_add(t, "    \"viewers\": {\"stream\": %u, \"raw\": %u}\n  }",
             status_viewers(s, c, VIEW_STREAM), status_viewers(s, c, VIEW_RAW));
}

size_t status_write(const struct server *s, char *text, size_t cap, int64_t now)
{
    struct text t = {text, cap, 0};
    struct counts all;
    memset(&all, 0, sizeof all);
    for (unsigned i = 0; i < s->cameras; i++) {
        all.joins[VIEW_STREAM] += s->counts[i].joins[VIEW_STREAM];
        all.joins[VIEW_RAW] += s->counts[i].joins[VIEW_RAW];
        all.closes[CLOSE_STUCK] += s->counts[i].closes[CLOSE_STUCK];
        all.jumps += s->counts[i].jumps;
        all.sent_bytes += s->counts[i].sent_bytes;
    }
    text_add(&t, "{\n  \"version\": \"" VERSION "\",\n");
    text_add(&t, "  \"uptime_ms\": %" PRId64 ",\n", (now - s->started) / 1000);
    text_add(&t, "  \"cameras\": [");
    for (unsigned i = 0; i < s->cameras; i++) {
        text_add(&t, i ? ", " : "");
        add_camera(s, i, &t, now);
    }
    text_add(&t, "],\n");
    text_add(&t, "  \"connections\": %u,\n  \"static_children\": %u,\n", s->open, s->children);
    text_add(&t, "  \"requests_total\": %" PRIu64 ",\n  \"viewers_total\": %" PRIu64 ",\n",
             s->count.requests, all.joins[VIEW_STREAM] + all.joins[VIEW_RAW]);
    text_add(&t, "  \"refused_total\": %" PRIu64 ",\n  \"closed_slow_total\": %" PRIu64 ",\n",
             s->count.refused, all.closes[CLOSE_STUCK]);
    text_add(&t, "  \"jumps_total\": %" PRIu64 ",\n  \"sent_bytes_total\": %" PRIu64 "\n}\n",
             all.jumps, all.sent_bytes);
    return t.len;
}
