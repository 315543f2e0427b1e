/* Cameras that never were, for hls.t: streams of fragments with all that befalls them, cut and
 * listed by hls/, and what came of it as lines of JSON for rfc8216.py, which explains them.
 *
 *   hlssim seed count        so many streams from this seed on */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "hls/playlist.h"
#include "hls/window.h"

enum {
    SECOND = 1000000,
    FRAGS_MAX = 40000,
    SEGMENTS_MAX = 4000,
    TEXT_MAX = PLAYLIST_HEAD_MAX + SEGMENTS_MAX * PLAYLIST_SEGMENT_MAX,
    FRAG_BYTES = 2000,
    EVENTS = 12,
};

/* The camera and its surroundings. */
static struct {
    uint64_t random;
    int64_t t, zero, last_key, no_key_until, asked; /* microseconds of a steady clock */
    int64_t utc;                                    /* what to add to it for the date */
    uint32_t fps_milli, gop_us, answer_us, jitter, tick_error, trouble;
    uint32_t timescale, epoch;
    uint64_t number;
    int knows_date, by_gop, answers, key_next, discontinuity, overlap;
    int silent; /* nothing usable has come since a break: the next fragment's time is one without */
    int regular; /* it kept its promise of keyframes */
} cam;

static struct segmenter cutter;
static struct window window;
static struct segment room[SEGMENTS_MAX], all[SEGMENTS_MAX];
static size_t alls;
static struct segment_frag frag[FRAGS_MAX];
static size_t frags;
static struct segment_frag last_of_segment; /* the last fragment of the segment before */
static char text[TEXT_MAX], again[TEXT_MAX];
static struct playlist playlist;
static uint64_t keep_us;
static uint32_t target_ms;
static int64_t now, absent;
static unsigned restarts;

static uint64_t dice(uint64_t n)
{
    cam.random ^= cam.random << 13;
    cam.random ^= cam.random >> 7;
    cam.random ^= cam.random << 17;
    return (cam.random >> 11) % n;
}

static uint32_t between(uint32_t low, uint32_t high)
{
    return low + (uint32_t)dice((uint64_t)high - low + 1);
}

static uint64_t ticks(int64_t t)
{
    uint64_t us = (uint64_t)(t - cam.zero);
    return us / SECOND * cam.timescale + us % SECOND * cam.timescale / SECOND;
}

static int64_t us_of(const struct segment_frag *f, uint64_t tick)
{
    return (int64_t)(tick / f->timescale * SECOND + tick % f->timescale * SECOND / f->timescale);
}

/* What lies between two fragments on one timeline, in microseconds; -1 when it is not one. */
static int64_t hole(const struct segment_frag *a, const struct segment_frag *b)
{
    if (b->number != a->number + 1 || b->epoch != a->epoch || b->timescale != a->timescale ||
        b->discontinuity || b->dts <= a->dts)
        return -1;
    uint64_t end = a->dts + a->duration;
    return b->dts > end ? us_of(b, b->dts) - us_of(b, end) : 0;
}

/* A segment's facts, from the fragments themselves. */
static void print_facts(const struct segment *s)
{
    size_t i = frags, last;
    uint64_t bytes = 0;
    int64_t worst = 0;
    while (i > 0 && frag[i - 1].number >= s->first)
        i--;
    const struct segment_frag *first = &frag[i];
    for (last = i; last < frags && frag[last].number < s->end; last++) {
        int64_t h = last > i ? hole(&frag[last - 1], &frag[last]) : 0;
        worst = h < 0 || worst < 0 ? -1 : h > worst ? h : worst;
        bytes += frag[last].bytes;
    }
    uint64_t end = frag[last - 1].dts + frag[last - 1].duration;
    uint64_t next = end;
    if (last < frags && hole(&frag[last - 1], &frag[last]) >= 0)
        next = frag[last].dts;
    last--;
    printf("{\"segment\":%" PRIu64 ",\"scale\":%" PRIu32 ",\"start\":%" PRIu64 ",\"end\":%" PRIu64
           ",\"next\":%" PRIu64 ",\"epoch\":%" PRIu32 ",\"bytes\":%" PRIu64
           ",\"key\":%d,\"hole\":%" PRId64 ",\"joins\":%" PRId64 ",\"utc\":%" PRIu64 "}\n",
           s->sequence, first->timescale, first->dts, end < next ? end : next, next, first->epoch,
           bytes, first->sync, worst,
           last_of_segment.timescale ? hole(&last_of_segment, first) : (int64_t)-1, first->utc_us);
    last_of_segment = frag[last];
}

