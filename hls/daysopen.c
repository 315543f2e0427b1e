/* The playlists of a folder that another run has left. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/number.h"
#include "hls/days.h"

enum { ASIDE_LENGTH = NAME_LENGTH + 10 };

static const char aside[] = ".damaged";

/* Zeros are what a file system may leave of a file after a power cut. */
static int lists_nothing(const char *text, size_t len)
{
    size_t zeros = 0;
    while (zeros < len && !text[zeros])
        zeros++;
    if (zeros == len)
        return 1;
    for (size_t at = 0; at < len; at++)
        if ((!at || text[at - 1] == '\n') && text[at] != '#')
            return 0;
    return 1;
}

int days_was_ours(const char *text, size_t len)
{
    static const char word[] = "\nseg-";
    if (lists_nothing(text, len))
        return 1;
    const char *end = text + len;
    for (const char *p = text; (p = memmem(p, (size_t)(end - p), word, strlen(word))); p++) {
        const char *digits = p + strlen(word), *behind = digits;
        while (behind < end && *behind >= '0' && *behind <= '9')
            behind++;
        if (behind > digits && end - behind >= 5 && memcmp(behind, ".m4s\n", 5) == 0)
            return memmem(text, len, "URI=\"init-", 10) != NULL;
    }
    return 0;
}

void days_move_aside(struct days *d, const char *name)
{
    char to[ASIDE_LENGTH];
    snprintf(to, sizeof to, "%.40s%s", name, aside);
    folder_rename(d->folder, name, to);
    d->damaged = 1;
    d->tell(name, "damaged: moved to the same name with .damaged behind it");
}

static int is_ended(const struct days *d, const char *name, uint64_t size)
{
    char tail[sizeof PLAYLIST_END];
    size_t n = strlen(PLAYLIST_END);
    return size > n && folder_read(d->folder, name, tail, n, size - n) == (long)n &&
           memcmp(tail, PLAYLIST_END, n) == 0;
}

enum days_found days_find(struct days *d, const struct name *n)
{
    char name[NAME_LENGTH + 1];
    struct days_cursor c = {0};
    uint64_t size = 0;
    if (d->count == DAYS_MAX)
        return DAYS_FOUND; /* too old to be looked after any more */
    struct day *p = &d->day[d->count];
    *p = (struct day){.day = n->day, .part = n->part};
    name_write(name, n);
    folder_has(d->folder, name, &size);
    if (days_next(d, d->count, &c) > 0) {
        p->target_duration = c.r.playlist.target_duration;
        p->pruned = c.r.playlist.type == PLAYLIST_LIVE;
        if (days_next(d, d->count, &c) > 0 && c.r.item == PLAYLIST_ITEM_SEGMENT) {
            p->first = c.r.seg.sequence;
            p->first_utc = c.r.seg.utc_us;
            p->first_epoch = c.r.seg.epoch;
            p->ended = is_ended(d, name, size);
            p->bytes = size - (p->ended ? strlen(PLAYLIST_END) : 0);
            d->count++;
            d->text_len = 0;
            return DAYS_FOUND;
        }
    }
    int ours = days_was_ours(d->text, d->text_len);
    d->text_len = 0;
    if (!ours)
        return DAYS_FOREIGN;
    days_move_aside(d, name);
    return DAYS_DAMAGED;
}

