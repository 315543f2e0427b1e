#include "hls/days.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/number.h"
#include "hls/keep.h"

void days_init(struct days *d, struct folder *f, void (*tell)(const char *name, const char *what))
{
    d->folder = f;
    d->tell = tell;
}

void days_name(const struct day *p, char out[NAME_LENGTH + 1])
{
    name_write(out, &(struct name){.kind = NAME_DAY, .day = p->day, .part = p->part});
}

static uint32_t day_of(uint64_t utc)
{
    return (uint32_t)(utc / NAME_DAY_US);
}

int days_next(struct days *d, size_t i, struct days_cursor *c)
{
    char name[NAME_LENGTH + 1];
    size_t from = (size_t)(c->at - d->text_at);
    int here =
        d->text_len && d->text_day == i && c->at >= d->text_at && c->at < d->text_at + d->text_len;
    if (!here || d->text_len - from < PLAYLIST_HEAD_MAX) {
        days_name(&d->day[i], name);
        long n = folder_read(d->folder, name, d->text, sizeof d->text, c->at);
        d->text_len = n < 0 ? 0 : (size_t)n;
        d->text_day = i;
        d->text_at = c->at;
        from = 0;
    }
    int n = playlist_next(&c->r, d->text + from, d->text_len - from);
    c->at += n > 0 ? (uint64_t)n : 0;
    return n;
}

static void forget_text(struct days *d)
{
    d->text_len = 0;
}

static void forget_ahead(struct days *d)
{
    memset(&d->ahead, 0, sizeof d->ahead);
    d->ahead_segments = d->ahead_utc = 0;
    d->ahead_all = 0;
    forget_text(d);
}

static enum playlist_type type_of(const struct day *p, int ended)
{
    return p->pruned ? PLAYLIST_LIVE : ended ? PLAYLIST_VOD : PLAYLIST_EVENT;
}

/* The head and the first segment. */
static size_t write_front(char *out, size_t cap, const struct day *p, const struct segment *first)
{
    const struct playlist list = {
        .type = type_of(p, p->ended), .ended = p->ended, .target_duration = p->target_duration};
    size_t n = playlist_head(out, cap, &list, first);
    return n + playlist_segment(out + n, cap - n, NULL, first);
}

/* The file's bytes [at, end) go to d->file. */
static void copy(struct days *d, const char *name, uint64_t at, uint64_t end)
{
    forget_text(d);
    while (at < end) {
        size_t some = end - at < sizeof d->text ? (size_t)(end - at) : sizeof d->text;
        long n = folder_read(d->folder, name, d->text, some, at);
        if (n <= 0) {
            d->file.error = n < 0 ? errno : EIO;
            return;
        }
        folder_add(&d->file, d->text, (size_t)n);
        at += (uint64_t)n;
    }
}

int days_rewrite(struct days *d, size_t i, const struct days_cursor *from, int ended)
{
    char name[NAME_LENGTH + 1], front[PLAYLIST_HEAD_MAX + PLAYLIST_SEGMENT_MAX];
    struct days_cursor c = *from;
    struct day p = d->day[i];
    if (days_next(d, i, &c) <= 0 || c.r.item != PLAYLIST_ITEM_SEGMENT)
        return 1;
    const struct segment *s = &c.r.seg;
    p.pruned |= from->r.listed > 0;
    p.ended = ended;
    p.first = s->sequence;
    p.first_utc = s->utc_us;
    p.first_epoch = s->epoch;
    size_t n = write_front(front, sizeof front, &p, s);
    days_name(&p, name);
    if (folder_begin(d->folder, &d->file, name) < 0)
        return -1;
    folder_add(&d->file, front, n);
    copy(d, name, c.at, p.bytes);
    p.bytes = n + (p.bytes - c.at);
    if (ended)
        folder_add(&d->file, PLAYLIST_END, strlen(PLAYLIST_END));
    if (folder_commit(&d->file) < 0)
        return -1;
    d->day[i] = p;
    if (i == 0)
        forget_ahead(d);
    folder_sync(
        d->folder); /* else a power cut may bring the old one back, which days_open() mends */
    return 0;
}

int days_end_newest(struct days *d)
{
    char name[NAME_LENGTH + 1];
    struct days_cursor head = {0};
    if (!d->count || d->day[d->count - 1].ended)
        return 0;
    struct day *p = &d->day[d->count - 1];
    if (days_next(d, d->count - 1, &head) > 0 && days_rewrite(d, d->count - 1, &head, 1) == 0)
        return 0;
    /* No room for that; it is at its end all the same, and may stay an EVENT. */
    days_name(p, name);
    p->ended = 1;
    return folder_append(d->folder, name, PLAYLIST_END, strlen(PLAYLIST_END), p->bytes);
}

/* Whether it may stand behind what the newest playlist lists. */
static int goes_on(const struct days *d, const struct segment *s)
{
    const struct day *p = d->day + d->count;
    if (!d->count || (--p)->ended || p->end != s->sequence)
        return 0;
    if (!s->utc_us)
        return 1;
    return day_of(s->utc_us) == p->day &&
           (!d->date_end || s->utc_us + SEGMENT_OVERLAP_US > d->date_end);
}

static int append(struct days *d, const struct segment *s)
{
    char name[NAME_LENGTH + 1], lines[PLAYLIST_SEGMENT_MAX];
    struct day *p = &d->day[d->count - 1];
    size_t n = playlist_segment(lines, sizeof lines, &d->last, s);
    days_name(p, name);
    if (folder_append(d->folder, name, lines, n, p->bytes) < 0)
        return -1;
    p->bytes += n;
    p->end++;
    if (d->text_day == d->count - 1)
        forget_text(d);
    if (d->count == 1)
        d->ahead_all = 0;
    return 0;
}

