#include "hls/storelive.h"

#include <stdio.h>
#include <string.h>

enum {
    RATE_SLACK = 50, /* a measured rate that is a fiftieth higher is another one */
    DIGITS_ROUND = 100,
};

static const struct name live_name = {.kind = NAME_LIVE}, master_name = {.kind = NAME_MASTER};

void store_begin_window(struct store *s)
{
    const struct keep *k = &s->opt.keep;
    uint64_t longest = (uint64_t)s->cutter.target_duration * SEGMENT_SECOND + SEGMENT_MOST_US;
    if (!s->windowed)
        window_init(&s->window, s->room, STORE_WINDOW_MAX, s->cutter.target_duration,
                    k->kind == KEEP_COUNT ? k->limit * longest : 0);
    s->windowed = 1;
}

/* A number of segments is kept, whatever they last: as long as the newest so many do. */
static void keep_count(struct store *s)
{
    struct window *w = &s->window;
    uint64_t us = 0, least = (uint64_t)WINDOW_TARGETS * s->cutter.target_duration * SEGMENT_SECOND;
    for (size_t i = w->count, n = 0; i > w->first && n < s->opt.keep.limit; n++)
        us += w->seg[--i].duration_us;
    w->keep_us = us > least ? us : least;
}

static void drop(struct store *s, int64_t steady)
{
    char name[NAME_LENGTH + 1];
    struct segment gone;
    while (window_drop(&s->window, steady, &gone)) {
        if (s->opt.keep.kind != KEEP_COUNT)
            continue; /* it is in a day's playlist */
        name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = gone.sequence});
        folder_remove(&s->folder, name);
    }
}

static int publish(struct store *s, int64_t now)
{
    if (s->opt.keep.kind == KEEP_COUNT)
        keep_count(s);
    return window_publish(&s->window, now);
}

/* The numbers do not go on: what was listed is not any more, and in nobody's hands. */
static void begin_anew(struct store *s, const struct store_time *now)
{
    const struct window *w = &s->window;
    s->orphans = w->seg[0].sequence;
    s->orphans_end =
        s->opt.keep.kind == KEEP_COUNT ? w->seg[w->count - 1].sequence + 1 : s->orphans;
    s->orphans_until = now->steady + (int64_t)(2 * w->longest_us);
    s->windowed = 0;
    store_begin_window(s);
}

void store_window_add(struct store *s, const struct segment *done, const struct store_time *now)
{
    struct window *w = &s->window;
    if (w->count && w->seg[w->count - 1].sequence + 1 != done->sequence)
        begin_anew(s, now);
    if (window_add(&s->window, done) == 0)
        return;
    /* They come faster than they last: nobody watches this live. */
    int64_t due = window_due(&s->window);
    s->live_stale |= publish(s, due > now->steady ? due : now->steady);
    store_publish(s, now, 1);
    drop(s, INT64_MAX);
    window_add(&s->window, done);
}

/* --- The master playlist --- */

void store_note_codec(struct store *s, const char *name, uint32_t epoch)
{
    size_t i = 0;
    while (i < s->codecs && strcmp(s->codec[i].name, name) != 0)
        i++;
    if (i < s->codecs)
        memmove(s->codec + i, s->codec + i + 1, (--s->codecs - i) * sizeof *s->codec);
    if (s->codecs == STORE_CODECS_MAX)
        memmove(s->codec, s->codec + 1, --s->codecs * sizeof *s->codec);
    struct store_codec *c = &s->codec[s->codecs++];
    snprintf(c->name, sizeof c->name, "%s", name);
    c->epoch = epoch;
}

void store_note_rate(struct store *s, uint32_t samples, uint64_t duration_us)
{
    uint64_t milli = duration_us ? samples * UINT64_C(1000000000) / duration_us : 0;
    if (milli > s->rate_milli + s->rate_milli / RATE_SLACK && milli < UINT32_MAX)
        s->rate_milli = (uint32_t)milli;
}

/* Rounded up, so that the file need not be written each time. */
static uint64_t round_up(uint64_t v)
{
    uint64_t unit = 1;
    while (v / unit >= DIGITS_ROUND)
        unit *= 10;
    return (v + unit - 1) / unit * unit;
}

