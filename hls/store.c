#include "hls/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "capture/exit.h"
#include "hls/storekeep.h"
#include "hls/storelive.h"
#include "mux/box.h"

enum { FILE_MODE = 0644 };

static void segment_name(char out[NAME_LENGTH + 1], uint64_t sequence, int temporary)
{
    name_write(out,
               &(struct name){.kind = NAME_SEGMENT, .number = sequence, .temporary = temporary});
}

/* --- The disk --- */

static const char *until(int error)
{
    switch (error) {
    case ENOSPC:
        return "No space left on device: not recording until there is";
    case EDQUOT:
        return "Disk quota exceeded: not recording until it is not";
    case EIO:
        return "Input/output error: not recording until there is none";
    default:
        return NULL;
    }
}

static void discard(struct store *s)
{
    char name[NAME_LENGTH + 1];
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    segment_name(name, s->sequence, 1);
    folder_remove(&s->folder, name);
}

/* What the cutter has in hand is lost. Its number is not: the next segment gets it. spent: nor is
 * that of the segment before, which could not be kept either. */
static void lose(struct store *s, int spent)
{
    struct segment lost;
    discard(s);
    spent |= segmenter_end(&s->cutter, &lost);
    if (spent && s->has_last)
        segmenter_continue(&s->cutter, &s->last);
}

static void stop(struct store *s, int error, const struct store_time *now)
{
    if (!s->stopped || error != s->error) {
        const char *what = until(error);
        s->opt.tell(s->opt.path, what ? what : strerror(error));
        if (!what)
            s->opt.tell(s->opt.path, "not recording until that is over");
    }
    s->stopped = 1;
    s->error = error;
    s->tried = now->steady;
}

static void work_again(struct store *s)
{
    if (s->stopped)
        s->opt.tell(s->opt.path, "recording again");
    s->stopped = 0;
}

/* --- The open segment --- */

/* All of it or nothing. */
static int append(struct store *s, const uint8_t *p, size_t n)
{
    store_make_room(s, n);
    while (folder_write_at(s->fd, p, n, s->size) < 0) {
        int error = errno;
        if (store_free(s, error))
            continue;
        if (ftruncate(s->fd, (off_t)s->size) == 0)
            errno = error;
        return -1;
    }
    folder_account(&s->folder, s->size, s->size + n);
    s->size += n;
    return 0;
}

static int write_init(struct store *s)
{
    char name[NAME_LENGTH + 1];
    int r;
    name_write(name, &(struct name){.kind = NAME_INIT, .number = s->epoch});
    store_make_room(s, s->init_size);
    while ((r = folder_put(&s->folder, &s->days.file, name, s->init, s->init_size)) < 0 &&
           store_free(s, errno))
        ;
    if (r < 0 || folder_sync(&s->folder) < 0)
        return -1;
    s->init_written = 1;
    store_note_codec(s, s->info.codec, s->epoch);
    return 0;
}

static int begin(struct store *s)
{
    char name[NAME_LENGTH + 1];
    uint8_t styp[STORE_STYP];
    struct box b;
    discard(s);
    if (!s->init_written && write_init(s) < 0)
        return -1;
    s->sequence = s->cutter.sequence;
    segment_name(name, s->sequence, 1);
    do
        s->fd = openat(s->folder.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                       FILE_MODE);
    while (s->fd < 0 && store_free(s, errno));
    if (s->fd < 0)
        return -1;
    s->size = 0;
    s->samples = 0;
    box_init(&b, styp, sizeof styp);
    size_t place = box_open(&b, "styp");
    box_bytes(&b, "msdh", 4);
    box_u32(&b, s->epoch);
    box_bytes(&b, "msdh", 4);
    box_close(&b, place);
    return append(s, styp, b.len);
}

/* --- Listing --- */

int store_list(struct store *s, struct segment *done, const struct store_time *now)
{
    s->days.target_duration = s->cutter.target_duration;
    if (s->opt.keep.kind != KEEP_COUNT) {
        store_make_room(s, PLAYLIST_SEGMENT_MAX);
        while (days_list(&s->days, done) < 0)
            if (!store_free(s, errno))
                return -1;
    }
    s->last = *done;
    s->has_last = 1;
    store_begin_window(s);
    store_window_add(s, done, now);
    return 0;
}

/* Ends the file of the open segment and lists it. */
static int finish(struct store *s, struct segment *done, const struct store_time *now)
{
    char temporary[NAME_LENGTH + 1], name[NAME_LENGTH + 1];
    segment_name(temporary, s->sequence, 1);
    segment_name(name, done->sequence, 0);
    done->bytes += STORE_STYP;
    int failed = fsync(s->fd) < 0, error = errno;
    failed |= close(s->fd) < 0;
    s->fd = -1;
    errno = error;
    if (failed || folder_rename(&s->folder, temporary, name) < 0) {
        error = errno;
        folder_remove(&s->folder, temporary);
        errno = error;
        return -1;
    }
    if (folder_sync(&s->folder) < 0 || store_list(s, done, now) < 0) {
        error = errno;
        folder_remove(&s->folder, name);
        errno = error;
        return -1;
    }
    store_note_rate(s, s->samples, done->duration_us);
    store_publish(s, now, 0);
    return 0;
}

