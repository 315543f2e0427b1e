#include "serve/hls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mux/boxread.h"
#include "serve/feed.h"

enum {
    CODECS_MAX = RING_INIT_SLOTS * CODEC_MAX,
    RATE_SECONDS = 2, /* of the newest pictures: what a bit rate is estimated from */
    RATE_SPARE = 4,   /* a part more than that, for what is still to come */
    MILLI = 1000,
    /* A camera counts as asleep after CAMERA_STALE_US of arrival. */
    SILENCE_S = CAMERA_STALE_US / 1000000 - FEED_TRUST_S,
    LINGER_TARGETS = 4, /* target durations */
};

void hls_reset(struct hls *h)
{
    memset(&h->window, 0, sizeof h->window);
    h->begun = h->has_slot = 0;
    h->length = 0;
    h->frame_rate_milli = 0;
}

static uint32_t target_duration(const struct ring *r)
{
    return atomic_load_explicit(&r->header->target_duration, memory_order_relaxed);
}

/* Nothing is listed that may be overwritten before it is fetched. In a ring that is large enough
 * this finds nothing. */
static void lose_overwritten(struct hls *h, const struct ring *r)
{
    struct window *w = &h->window;
    struct ring_frag f;
    while (w->end > 0 && (ring_get(r, w->seg[0].first, &f) < 0 || !ring_safe(r, &f)))
        window_lose(w);
}

static void write_text(struct hls *h, const struct ring *r)
{
    const struct window *w = &h->window;
    const struct playlist p = {
        .type = PLAYLIST_LIVE,
        .independent = !atomic_load_explicit(&r->header->dependent, memory_order_relaxed),
        .target_duration = target_duration(r)};
    h->length = w->end == w->first ? 0
                                   : playlist_media(h->text, sizeof h->text, &p, w->seg + w->first,
                                                    w->end - w->first);
}

/* Frames in 1000 seconds; a source whose rate changes shows its highest. */
static void note_rate(struct hls *h, const struct ring *r, const struct segment *s)
{
    uint64_t frames = 0, first = s->end > r->entries ? s->end - r->entries : 0;
    struct ring_frag f;
    for (uint64_t i = s->first > first ? s->first : first; i < s->end; i++)
        frames += ring_get(r, i, &f) == 0 ? f.samples : 0;
    uint64_t milli = (frames * MILLI * SEGMENT_SECOND + s->duration_us / 2) / s->duration_us;
    if (milli > h->frame_rate_milli && milli <= UINT32_MAX)
        h->frame_rate_milli = (uint32_t)milli;
}

static void take(struct hls *h, const struct ring *r, int64_t now)
{
    struct segment s, gone;
    uint64_t oldest = cut_oldest(r), next = cut_next(r);
    if (h->next < oldest || h->next > next) { /* numbers have gaps only if this slept for long */
        window_init(&h->window, h->room, RING_CUTS, target_duration(r), 0);
        h->next = oldest;
    }
    while (window_drop(&h->window, now, &gone))
        ;
    for (; h->next < next; h->next++) {
        if (cut_get(r, h->next, &s) < 0) { /* what is listed has no gaps */
            window_init(&h->window, h->room, RING_CUTS, target_duration(r), 0);
            continue;
        }
        while (window_add(&h->window, &s) < 0)
            window_lose(&h->window);
        note_rate(h, r, &s);
    }
}

/* Nothing came for a while in front of this segment, as when a camera has slept. */
static int is_behind_silence(const struct ring *r, const struct segment *s)
{
    struct ring_frag before, first;
    const struct ring_init *init = ring_init_of(r, s->epoch);
    if (!s->discontinuity || !init || ring_get(r, s->first, &first) < 0 ||
        ring_get(r, s->first - 1, &before) < 0)
        return 0;
    uint64_t end = before.dts + before.duration;
    uint32_t timescale = atomic_load_explicit(&init->timescale, memory_order_relaxed);
    return first.dts > end && (first.dts - end) / timescale >= SILENCE_S;
}

/* A server that has only just come does not know what the one before has withdrawn: it lists
 * nothing of a camera that sleeps, nor from before it last woke. */
static uint64_t first_to_list(const struct camera *camera, int64_t now)
{
    const struct ring *r = &camera->ring;
    uint64_t next = cut_next(r);
    struct segment s;
    if (!camera_fresh(camera, now))
        return next;
    for (uint64_t i = next; i-- > cut_oldest(r);)
        if (cut_get(r, i, &s) == 0 && is_behind_silence(r, &s))
            return i;
    return cut_oldest(r);
}

int hls_update(struct hls *h, const struct camera *camera, int64_t now)
{
    const struct ring *r = &camera->ring;
    uint32_t duration = target_duration(r);
    if (!duration) { /* nothing yet, or nothing any more: segments will be of another length */
        h->begun = 0;
        h->length = 0;
        return 0;
    }
    if (!h->begun || h->target_duration != duration) {
        h->target_duration = duration;
        window_init(&h->window, h->room, RING_CUTS, duration, 0);
        h->begun = 1;
        h->next = first_to_list(camera, now);
    }
    if (h->next != cut_next(r))
        take(h, r, now);
    if (!window_publish(&h->window, now))
        return 0;
    lose_overwritten(h, r);
    write_text(h, r);
    return 1;
}