static void print_text(const char *name, size_t n)
{
    printf("\"%s\":\"", name);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            fputs("\\n", stdout);
        else if (text[i] == '"')
            fputs("\\\"", stdout);
        else
            putchar(text[i]);
    }
    fputs("\"}\n", stdout);
}

static size_t write_playlist(void)
{
    const struct segment *s = window.seg + window.first;
    size_t n = window.end - window.first;
    playlist.independent = !cutter.dependent;
    return playlist_media(text, sizeof text, &playlist, s, n);
}

/* How much media a ring had to hold for this segment until now. (The newest fragment has only just
 * made it now.) */
static int64_t held(const struct segment *s)
{
    int64_t us = 0;
    for (size_t i = frags - 1; i > 0 && frag[i - 1].number >= s->first; i--)
        us += us_of(&frag[i - 1], frag[i - 1].duration);
    return us;
}

static void publish(void)
{
    struct segment gone;
    while (window_drop(&window, now, &gone))
        printf("{\"at\":%" PRId64 ",\"gone\":%" PRIu64 ",\"held\":%" PRId64 ",\"hold\":%" PRIu64
               "}\n",
               now, gone.sequence, held(&gone), window_hold(cutter.target_duration, keep_us));
    if (playlist.type == PLAYLIST_VOD || !window_publish(&window, now))
        return;
    printf("{\"at\":%" PRId64 ",\"absent\":%" PRId64 ",", now, absent);
    print_text("media", write_playlist());
}

/* Time goes on to `until`, with pictures or without, and playlists come out when they are due. */
static void pass(int64_t until, int pictures)
{
    int64_t due = window_due(&window);
    if (due > now && due < until) {
        absent += pictures ? 0 : due - now;
        now = due;
        publish();
    }
    absent += pictures ? 0 : until - now;
    now = until;
    publish();
}

static void take(const struct segment *s)
{
    print_facts(s);
    if (!playlist.target_duration) { /* measured: known from the first segment on */
        playlist.target_duration = cutter.target_duration;
        window_init(&window, room, SEGMENTS_MAX, cutter.target_duration, keep_us);
    }
    if (window_add(&window, s) < 0 || alls == SEGMENTS_MAX)
        abort();
    all[alls++] = *s;
}

/* The program that cuts dies and another goes on where the playlist stands. */
static void restart(void)
{
    struct playlist_reader r = {0};
    size_t at = 0, size = window.is_out ? write_playlist() : 0;
    int n;
    if (!size || window.end < window.count || playlist.type == PLAYLIST_VOD)
        return;
    for (size_t i = frags; cutter.open && i > 0 && frag[i - 1].number >= cutter.now.first; i--)
        absent += us_of(&frag[i - 1], frag[i - 1].duration); /* what was in no segment yet */
    uint32_t duration = cutter.target_duration;
    segmenter_init(&cutter, target_ms, duration, window.longest_us, 0);
    window_init(&window, room, SEGMENTS_MAX, duration, keep_us);
    while ((n = playlist_next(&r, text + at, size - at)) > 0) {
        at += (size_t)n;
        if (r.item == PLAYLIST_ITEM_HEAD) {
            cutter.dependent = !r.playlist.independent;
        } else {
            segmenter_continue(&cutter, &r.seg);
            window_add(&window, &r.seg);
        }
    }
    memcpy(again, text, size);
    window_publish(&window, now);
    if (at != size || n != PLAYLIST_MORE || write_playlist() != size || memcmp(text, again, size))
        abort();
    restarts++;
    cam.silent = 1;
}

static void outage(int64_t us)
{
    struct segment done;
    cam.silent = 1;
    if (us > 2 * SECOND && dice(2)) {
        pass(now + 2 * SECOND, 0);
        if (segmenter_end(&cutter, &done))
            take(&done);
        us -= 2 * SECOND;
        cam.t += 2 * SECOND;
    }
    cam.t += us;
    pass(now + us, 0);
}

static void new_timeline(int epoch)
{
    static const uint32_t scales[] = {90000, 90000, 1000, 12800, 24000, 30000};
    cam.key_next = dice(10) > 0;
    cam.epoch += epoch ? 1 : 0;
    if (epoch && dice(3) == 0)
        return; /* and yet the times go on */
    if (epoch)
        cam.timescale = scales[dice(sizeof scales / sizeof *scales)];
    cam.zero = dice(2) ? cam.t : cam.t - (int64_t)dice(100) * SECOND;
}