static void write_master(struct store *s)
{
    const struct window *w = &s->window;
    char codecs[STORE_CODECS_MAX * (CODEC_MAX + 1)] = "", text[PLAYLIST_MASTER_MAX];
    char name[NAME_LENGTH + 1];
    uint64_t peak, average;
    size_t used = 0;
    if (!s->rate_milli && s->master_size) /* not measured yet; the one there is will do */
        return;
    window_rates(w->seg + w->first, w->end - w->first, s->cutter.target_duration, &peak, &average);
    s->peak = peak > s->peak ? peak : s->peak;
    while (s->codecs > 1 && s->codec[0].epoch < w->seg[w->first].epoch)
        memmove(s->codec, s->codec + 1, --s->codecs * sizeof *s->codec);
    for (size_t i = 0; i < s->codecs; i++)
        used += (size_t)snprintf(codecs + used, sizeof codecs - used, "%s%s", i ? "," : "",
                                 s->codec[i].name);
    name_write(name, &live_name);
    const struct playlist_variant v = {.uri = name,
                                       .codecs = codecs,
                                       .bandwidth = round_up(s->peak),
                                       .width = s->info.width,
                                       .height = s->info.height,
                                       .frame_rate_milli = s->rate_milli};
    size_t n = playlist_master(text, sizeof text, &v);
    if (!n || (n == s->master_size && memcmp(text, s->master, n) == 0))
        return;
    name_write(name, &master_name);
    if (folder_put(&s->folder, &s->days.file, name, text, n) < 0)
        return; /* with the next playlist, then */
    memcpy(s->master, text, n);
    s->master_size = n;
}

/* --- live.m3u8 --- */

static int write_live(struct store *s)
{
    const struct window *w = &s->window;
    char name[NAME_LENGTH + 1];
    const struct playlist p = {.type = PLAYLIST_LIVE,
                               .independent = !s->cutter.dependent,
                               .target_duration = s->cutter.target_duration};
    size_t n = playlist_media(s->text, sizeof s->text, &p, w->seg + w->first, w->end - w->first);
    name_write(name, &live_name);
    if (!n || folder_put(&s->folder, &s->days.file, name, s->text, n) < 0)
        return -1;
    s->live_first = w->seg[w->first].sequence;
    s->live_size = n;
    return 0;
}

/* Those that no playlist names any more. */
static void drop_inits(struct store *s)
{
    const struct days *d = &s->days;
    const struct window *w = &s->window;
    struct name name = {.kind = NAME_INIT};
    struct init_info info;
    char text[NAME_LENGTH + 1];
    uint32_t used = s->epoch;
    if (w->count && w->seg[0].epoch < used)
        used = w->seg[0].epoch;
    if (d->count && d->day[0].first_epoch < used)
        used = d->day[0].first_epoch;
    for (; s->oldest_epoch < used; s->oldest_epoch++) {
        name.number = s->oldest_epoch;
        name_write(text, &name);
        if (store_read_init(s, s->oldest_epoch, &info) == 0) /* not anything else of that name */
            folder_remove(&s->folder, text);
    }
}

static void drop_orphans(struct store *s, int64_t steady)
{
    char name[NAME_LENGTH + 1];
    if (steady < s->orphans_until)
        return;
    for (; s->orphans < s->orphans_end; s->orphans++) {
        name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = s->orphans});
        folder_remove(&s->folder, name);
    }
}

void store_publish(struct store *s, const struct store_time *now, int at_once)
{
    if (!s->windowed)
        return;
    int64_t due = window_due(&s->window), at = now->steady;
    if (at_once && due != INT64_MAX && due > at)
        at = due;
    s->live_stale |= publish(s, at);
    if (s->live_stale && write_live(s) == 0) {
        s->live_stale = 0;
        write_master(s);
    }
    if (s->live_stale) /* what it names has to stay */
        return;
    drop(s, now->steady);
    drop_orphans(s, now->steady);
    drop_inits(s);
}
