/* What hlsweek.c simulates, and how it looks at the directory: by reading the text of its playlists
 * and the fragments they name, each of which has its number in its mfhd box. */
#ifndef TESTS_TOOL_HLSWEEK_H
#define TESTS_TOOL_HLSWEEK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hls/date.h"
#include "hls/keep.h"
#include "hls/names.h"
#include "hls/segment.h"
#include "mux/box.h"
#include "mux/boxread.h"

enum {
    HLSWEEK_SCALE = 90000,
    HLSWEEK_FRAGS = 1 << 20,
    HLSWEEK_LISTS = 64,
    HLSWEEK_TEXT = 4 << 20,
    HLSWEEK_FRAG_US = 2000000,
    HLSWEEK_LOST_MAX = 40, /* fragments in a row, to calls that fail */
    HLSWEEK_FOREIGN = 4,   /* bytes of a file that is not ours */
};

/* What survives a kill. Times in microseconds. */
struct shared {
    uint64_t random, ticks, bytes;
    int64_t calls_left; /* to the kernel, until the kill; 0: none */
    int64_t steady, booted, utc, wrong, end, kept_at;
    int clocks, past, faults, unset; /* past: 1, and 2 once it has booted */
    unsigned failed, told, unended, opened, looks, steps, unsynchronised, lost, undated, breaks;
    uint32_t variant, next, given, first_kept;
    int64_t truth[HLSWEEK_FRAGS]; /* when each was taken; negative: it was in hand at a kill */
};

struct list {
    struct name name;
    uint64_t first, next; /* sequence numbers */
    uint64_t old;         /* segments that are older than what is kept */
    int ended, torn, begun;
};

static struct shared *shared;

static struct {
    const char *dir;
    const struct keep *keep;
    int killed;
    struct list list[HLSWEEK_LISTS];
    size_t lists;
    uint32_t id;       /* of the last fragment seen */
    uint64_t end;      /* its end, ticks */
    uint64_t sequence; /* of the next segment */
    uint64_t disk;     /* bytes, rounded up */
    uint64_t segments, largest_list;
} look;

static char list_text[HLSWEEK_TEXT], other_text[HLSWEEK_TEXT];

static void bad(const char *where, const char *what, uint64_t a, uint64_t b)
{
    printf("bad: %s: %s: %" PRIu64 ", %" PRIu64 " (look %u)\n", where, what, a, b, shared->looks);
}

static size_t read_file(const char *name, char *buf)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", look.dir, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, HLSWEEK_TEXT - 1);
    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* The fragments of a file, each of which must follow the one before, or the one that was lost. */
struct inside {
    uint64_t ticks, start, utc;
    uint32_t frags, epoch, first_id;
};

static int look_inside(const char *name, int whole, struct inside *in)
{
    const uint8_t *p = (const uint8_t *)other_text;
    size_t n = read_file(name, other_text);
    struct unit u;
    const char *why;
    memset(in, 0, sizeof *in);
    /* What had to go before its playlist could be written, for an instant: when the disk is full.
     */
    if (whole && !n && look.killed && shared->failed && look.keep->kind == KEEP_BYTES)
        return 0;
    if (n < 20 || memcmp(p + 4, "stypmsdh", 8) != 0) {
        if (whole)
            bad(name, "no styp in front", n, 0);
        return -1;
    }
    in->epoch = get_u32(p + 12);
    for (size_t at = 0; at < n; at += u.size) {
        if (unit_next(p + at, n - at, &u, &why) != UNIT_READY || u.kind != UNIT_FRAG) {
            if (whole)
                bad(name, "not whole", at, n);
            break;
        }
        uint32_t id = get_u32(p + at + u.moof.sequence_at);
        if (!in->frags++) {
            in->start = u.moof.tfdt;
            in->utc = u.moof.utc_us;
            in->first_id = id;
        } else if (id != in->first_id + in->frags - 1) {
            bad(name, "a hole inside", id, in->first_id);
        }
        in->ticks += u.moof.duration_ticks;
    }
    return in->frags ? 0 : -1;
}