int64_t hls_due(const struct hls *h)
{
    return h->begun ? window_due(&h->window) : INT64_MAX;
}

void hls_touch(struct hls *h, struct camera *camera, int64_t now)
{
    h->asked = now;
    if (h->has_slot || !camera->name[0] || !camera->there)
        return;
    h->slot = ringfile_join(&camera->file);
    h->has_slot = 1;
    if (!camera_fresh(camera, now))
        ringfile_want_key(&camera->file);
}

void hls_sweep(struct hls *h, struct camera *camera, int64_t now)
{
    int64_t linger = (int64_t)LINGER_TARGETS * target_duration(&camera->ring) * SEGMENT_SECOND;
    if (linger < HLS_LINGER_US)
        linger = HLS_LINGER_US;
    if (h->asked && now - h->asked < linger)
        return;
    if (h->has_slot)
        ringfile_leave(&camera->file, h->slot);
    h->has_slot = 0;
    h->asked = 0;
    if (h->begun && !camera_fresh(camera, now)) {
        window_init(&h->window, h->room, RING_CUTS, target_duration(&camera->ring), 0);
        h->next = cut_next(&camera->ring);
        h->length = 0;
    }
}

static void add_codec(char codecs[CODECS_MAX], const struct ring *r, uint32_t epoch)
{
    struct ring_init init;
    struct unit u;
    const char *why;
    if (ring_copy_init(r, epoch, &init) < 0 ||
        unit_next(init.bytes, init.size, &u, &why) != UNIT_READY || u.kind != UNIT_INIT ||
        strstr(codecs, u.init.codec))
        return;
    size_t n = strlen(codecs);
    snprintf(codecs + n, CODECS_MAX - n, "%s%s", n ? "," : "", u.init.codec);
}

/* Bits a second of the newest pictures, and something more: no segment has been measured yet. */
static uint64_t estimate(const struct ring *r, uint32_t timescale)
{
    uint64_t bytes = 0, ticks = 0;
    struct ring_frag f;
    for (uint64_t i = ring_head(r); i-- > 0 && ring_get(r, i, &f) == 0;) {
        bytes += f.size;
        ticks += f.duration;
        if (ticks >= (uint64_t)RATE_SECONDS * timescale)
            break;
    }
    return ticks ? bytes * 8 * timescale / ticks * (RATE_SPARE + 1) / RATE_SPARE : 0;
}

uint64_t hls_newest(const struct hls *h)
{
    return h->length ? h->window.seg[h->window.end - 1].sequence : 0;
}

uint64_t hls_new_player(struct hls *h, int64_t now)
{
    return (uint64_t)now * HLS_PLAYERS + h->players++ % HLS_PLAYERS;
}

uint64_t hls_seen(const struct hls *h, uint64_t player)
{
    return player && h->player[player % HLS_PLAYERS].id == player
               ? h->player[player % HLS_PLAYERS].seen
               : 0;
}

void hls_note(struct hls *h, uint64_t player)
{
    h->player[player % HLS_PLAYERS].id = player;
    h->player[player % HLS_PLAYERS].seen = hls_newest(h);
}

size_t hls_master(const struct hls *h, const struct camera *camera, int as_its_own, uint64_t player,
                  char *out, size_t cap)
{
    const struct ring *r = &camera->ring;
    const struct window *w = &h->window;
    char uri[RINGFILE_NAME_MAX + sizeof "/live.m3u8?n=18446744073709551615"];
    int n = snprintf(uri, sizeof uri, "%s%slive.m3u8", as_its_own ? "" : camera->name,
                     as_its_own || !camera->name[0] ? "" : "/");
    if (player)
        snprintf(uri + n, sizeof uri - (size_t)n, "?n=%" PRIu64, player);
    char codecs[CODECS_MAX];
    struct ring_init init;
    struct unit u;
    const char *why;
    uint32_t epoch = atomic_load_explicit(&r->header->epoch, memory_order_acquire);
    if (ring_copy_init(r, epoch, &init) < 0 ||
        unit_next(init.bytes, init.size, &u, &why) != UNIT_READY || u.kind != UNIT_INIT)
        return 0;
    snprintf(codecs, sizeof codecs, "%s", u.init.codec);
    struct playlist_variant v = {
        .uri = uri, .codecs = codecs, .width = u.init.width, .height = u.init.height};
    if (h->begun && w->end > w->first) {
        for (size_t i = w->first; i < w->end; i++)
            if (w->seg[i].epoch != epoch &&
                (i == w->first || w->seg[i].epoch != w->seg[i - 1].epoch))
                add_codec(codecs, r, w->seg[i].epoch);
        window_rates(w->seg + w->first, w->end - w->first, target_duration(r), &v.bandwidth,
                     &v.average);
        v.frame_rate_milli = h->frame_rate_milli;
    }
    if (!v.bandwidth)
        v.bandwidth = estimate(r, u.init.timescale);
    return v.bandwidth ? playlist_master(out, cap, &v) : 0;
}