static int begin(struct days *d, const struct segment *s)
{
    char name[NAME_LENGTH + 1], front[PLAYLIST_HEAD_MAX + PLAYLIST_SEGMENT_MAX];
    struct day p = {.first = s->sequence,
                    .end = s->sequence + 1,
                    .first_utc = s->utc_us,
                    .first_epoch = s->epoch,
                    .day = day_of(s->utc_us),
                    .part = 1,
                    .target_duration = d->target_duration};
    if (d->count && !s->utc_us) /* it goes on, as far as anybody knows */
        p.day = d->day[d->count - 1].day;
    for (size_t i = 0; i < d->count; i++)
        if (d->day[i].day == p.day && d->day[i].part >= p.part)
            p.part = d->day[i].part + 1;
    p.back = s->utc_us && s->utc_us < d->date_end;
    p.bytes = write_front(front, sizeof front, &p, s);
    days_name(&p, name);
    if (folder_put(d->folder, &d->file, name, front, (size_t)p.bytes) < 0)
        return -1;
    if (folder_sync(d->folder) < 0) {
        int error = errno;
        folder_remove(d->folder, name);
        errno = error;
        return -1;
    }
    days_end_newest(d); /* should it fail, the next start does it */
    d->day[d->count++] = p;
    d->changed = 1;
    return 0;
}

int days_list(struct days *d, const struct segment *s)
{
    int more = goes_on(d, s) || (d->count == DAYS_MAX && !d->day[d->count - 1].ended);
    if (d->count == DAYS_MAX && !more) {
        errno = ENOSPC;
        return -1;
    }
    if ((more ? append(d, s) : begin(d, s)) < 0)
        return -1;
    if (!more)
        d->date_end = 0;
    if (s->utc_us)
        d->date_end = s->utc_us;
    d->date_end += d->date_end ? s->duration_us : 0;
    d->last = *s;
    return 0;
}

int days_oldest(struct days *d, int by_date, uint64_t *end, uint64_t *end_utc)
{
    if (!d->count)
        return -1;
    uint64_t batch = keep_batch(d->day[0].end - d->day[0].first);
    while (!d->ahead_all && (d->ahead_segments < batch || (by_date && !d->ahead_utc))) {
        const struct segment *s = &d->ahead.r.seg;
        if (days_next(d, 0, &d->ahead) <= 0 || d->ahead.r.item == PLAYLIST_ITEM_END) {
            d->ahead_all = 1;
        } else if (d->ahead.r.item == PLAYLIST_ITEM_SEGMENT) {
            d->ahead_segments++;
            /* Nobody knows how long it took to a segment without a date behind a break. */
            if (s->utc_us || s->discontinuity)
                d->ahead_utc = s->utc_us;
            d->ahead_utc += d->ahead_utc ? s->duration_us : 0;
        }
    }
    *end = d->day[0].first + d->ahead_segments;
    *end_utc = d->day[0].back ? 0 : d->ahead_utc;
    return 0;
}

/* Removes the segments [from, to), and goes on to `most` while there are any: what a damaged
 * playlist did not name any more. */
static void remove_segments(struct days *d, uint64_t from, uint64_t to, uint64_t most)
{
    char text[NAME_LENGTH + 1];
    uint64_t size;
    struct name name = {.kind = NAME_SEGMENT, .number = from};
    for (; name.number < most; name.number++) {
        name_write(text, &name);
        if (name.number >= to && !folder_has(d->folder, text, &size))
            break;
        folder_remove(d->folder, text);
    }
}

static int remove_oldest(struct days *d)
{
    char name[NAME_LENGTH + 1];
    days_name(&d->day[0], name);
    if (folder_remove(d->folder, name) < 0)
        return -1;
    memmove(d->day, d->day + 1, --d->count * sizeof *d->day);
    d->changed = 1;
    forget_ahead(d);
    folder_sync(d->folder); /* as above */
    return 0;
}

/* What is about to go is written down first: whoever is killed in the middle leaves files that no
 * playlist names, and the next start has to know that they are nobody else's. */
static int note_gone(struct days *d, uint64_t from, uint64_t to)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 "\n", from, to);
    return folder_put(d->folder, &d->file, DAYS_GONE, text, (size_t)n) < 0 ||
                   folder_sync(d->folder) < 0
               ? -1
               : 0;
}

void days_finish_prune(struct days *d)
{
    char text[64] = "";
    uint64_t from = 0, to = 0;
    if (folder_read(d->folder, DAYS_GONE, text, sizeof text - 1, 0) <= 0)
        return;
    const char *p = number_digits(text, &from);
    if (p && *p == ' ' && (p = number_digits(p + 1, &to)) && *p == '\n') {
        to = d->count && d->day[0].first < to ? d->day[0].first : to;
        remove_segments(d, from, to, to);
    }
    folder_remove(d->folder, DAYS_GONE);
}

int days_prune(struct days *d, int files_first)
{
    uint64_t from = d->day[0].first, to = from + d->ahead_segments, most = to;
    uint64_t behind = d->count > 1 ? d->day[1].first : d->day[0].end;
    if (files_first)
        remove_segments(d, from, to, to);
    else if (note_gone(d, from, to) < 0)
        return -1;
    int r = d->ahead_segments ? days_rewrite(d, 0, &d->ahead, d->day[0].ended) : 1;
    if (r > 0) {
        r = remove_oldest(d);
        most = behind > to ? behind : to;
    }
    d->owed = r < 0 && files_first;
    if (r < 0)
        return -1;
    remove_segments(d, from, to, most);
    folder_remove(d->folder, DAYS_GONE);
    return 0;
}