/* These fragments come next: nothing is missing in front of them but what was in hand at a kill. */
static void follow(const char *name, const struct inside *in)
{
    if (!look.id)
        shared->first_kept = in->first_id;
    else
        for (uint32_t id = look.id + 1; id < in->first_id; id++) {
            if (shared->truth[id] > 0 && !shared->failed)
                bad(name, "a fragment is lost", id, look.id);
            shared->lost++;
        }
    if (look.id && in->first_id <= look.id)
        bad(name, "a fragment is there again", in->first_id, look.id);
    look.id = in->first_id + in->frags - 1;
    look.end = in->start + in->ticks;
}

/* A segment as a playlist lists it. */
struct entry {
    uint64_t sequence, duration, date;
    uint32_t epoch;
    int discontinuity;
};

static void look_entry(struct list *l, const struct entry *e)
{
    char name[NAME_LENGTH + 1];
    struct inside in;
    uint32_t before = look.id;
    uint64_t end = look.end;
    name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = e->sequence});
    if (look_inside(name, 1, &in) < 0) {
        bad(name, "listed, and not playable", e->sequence, 0);
        return;
    }
    if (!in.frags)
        return;
    if (look.sequence && e->sequence < look.sequence)
        bad(name, "its number was used before", e->sequence, look.sequence);
    look.sequence = e->sequence + 1;
    look.segments++;
    follow(name, &in);
    if (in.epoch != e->epoch)
        bad(name, "another epoch's", in.epoch, e->epoch);
    if (e->date && e->date / 1000 != in.utc / 1000)
        bad(name, "the date is not its own", e->date, in.utc);
    shared->undated += !e->date;
    if (e->date && l->name.day != e->date / NAME_DAY_US)
        bad(name, "in another day's playlist", l->name.day, e->date / NAME_DAY_US);
    if (e->duration != in.ticks / (HLSWEEK_SCALE / 1000) * 1000)
        bad(name, "its duration", e->duration, in.ticks);
    if (before && (end != in.start || before + 1 != in.first_id) && !e->discontinuity &&
        e->sequence != l->first)
        bad(name, "a break and no discontinuity", end, in.start);
    shared->breaks += e->discontinuity != 0;
    if (look.keep->kind == KEEP_AGE && e->date &&
        e->date + e->duration + look.keep->limit <= (uint64_t)shared->kept_at)
        l->old++;
}

/* Reads all of a playlist; looks at what it lists, or only takes its head. */
static void look_list(struct list *l, int all)
{
    char name[NAME_LENGTH + 1], date[64];
    struct entry e = {0};
    name_write(name, &l->name);
    size_t n = read_file(name, list_text);
    double seconds;
    l->torn = n && list_text[n - 1] != '\n';
    for (char *line = list_text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        l->begun |= sscanf(line, "#EXT-X-MEDIA-SEQUENCE:%" SCNu64, &l->first) == 1;
        sscanf(line, "#EXT-X-MAP:URI=\"init-%" SCNu32, &e.epoch);
        if (sscanf(line, "#EXT-X-PROGRAM-DATE-TIME:%30s", date) == 1)
            e.date = date_read(date);
        if (sscanf(line, "#EXTINF:%lf", &seconds) == 1)
            e.duration = (uint64_t)(seconds * 1e6 + 0.5);
        e.discontinuity |= strcmp(line, "#EXT-X-DISCONTINUITY") == 0;
        l->ended |= strcmp(line, "#EXT-X-ENDLIST") == 0;
        if (sscanf(line, "seg-%" SCNu64, &e.sequence) != 1)
            continue;
        l->next = e.sequence + 1;
        if (all)
            look_entry(l, &e);
        e.date = 0;
        e.discontinuity = 0;
    }
    if (!l->begun || l->torn > look.killed)
        bad(name, "not whole", l->first, n);
}