/* A segment has ended. When it cannot be kept the next one takes its number. */
static int take(struct store *s, struct segment *done, const struct store_time *now)
{
    if (finish(s, done, now) == 0)
        return 0;
    int error = errno;
    stop(s, error, now);
    lose(s, 1);
    return -1;
}

/* --- What comes --- */

void store_init(struct store *s, const uint8_t *p, const struct unit *unit)
{
    if (s->init_size == unit->size && memcmp(s->init, p, unit->size) == 0)
        return;
    char name[NAME_LENGTH + 1];
    uint64_t size;
    int next = s->init_written || !s->init_size;
    do {
        s->epoch += next ? 1 : 0;
        name_write(name, &(struct name){.kind = NAME_INIT, .number = s->epoch});
    } while (next && folder_has(&s->folder, name, &size)); /* somebody else's */
    s->init_written = 0;
    s->init_size = unit->size;
    memcpy(s->init, p, unit->size);
    s->info = unit->init;
}

static struct segment_frag describe(struct store *s, const struct unit *u)
{
    const struct moof_info *m = &u->moof;
    return (struct segment_frag){
        .number = s->number++,
        .dts = m->tfdt,
        .utc_us = m->utc_us,
        .duration = m->duration_ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)m->duration_ticks,
        .timescale = s->info.timescale,
        .epoch = s->epoch,
        .bytes = (uint32_t)u->size,
        .sync = m->sync,
    };
}

void store_fragment(struct store *s, const uint8_t *p, const struct unit *u,
                    const struct store_time *now)
{
    struct segment_frag f = describe(s, u);
    struct segment done;
    s->now = *now;
    uint64_t left_out = s->cutter.left_out;
    if (s->stopped && s->fd < 0 &&
        (!f.sync || now->steady - s->tried < (int64_t)s->opt.target_ms * 1000))
        return;
    struct segmenter before = s->cutter;
    if (segmenter_add(&s->cutter, &f, &done)) {
        if (take(s, &done, now) < 0)
            return;
        work_again(s);
    }
    if (s->cutter.left_out != left_out)
        return;
    int begins = s->cutter.now.first == f.number;
    if ((begins && begin(s) < 0) || append(s, p, u->size) < 0) {
        int error = errno;
        if (begins) {
            lose(s, 0);
        } else {
            s->cutter = before;
            if (segmenter_end(&s->cutter, &done))
                take(s, &done, now);
        }
        discard(s);
        stop(s, error, now);
        return;
    }
    s->samples += u->moof.samples;
}

void store_silent(struct store *s, const struct store_time *now)
{
    struct segment done;
    s->now = *now;
    if (segmenter_end(&s->cutter, &done) && take(s, &done, now) == 0)
        work_again(s);
    discard(s);
}

void store_tick(struct store *s, const struct store_time *now)
{
    store_keep(s, now);
    store_publish(s, now, 0);
    store_page(s);
}

int64_t store_due(const struct store *s, const struct store_time *now)
{
    int64_t due = s->windowed ? window_due(&s->window) : INT64_MAX;
    int64_t later = now->steady + STORE_RETRY_US;
    int waits = s->live_stale || s->page_stale || s->days.owed || s->orphans < s->orphans_end ||
                s->opt.keep.kind == KEEP_AGE || (s->windowed && s->window.first);
    return waits && later < due ? later : due;
}

int store_close(struct store *s, const struct store_time *now)
{
    const struct days *d = &s->days;
    int failed = s->stopped;
    store_publish(s, now, 1);
    if (d->count && now->utc >= SEGMENT_UTC_MIN && d->day[d->count - 1].day &&
        d->day[d->count - 1].day < now->utc / NAME_DAY_US)
        failed |= days_end_newest(&s->days) < 0;
    store_page(s);
    failed |= s->live_stale || s->page_stale;
    close(s->folder.fd);
    return failed ? -1 : 0;
}

/* --- The beginning --- */

static int cannot_open(const struct store *s, const char **what, const char **why)
{
    *what = s->opt.path;
    *why = errno == EWOULDBLOCK ? "another fmp4hls writes there" : strerror(errno);
    return errno == ENOTDIR || errno == EACCES || errno == ELOOP || errno == ENAMETOOLONG
               ? EXIT_USAGE
               : EXIT_AGAIN;
}

int store_open(struct store *s, const struct store_options *opt, struct intake *scratch,
               const struct store_time *now, const char **what, const char **why)
{
    s->opt = *opt;
    s->now = *now;
    s->fd = -1;
    if (folder_open(&s->folder, opt->path) < 0)
        return cannot_open(s, what, why);
    days_init(&s->days, &s->folder, opt->tell);
    int status = store_recover(s, scratch, now, what, why);
    if (status)
        return status;
    s->run_first = s->cutter.sequence;
    store_tick(s, now);
    s->opened = 1;
    return 0;
}