/* What befalls a camera. */
static void event(void)
{
    switch (dice(EVENTS)) {
    case 0:
        outage(between(1000, SECOND));
        cam.regular &= cam.key_next = dice(2) != 0;
        break;
    case 1:
        outage(between(SECOND, 15 * SECOND));
        cam.key_next = dice(2) != 0;
        break;
    case 2:
    case 3:
        new_timeline(1);
        break;
    case 4:
        new_timeline(0);
        cam.discontinuity = dice(2) != 0; /* times that go ahead a little tell nobody */
        break;
    case 5:
        cam.number += between(1, 100);
        break;
    case 6:
        cam.discontinuity = 1;
        break;
    case 7:
        cam.fps_milli = between(5000, 120000);
        break;
    case 8:
        cam.no_key_until = cam.t + between(0, 3 * cam.gop_us);
        cam.regular = 0;
        break;
    case 9: /* the clock is set: for the first time, or to anything near */
        cam.knows_date = 1;
        cam.utc += (cam.utc < 1600000000 * (int64_t)SECOND) ? 1790000000 * (int64_t)SECOND : 0;
        cam.utc += ((int64_t)dice(41) - 20) * SECOND / (dice(2) ? 1 : 40);
        break;
    case 10:
        restart();
        break;
    default:
        cam.overlap = 1;
        break;
    }
}

static int is_key(int64_t interval)
{
    if (cam.key_next || cam.by_gop)
        return 1;
    if (cam.t < cam.no_key_until)
        return 0;
    if (cam.answers && cam.asked >= 0 && cam.t - cam.asked >= cam.answer_us)
        return 1;
    return cam.t - cam.last_key + interval / 2 >= cam.gop_us || dice(400) == 0;
}

/* The next fragment, at its end. */
static void fragment(void)
{
    struct segment done;
    int64_t interval = cam.by_gop ? cam.gop_us : INT64_C(1000) * SECOND / cam.fps_milli;
    if (cam.jitter)
        interval += (int64_t)dice((uint64_t)interval / 5 + 1) - interval / 10;
    if (cam.trouble && dice(3000) == 0) /* longer than any segment */
        interval = (cutter.target_duration ? cutter.target_duration + 3 : 20) * (int64_t)SECOND;
    struct segment_frag *f = &frag[frags++];
    *f = (struct segment_frag){.number = cam.number++,
                               .dts = ticks(cam.t),
                               .timescale = cam.timescale,
                               .epoch = cam.epoch,
                               .sync = is_key(interval),
                               .discontinuity = cam.discontinuity};
    f->duration = (uint32_t)(ticks(cam.t + interval) - f->dts);
    f->duration += cam.overlap ? f->duration / 2 : 0;
    if (cam.tick_error && f->duration)
        f->duration = f->duration + (uint32_t)dice(3) - 1;
    f->bytes = FRAG_BYTES / 2 + (uint32_t)dice(FRAG_BYTES) + (f->sync ? 8 * FRAG_BYTES : 0);
    if (f->sync) {
        cam.last_key = cam.t;
        cam.asked = -1;
        f->utc_us = cam.knows_date ? (uint64_t)(cam.t + cam.utc) : 0;
    }
    cam.key_next = cam.discontinuity = cam.overlap = 0;
    uint64_t left_out = cutter.left_out;
    cam.t += interval;
    pass(now + interval, !cam.silent);
    if (segmenter_add(&cutter, f, &done))
        take(&done);
    absent += cutter.left_out > left_out && !cam.silent ? interval : 0;
    cam.silent = cutter.left_out > left_out;
    publish();
    if (cutter.want_key && cam.asked < 0)
        cam.asked = cam.t;
    if (cam.trouble && dice((uint64_t)cam.trouble * (uint64_t)(SECOND / interval + 1)) == 0)
        event();
}

