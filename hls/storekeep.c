#include "hls/storekeep.h"

#include <errno.h>

#include "hls/daypage.h"
#include "hls/storelive.h"

/* Segments from this number on are to be listed in live.m3u8, or in its last version that could be
 * written, or, with_retired, were until a moment ago. */
static uint64_t listed_from(const struct store *s, int with_retired)
{
    const struct window *w = &s->window;
    return w->count ? w->seg[with_retired ? 0 : w->first].sequence : s->cutter.sequence;
}

static uint64_t needed_from(const struct store *s, int with_retired)
{
    uint64_t from = listed_from(s, with_retired);
    return s->live_size && s->live_first < from ? s->live_first : from;
}

/* Segments of this run from before the clock was right have dates that say nothing. They are as old
 * as it took since. */
static int is_guarded(const struct store *s, uint64_t end, const struct store_time *now)
{
    return s->synced_first > s->run_first && end > s->run_first &&
           s->days.day[0].first < s->synced_first &&
           (uint64_t)(now->steady - s->clock.steady) < s->opt.keep.limit;
}

/* The first date behind the oldest playlist that can be believed, or 0: all of that was there
 * before. */
static uint64_t date_behind(const struct days *d)
{
    for (size_t i = 1; i < d->count; i++)
        if (d->day[i].first_utc && !d->day[i].back)
            return d->day[i].first_utc;
    return 0;
}

static void keep_age(struct store *s, const struct store_time *now)
{
    struct days *d = &s->days;
    const struct keep *k = &s->opt.keep;
    uint64_t end, end_utc, date = keep_clock_now(&s->clock, now->steady);
    date = now->utc < date ? now->utc : date; /* one was wrong: rather keep too much */
    for (int n = 0; n < STORE_PRUNE_MAX && days_oldest(d, 1, &end, &end_utc) == 0; n++) {
        if (end > needed_from(s, 1) || is_guarded(s, end, now))
            return;
        if (!keep_is_over(k, end_utc, date) && !keep_is_over(k, date_behind(d), date))
            return;
        if (days_prune(d, 0) < 0)
            return; /* the next time, then */
    }
}

void store_keep(struct store *s, const struct store_time *now)
{
    int was = s->clock.fixed;
    keep_clock_tick(&s->clock, now->steady, now->utc, now->synchronised);
    if (s->clock.fixed && !was)
        s->synced_first = s->opened ? s->cutter.sequence + 1 : s->run_first;
    if (s->days.owed)
        days_prune(&s->days, 1);
    if (s->opt.keep.kind != KEEP_AGE)
        return;
    if (!s->clock.fixed && !s->told_unsynchronised++)
        s->opt.tell("the clock",
                    "not synchronised, says the kernel: nothing is removed until it is");
    if (s->clock.fixed)
        keep_age(s, now);
}

/* What is written beside the segments, and for an instant is there twice. */
static uint64_t spare(const struct store *s)
{
    const struct days *d = &s->days;
    uint64_t bytes = 4 * s->folder.block + folder_charge(&s->folder, s->live_size);
    uint64_t list = 0;
    if (d->count) {
        uint64_t newest = d->day[d->count - 1].bytes;
        list = d->day[0].bytes > newest ? d->day[0].bytes : newest;
    }
    return bytes + folder_charge(&s->folder, list + PLAYLIST_HEAD_MAX + PLAYLIST_SEGMENT_MAX) +
           folder_charge(&s->folder, daypage_size(d));
}

/* Whether the oldest segments may go for want of room. Where they come faster than they last,
 * live.m3u8 has to go on first. */
static int may_go(struct store *s)
{
    uint64_t end, end_utc;
    if (days_oldest(&s->days, 0, &end, &end_utc) < 0)
        return 0;
    if (end > needed_from(s, 0))
        store_publish(s, &s->now, 1);
    return end <= needed_from(s, 0);
}

void store_make_room(struct store *s, size_t n)
{
    if (s->opt.keep.kind != KEEP_BYTES)
        return;
    for (int i = 0; i < STORE_PRUNE_MAX; i++) {
        if (s->folder.bytes + folder_charge(&s->folder, n) + spare(s) <= s->opt.keep.limit)
            return;
        if (!may_go(s)) {
            if (!s->told_too_small++)
                s->opt.tell("-k", "too few bytes for what live.m3u8 lists");
            return;
        }
        if (days_prune(&s->days, 0) < 0 && days_prune(&s->days, 1) < 0)
            return;
    }
}

int store_free(struct store *s, int error)
{
    uint64_t end, end_utc;
    int wanted = s->opt.keep.kind == KEEP_BYTES && (error == ENOSPC || error == EDQUOT);
    int freed = 0;
    if (wanted && days_oldest(&s->days, 0, &end, &end_utc) == 0) {
        store_publish(s, &s->now, 1);
        /* Where there is not even room for live.m3u8, it names for an instant what is gone. */
        freed = end <= listed_from(s, 0) && days_prune(&s->days, 1) == 0;
        store_publish(s, &s->now, 1);
    }
    errno = error;
    return freed;
}

void store_page(struct store *s)
{
    s->page_stale |= s->days.changed;
    s->days.changed = 0;
    if (s->opt.keep.kind == KEEP_COUNT || s->page_foreign)
        s->page_stale = 0;
    if (s->page_stale && daypage_write(&s->folder, &s->days.file, &s->days) == 0)
        s->page_stale = 0;
}
