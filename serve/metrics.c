/* /metrics: what Prometheus collects, in its text format. Names follow its conventions: base units,
 * _total for what only grows, the program's name in front. */
#include <inttypes.h>
#include <stddef.h>

#include "serve/server.h"
#include "serve/text.h"

#define P "fmp4streamer_"

static void begin(struct text *t, const char *name, const char *type, const char *help)
{
    text_add(t, "# HELP " P "%s %s\n# TYPE " P "%s %s\n", name, help, name, type);
}

static void one(struct text *t, const char *name, const char *type, const char *help,
                uint64_t value)
{
    begin(t, name, type, help);
    text_add(t, P "%s %" PRIu64 "\n", name, value);
}

static const char *name_of(const struct server *s, unsigned i)
{
    return s->camera[i].name[0] ? s->camera[i].name : "stdin";
}

/* A line for each camera, of the counter at that offset in its counts. */
static void each(struct text *t, const struct server *s, const char *name, const char *help,
                 size_t offset)
{
    begin(t, name, "counter", help);
    for (unsigned i = 0; i < s->cameras; i++) {
        const uint64_t *value = (const void *)((const unsigned char *)&s->counts[i] + offset);
        text_add(t, P "%s{camera=\"%s\"} %" PRIu64 "\n", name, name_of(s, i), *value);
    }
}

static const char *const kinds[VIEW_KINDS] = {"stream", "raw", "still"};
static const char *const reasons[CLOSE_REASONS] = {"client", "stuck", "lapped", "ring"};

static void add_viewers(struct text *t, const struct server *s)
{
    begin(t, "viewers", "gauge", "Viewers being sent a live stream.");
    for (unsigned i = 0; i < s->cameras; i++)
        for (int k = 0; k < VIEW_STILL; k++)
            text_add(t, P "viewers{camera=\"%s\",kind=\"%s\"} %u\n", name_of(s, i), kinds[k],
                     status_viewers(s, &s->camera[i], (enum viewer_kind)k));
    begin(t, "hls_watched", "gauge", "1 while an HLS client asks for something now and then.");
    for (unsigned i = 0; i < s->cameras; i++)
        text_add(t, P "hls_watched{camera=\"%s\"} %d\n", name_of(s, i), s->hls[i].asked != 0);
    begin(t, "joins_total", "counter", "Viewers that have come.");
    for (unsigned i = 0; i < s->cameras; i++)
        for (int k = 0; k < VIEW_KINDS; k++)
            text_add(t, P "joins_total{camera=\"%s\",kind=\"%s\"} %" PRIu64 "\n", name_of(s, i),
                     kinds[k], s->counts[i].joins[k]);
    begin(t, "closes_total", "counter", "Live viewers let go, by reason.");
    for (unsigned i = 0; i < s->cameras; i++)
        for (int k = 0; k < CLOSE_REASONS; k++)
            text_add(t, P "closes_total{camera=\"%s\",reason=\"%s\"} %" PRIu64 "\n", name_of(s, i),
                     reasons[k], s->counts[i].closes[k]);
}

static void add_delays(struct text *t, const struct server *s)
{
    begin(t, "send_delay_seconds", "histogram",
          "From a fragment's coming into the ring to the kernel's having taken it for a viewer.");
    for (unsigned i = 0; i < s->cameras; i++) {
        const struct counts *c = &s->counts[i];
        uint64_t n = 0;
        for (int k = 0; k < COUNT_DELAYS; k++) {
            n += c->delays[k];
            text_add(t, P "send_delay_seconds_bucket{camera=\"%s\",le=\"%g\"} %" PRIu64 "\n",
                     name_of(s, i), count_delay_us[k] / 1e6, n);
        }
        n += c->delays[COUNT_DELAYS];
        text_add(t, P "send_delay_seconds_bucket{camera=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
                 name_of(s, i), n);
        text_add(t, P "send_delay_seconds_sum{camera=\"%s\"} %.6f\n", name_of(s, i),
                 (double)c->delay_us / 1e6);
        text_add(t, P "send_delay_seconds_count{camera=\"%s\"} %" PRIu64 "\n", name_of(s, i), n);
    }
}

/* The ring's newest and oldest pictures. */
static void add_rings(struct text *t, const struct server *s, int64_t now)
{
    begin(t, "fragments_total", "counter", "Fragments put into the ring, ever.");
    for (unsigned i = 0; i < s->cameras; i++)
        text_add(t, P "fragments_total{camera=\"%s\"} %" PRIu64 "\n", name_of(s, i),
                 ring_head(&s->camera[i].ring));
    begin(t, "ring_age_seconds", "gauge", "Age of the newest picture.");
    for (unsigned i = 0; i < s->cameras; i++)
        if (ring_head(&s->camera[i].ring))
            text_add(t, P "ring_age_seconds{camera=\"%s\"} %.3f\n", name_of(s, i),
                     (double)(now - atomic_load(&s->camera[i].ring.header->published)) / 1e6);
    begin(t, "ring_bytes", "gauge", "Memory for pictures.");
    for (unsigned i = 0; i < s->cameras; i++)
        text_add(t, P "ring_bytes{camera=\"%s\"} %" PRIu64 "\n", name_of(s, i),
                 s->camera[i].there ? s->camera[i].ring.data_bytes : 0);
}

size_t metrics_write(const struct server *s, char *text, size_t cap, int64_t now)
{
    struct text t = {text, cap, 0};
    begin(&t, "build_info", "gauge", "The version.");
    text_add(&t, P "build_info{version=\"" VERSION "\"} 1\n");
    begin(&t, "uptime_seconds", "gauge", "Since the start.");
    text_add(&t, P "uptime_seconds %.3f\n", (double)(now - s->started) / 1e6);
    one(&t, "connections", "gauge", "Connections that are open.", s->open);
    one(&t, "connections_total", "counter", "Connections taken.", s->count.connections);
    one(&t, "static_children", "gauge", "Files being served.", s->children);
    one(&t, "requests_total", "counter", "Requests.", s->count.requests);
    one(&t, "refused_total", "counter", "Clients refused for a limit.", s->count.refused);
    one(&t, "log_lines_dropped_total", "counter", "Lines of the access log that nobody took.",
        s->count.log_dropped);
    add_viewers(&t, s);
    each(&t, s, "jumps_total", "Late viewers moved on to the newest keyframe.",
         offsetof(struct counts, jumps));
    each(&t, s, "sent_bytes_total", "Bytes sent of this camera.",
         offsetof(struct counts, sent_bytes));
    each(&t, s, "hls_playlists_total", "HLS playlists sent.", offsetof(struct counts, playlists));
    each(&t, s, "hls_segments_total", "HLS segments sent.", offsetof(struct counts, segments));
    add_delays(&t, s);
    add_rings(&t, s, now);
    return t.len;
}
