#include "hls/playlist.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hls/date.h"

/* What does not fit sets `full`, and nothing more is added: a writer looks once, at the end. */
struct text {
    char *buf;
    size_t cap, len;
    int full;
};

static void add(struct text *t, const char *format, ...)
{
    char line[PLAYLIST_MASTER_MAX];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line || (size_t)n > t->cap - t->len)
        t->full = 1;
    if (t->full)
        return;
    memcpy(t->buf + t->len, line, (size_t)n);
    t->len += (size_t)n;
}

static size_t length(const struct text *t)
{
    return t->full ? 0 : t->len;
}

static void add_head(struct text *t, const struct playlist *p, const struct segment *first)
{
    uint64_t discontinuities = first->discontinuities - (first->discontinuity ? 1 : 0);
    add(t, "#EXTM3U\n#EXT-X-VERSION:%d\n", PLAYLIST_VERSION);
    add(t, "#EXT-X-TARGETDURATION:%" PRIu32 "\n", p->target_duration);
    if (p->type != PLAYLIST_LIVE)
        add(t, "#EXT-X-PLAYLIST-TYPE:%s\n", p->type == PLAYLIST_VOD ? "VOD" : "EVENT");
    if (p->independent)
        add(t, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    add(t, "#EXT-X-MEDIA-SEQUENCE:%" PRIu64 "\n", first->sequence);
    add(t, "%s%" PRIu64 "\n", PLAYLIST_HEAD_LAST, discontinuities);
}

static void add_segment(struct text *t, const struct segment *before, const struct segment *s)
{
    char date[DATE_LENGTH + 1];
    if (s->discontinuity)
        add(t, "#EXT-X-DISCONTINUITY\n");
    if (!before || before->epoch != s->epoch)
        add(t, "#EXT-X-MAP:URI=\"init-%" PRIu32 ".mp4\"\n", s->epoch);
    if (s->utc_us >= SEGMENT_UTC_MIN && s->utc_us < SEGMENT_UTC_END) {
        date_write(date, s->utc_us);
        add(t, "#EXT-X-PROGRAM-DATE-TIME:%s\n", date);
    }
    add(t, "#EXTINF:%" PRIu64 ".%06" PRIu64 ",\n", s->duration_us / SEGMENT_SECOND,
        s->duration_us % SEGMENT_SECOND);
    add(t, "seg-%" PRIu64 ".m4s\n", s->sequence);
}

size_t playlist_head(char *buf, size_t cap, const struct playlist *p, const struct segment *first)
{
    struct text t = {.buf = buf, .cap = cap};
    add_head(&t, p, first);
    return length(&t);
}

size_t playlist_segment(char *buf, size_t cap, const struct segment *before,
                        const struct segment *s)
{
    struct text t = {.buf = buf, .cap = cap};
    add_segment(&t, before, s);
    return length(&t);
}

size_t playlist_media(char *buf, size_t cap, const struct playlist *p, const struct segment *seg,
                      size_t n)
{
    struct text t = {.buf = buf, .cap = cap, .full = n == 0};
    if (n)
        add_head(&t, p, seg);
    for (size_t i = 0; i < n && !t.full; i++)
        add_segment(&t, i ? &seg[i - 1] : NULL, &seg[i]);
    if (p->ended)
        add(&t, PLAYLIST_END);
    return length(&t);
}

/* Fit to stand between quotes (4.2), or on a line of its own (4.1). */
static int is_plain(const char *s)
{
    if (!s || !*s || *s == '#')
        return 0;
    for (; *s; s++)
        if (*s <= ' ' || *s > '~' || *s == '"')
            return 0;
    return 1;
}

size_t playlist_master(char *buf, size_t cap, const struct playlist_variant *v)
{
    struct text t = {.buf = buf, .cap = cap};
    if (!v->bandwidth || !is_plain(v->codecs) || !is_plain(v->uri))
        return 0;
    add(&t, "#EXTM3U\n#EXT-X-VERSION:%d\n", PLAYLIST_VERSION);
    add(&t, "#EXT-X-STREAM-INF:BANDWIDTH=%" PRIu64, v->bandwidth);
    if (v->average)
        add(&t, ",AVERAGE-BANDWIDTH=%" PRIu64, v->average);
    add(&t, ",CODECS=\"%s\"", v->codecs);
    if (v->width && v->height)
        add(&t, ",RESOLUTION=%" PRIu32 "x%" PRIu32, v->width, v->height);
    if (v->frame_rate_milli)
        add(&t, ",FRAME-RATE=%" PRIu32 ".%03" PRIu32, v->frame_rate_milli / 1000,
            v->frame_rate_milli % 1000);
    add(&t, "\n%s\n", v->uri);
    return length(&t);
}