static int by_first(const void *a, const void *b)
{
    const struct list *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Every file; segments that nothing lists are left only by a kill. */
static void look_files(uint64_t from, uint64_t to, uint64_t gone_from, uint64_t gone_to)
{
    DIR *d = opendir(look.dir);
    struct stat st;
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        struct name n = name_parse(entry->d_name);
        if (n.kind != NAME_OTHER && fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
            look.disk += ((uint64_t)st.st_size + 4095) / 4096 * 4096;
        if (n.temporary && !look.killed)
            bad(entry->d_name, "left there", 0, 0);
        if (n.kind != NAME_SEGMENT || n.temporary || st.st_size == HLSWEEK_FOREIGN)
            continue;
        int spare =
            look.killed && (n.number == to || (n.number >= gone_from && n.number < gone_to));
        if ((n.number < from || n.number >= to) && !spare)
            bad(entry->d_name, "nothing lists it", from, to);
    }
    closedir(d);
}

/* What had not been listed yet at the kill. */
static void look_open(uint64_t next)
{
    char name[NAME_LENGTH + 1];
    struct inside in;
    for (int temporary = 0; temporary < 2; temporary++) {
        name_write(name,
                   &(struct name){.kind = NAME_SEGMENT, .number = next, .temporary = temporary});
        if (look_inside(name, 0, &in) < 0)
            continue;
        follow(name, &in);
        next++;
    }
}

static void look_limits(void)
{
    const struct keep *k = look.keep;
    uint64_t listed = look.lists ? look.list[0].next - look.list[0].first : 0;
    uint64_t batch = listed < 128 ? 1 : listed / 64;
    uint32_t before = shared->first_kept ? shared->first_kept - 1 : 0;
    while (before && shared->truth[before] < 0)
        before--;
    if (shared->failed) /* these may not have been removed, but never recorded */
        before = before > HLSWEEK_LOST_MAX ? before - HLSWEEK_LOST_MAX : 0;
    if (k->kind == KEEP_AGE && before &&
        shared->truth[before] + HLSWEEK_FRAG_US + (int64_t)k->limit > shared->utc)
        bad("-k", "too little is kept", before, (uint64_t)shared->truth[before]);
    if (k->kind == KEEP_AGE && shared->kept_at && !shared->clocks && !shared->past &&
        !shared->failed && look.lists > 0 && look.list[0].old > batch)
        bad("-k", "too much is kept", look.list[0].old, batch);
    if (k->kind == KEEP_BYTES && look.disk > k->limit)
        bad("-k", "too many bytes", look.disk, k->limit);
    uint64_t slack = k->limit / 16 + 3 * look.largest_list + (64 << 10);
    if (k->kind == KEEP_BYTES && before && !shared->failed && look.disk + slack < k->limit)
        bad("-k", "too few bytes", look.disk, k->limit);
    if (look.disk > shared->bytes)
        shared->bytes = look.disk;
}

static void look_at(const char *dir, const struct keep *keep, int killed)
{
    char gone[64];
    uint64_t gone_from = 0, gone_to = 0;
    memset(&look, 0, sizeof look);
    look.dir = dir;
    look.keep = keep;
    look.killed = killed;
    shared->lost = shared->undated = shared->breaks = 0;
    shared->looks++;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct name n = name_parse(e->d_name);
        if (n.kind != NAME_DAY || n.temporary || look.lists == HLSWEEK_LISTS)
            continue;
        look.list[look.lists].name = n;
        look_list(&look.list[look.lists++], 0);
    }
    closedir(d);
    qsort(look.list, look.lists, sizeof *look.list, by_first);
    for (size_t i = 0; i < look.lists; i++) {
        look_list(&look.list[i], 1);
        uint64_t size = strlen(list_text);
        look.largest_list = size > look.largest_list ? size : look.largest_list;
        /* A kill may have come between the two. */
        if (!look.list[i].ended && i + 1 < look.lists && (!killed || shared->unended++ > 2))
            bad("a day", "over, and not ended", look.list[i].name.day, i);
    }
    uint64_t next = look.lists ? look.list[look.lists - 1].next : 0;
    if (killed && next)
        look_open(next);
    if (read_file(".fmp4hls.gone", other_text) && look.killed) {
        snprintf(gone, sizeof gone, "%.60s", other_text);
        sscanf(gone, "%" SCNu64 " %" SCNu64, &gone_from, &gone_to);
    }
    if (look.lists)
        look_files(look.list[0].first, next, gone_from, gone_to);
    struct list live = {.name = {.kind = NAME_LIVE}};
    name_write(gone, &live.name);
    if (read_file(gone, other_text)) {
        uint64_t was = look.sequence;
        look_list(&live, 0);
        for (uint64_t s = live.first; s < live.next; s++) {
            struct inside in;
            name_write(gone, &(struct name){.kind = NAME_SEGMENT, .number = s});
            look_inside(gone, 1, &in);
        }
        look.sequence = was;
    }
    if (shared->given && !shared->failed && look.id < shared->given &&
        shared->truth[shared->given] > 0)
        bad("the end", "fragments are lost", look.id, shared->given);
    look_limits();
}

#endif