static int by_first(const void *a, const void *b)
{
    const struct day *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Cuts the playlist off behind what is sound. What is not just a line torn is copied aside first.
 */
static int repair(struct days *d, size_t i, const char *name, uint64_t sound, uint64_t size,
                  int torn)
{
    char to[ASIDE_LENGTH];
    if (!torn) {
        snprintf(to, sizeof to, "%.40s%s", name, aside);
        if (folder_begin(d->folder, &d->file, to) < 0)
            return -1;
        for (uint64_t at = 0; at < size;) {
            long n = folder_read(d->folder, name, d->text, sizeof d->text, at);
            if (n <= 0)
                break;
            folder_add(&d->file, d->text, (size_t)n);
            at += (uint64_t)n;
        }
        if (folder_commit(&d->file) < 0)
            return -1;
        d->damaged = 1;
        d->tell(name, "damaged: copied to the same name with .damaged behind it, and cut off where "
                      "it is sound");
    }
    d->text_len = 0;
    d->day[i].ended = 0;
    d->day[i].bytes = sound;
    return folder_cut(d->folder, name, sound);
}

/* Reads all of a playlist. */
static int read_through(struct days *d, size_t i, void (*each)(void *arg, const struct segment *s),
                        void *arg)
{
    char name[NAME_LENGTH + 1];
    struct days_cursor c = {0};
    uint64_t size = 0, end_utc = 0;
    struct day *p = &d->day[i];
    days_name(p, name);
    folder_has(d->folder, name, &size);
    int n;
    while ((n = days_next(d, i, &c)) > 0) {
        const struct segment *s = &c.r.seg;
        if (c.r.item != PLAYLIST_ITEM_SEGMENT)
            continue;
        p->end = s->sequence + 1;
        end_utc = s->utc_us ? s->utc_us : end_utc;
        end_utc += end_utc ? s->duration_us : 0;
        if (each)
            each(arg, s);
    }
    if (i == d->count - 1) {
        d->last = c.r.seg;
        d->date_end = end_utc;
    }
    if (c.at >= size)
        return 0;
    uint64_t sound = c.at - (c.r.playlist.ended ? strlen(PLAYLIST_END) : 0);
    return repair(d, i, name, sound, size, n == PLAYLIST_MORE);
}

/* Whether a playlist ends as one should whose successor begins with sequence number `next`. To read
 * all of every one would take minutes on a small machine. */
static int ends_with(struct days *d, size_t i, uint64_t next)
{
    char name[NAME_LENGTH + 1], want[2 * NAME_LENGTH], tail[2 * NAME_LENGTH];
    int n = snprintf(want, sizeof want, "\nseg-%" PRIu64 ".m4s\n%s", next - 1, PLAYLIST_END);
    uint64_t size = d->day[i].bytes + strlen(PLAYLIST_END);
    days_name(&d->day[i], name);
    return d->day[i].ended && size > (uint64_t)n &&
           folder_read(d->folder, name, tail, (size_t)n, size - (uint64_t)n) == n &&
           memcmp(tail, want, (size_t)n) == 0;
}

static int end(struct days *d, size_t i)
{
    struct days_cursor head = {0};
    if (d->day[i].ended || days_next(d, i, &head) <= 0)
        return 0;
    return days_rewrite(d, i, &head, 1);
}

static int is_there(const struct days *d, uint64_t sequence)
{
    char name[NAME_LENGTH + 1];
    uint64_t size;
    name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = sequence});
    return folder_has(d->folder, name, &size);
}

/* Segments at the front that are gone: a disk so full that they had to go first, or somebody took
 * them. */
static int heal_front(struct days *d)
{
    char name[NAME_LENGTH + 1];
    while (d->count && !is_there(d, d->day[0].first)) {
        struct days_cursor c = {0}, before = {0};
        days_name(&d->day[0], name);
        d->tell(name, "segments at its beginning are gone: not listed any more");
        do
            before = c;
        while (days_next(d, 0, &c) > 0 && c.r.item != PLAYLIST_ITEM_END &&
               (c.r.item == PLAYLIST_ITEM_HEAD || !is_there(d, c.r.seg.sequence)));
        int r = days_rewrite(d, 0, &before, d->day[0].ended);
        if (r > 0) {
            if (folder_remove(d->folder, name) < 0)
                return -1;
            memmove(d->day, d->day + 1, --d->count * sizeof *d->day);
        }
        if (r < 0)
            return -1;
    }
    return 0;
}

int days_open(struct days *d, void (*each)(void *arg, const struct segment *s), void *arg)
{
    qsort(d->day, d->count, sizeof *d->day, by_first);
    for (size_t i = 0; i < d->count; i++) {
        d->day[i].back = d->day[i].part > 1 || (i && d->day[i].first_utc < d->day[i - 1].first_utc);
        int newest = i == d->count - 1;
        uint64_t next = newest ? 0 : d->day[i + 1].first;
        d->day[i].end = next;
        if ((newest || !ends_with(d, i, next)) && read_through(d, i, newest ? each : NULL, arg) < 0)
            return -1;
        if (!newest && end(d, i) < 0)
            return -1;
        d->text_len = 0;
    }
    days_finish_prune(d);
    return heal_front(d);
}