/* Returns how long the stream is to last, in microseconds. */
static int64_t set_up(uint64_t seed)
{
    static const uint32_t targets[] = {1000, 2000, 2000, 4000, 6000};
    memset(&cam, 0, sizeof cam);
    cam.random = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 10; i++)
        dice(2);
    frags = alls = 0;
    now = 1000 * SECOND;
    absent = 0;
    memset(&last_of_segment, 0, sizeof last_of_segment);
    target_ms = targets[dice(5)];
    cam.gop_us = between(200000, dice(2) ? 2 * SECOND : 10 * SECOND);
    cam.answers = dice(3) == 0;
    cam.answer_us = between(50000, 600000);
    cam.by_gop = dice(8) == 0;
    cam.fps_milli = between(5000, dice(2) ? 30000 : 120000);
    cam.jitter = dice(2) != 0;
    cam.tick_error = dice(4) == 0;
    cam.trouble = dice(3) ? between(3, 40) : 0; /* seconds between events */
    cam.timescale = 90000;
    cam.epoch = 1;
    cam.t = cam.zero = 100 * SECOND;
    cam.asked = -1;
    cam.knows_date = dice(5) != 0;
    cam.utc = dice(3) ? 1790000000 * (int64_t)SECOND : 0;
    cam.key_next = dice(2) != 0;
    cam.regular = 1;
    uint32_t promise_ms = cam.gop_us / 1000 + cam.gop_us / 10000 + 1;
    if (cam.answers) {
        cam.gop_us = between(10 * SECOND, 60 * SECOND);
        promise_ms = 1000 + target_ms / 4;
        cam.by_gop = 0;
    } else if (dice(6) == 0) {
        promise_ms = between(0, promise_ms / 2);
        cam.regular = 0;
    }
    uint32_t duration = segment_target_duration(target_ms, promise_ms);
    int measured = dice(3) == 0;
    if (measured) {
        duration = segment_target_duration(target_ms, SEGMENT_GOP_US / 1000);
        cam.regular &= cam.answers; /* else what it did at first it need not go on doing */
    }
    playlist = (struct playlist){.type = dice(6)   ? PLAYLIST_LIVE
                                         : dice(2) ? PLAYLIST_EVENT
                                                   : PLAYLIST_VOD,
                                 .target_duration = measured ? 0 : duration};
    keep_us = playlist.type != PLAYLIST_LIVE ? SEGMENT_ALWAYS : dice(40) * SECOND;
    uint64_t longest = window_longest(duration, keep_us);
    segmenter_init(&cutter, target_ms, playlist.target_duration, longest,
                   dice(2) ? 0 : dice(UINT64_C(1) << 40));
    window_init(&window, room, SEGMENTS_MAX, duration, keep_us);
    return (int64_t)(playlist.type == PLAYLIST_LIVE ? 10 + dice(4) : 5) * duration * SECOND;
}

static void print_master(void)
{
    struct playlist_variant v = {.uri = "live.m3u8", .codecs = "avc1.42C01E"};
    v.width = dice(3) ? 640 : 0;
    v.height = 480;
    v.frame_rate_milli = dice(3) ? cam.fps_milli : 0;
    window_rates(all, alls, cutter.target_duration, &v.bandwidth, &v.average);
    putchar('{');
    print_text("master", playlist_master(text, sizeof text, &v));
}

static void stream(uint64_t seed)
{
    struct segment done;
    int64_t length = set_up(seed), end = cam.t + length;
    printf("{\"stream\":%" PRIu64 "}\n", seed);
    while (cam.t < end && frags < FRAGS_MAX && alls < SEGMENTS_MAX / 2)
        fragment();
    if (segmenter_end(&cutter, &done))
        take(&done);
    playlist.ended = playlist.type == PLAYLIST_VOD || dice(2);
    if (window.end < window.count && playlist.type == PLAYLIST_VOD) {
        now = now > window_due(&window) ? now : window_due(&window);
        window_publish(&window, now);
        printf("{\"at\":%" PRId64 ",\"absent\":%" PRId64 ",", now, absent);
        print_text("media", write_playlist());
    } else if (window.end < window.count) {
        pass(now > window_due(&window) ? now : window_due(&window), 1);
    }
    if (alls)
        print_master();
    printf("{\"done\":%" PRIu64 ",\"regular\":%d,\"calm\":%d,\"restarts\":%u}\n", seed, cam.regular,
           !cam.trouble, restarts);
    restarts = 0;
}

int main(int argc, char **argv)
{
    uint64_t seed, count;
    if (argc != 3 || number_parse(argv[1], 0, UINT32_MAX, &seed) < 0 ||
        number_parse(argv[2], 1, UINT32_MAX, &count) < 0) {
        fputs("hlssim: usage: hlssim seed count\n", stderr);
        return EXIT_USAGE;
    }
    for (uint64_t i = 0; i < count; i++)
        stream(seed + i);
    return fflush(stdout) == 0 ? EXIT_CLEAN : EXIT_AGAIN;
}
