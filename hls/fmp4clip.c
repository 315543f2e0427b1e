/* fmp4clip: a part of a recording that fmp4hls has made, as one file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/exit.h"
#include "hls/clip.h"
#include "hls/date.h"
#include "hls/names.h"
#include "hls/playlist.h"
#include "mux/box.h"
#include "mux/boxread.h"
#include "mux/frag.h"
#include "mux/mfra.h"

#define USAGE                                                                                      \
    "usage: fmp4clip -d dir FROM TO\n"                                                             \
    "       fmp4clip -h | -V\n"

enum {
    READ_MAX = 256 << 10,
    TEXT_MAX = 64 << 10, /* of a playlist at a time */
    INIT_MAX = 64 << 10,
    BACK = 8, /* segments that are looked through for a keyframe in front of FROM */
};

#define NOWHERE UINT64_MAX /* no place in a file */

/* Playlists of days, one after the other. */
struct lists {
    uint64_t list, last;
    int fd; /* 0: the next list is to be opened */
    char name[NAME_LENGTH + 1];
    struct playlist_reader reader;
    char text[TEXT_MAX];
    size_t from, to;
    uint64_t at;     /* in the file, for messages */
    uint64_t end_us; /* date of the last segment's end */
};

static const char *dir_name;
static int dir_fd;
static struct clip clip;
static struct mfra mfra;
static uint8_t mfra_bytes[MFRA_BYTES_MAX];
static struct lists lists;
static uint8_t window[FRAG_BYTES_MAX + READ_MAX];
static uint8_t init[INIT_MAX];
static size_t init_size; /* 0: none is known yet */
static uint32_t init_epoch;
static uint64_t written;
static uint64_t left_out;    /* segments, or the rest of one */
static uint64_t key_at;      /* where a keyframe was found, or NOWHERE */
static struct segment added; /* the last one */
static int ended;            /* TO has come, or what a clip cannot go over */
static int cut_off;          /* the latter */

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fmp4clip: %s: %s\n", what, why);
    exit(status);
}

static void write_all(const void *bytes, size_t n)
{
    for (const uint8_t *p = bytes; n;) {
        ssize_t w = write(STDOUT_FILENO, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EPIPE)
            exit(EXIT_CLEAN);
        if (w < 0)
            fail(EXIT_AGAIN, "standard output", strerror(errno));
        p += w;
        n -= (size_t)w;
        written += (uint64_t)w;
    }
}

/* --- playlists --- */

/* Playlists of days in their order, as numbers: the day, and which of its lists. */
static uint64_t list_number(const struct name *n)
{
    return (uint64_t)n->day << 32 | n->part;
}

/* The first list there is behind `number`, or with latest the last before it; of no date, none.
 * Returns 0 when there is none. */
static uint64_t find_list(uint64_t number, int latest)
{
    uint64_t best = 0;
    DIR *all = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!all)
        fail(EXIT_AGAIN, dir_name, strerror(errno));
    for (const struct dirent *e; (e = readdir(all));) {
        struct name n = name_parse(e->d_name);
        uint64_t found = list_number(&n);
        if (n.kind != NAME_DAY || n.temporary || !n.day)
            continue;
        if (latest ? found < number && found > best : found > number && (!best || found < best))
            best = found;
    }
    closedir(all);
    return best;
}

/* The last list of the day before that date, or 0. */
static uint64_t list_before(uint64_t date_us)
{
    return find_list(date_us / NAME_DAY_US << 32, 1);
}

/* What comes behind list `after`, up to and with day `last`. */
static void begin_lists(uint64_t after, uint64_t last)
{
    if (lists.fd > 0)
        close(lists.fd);
    lists.list = after;
    lists.last = last << 32 | UINT32_MAX;
    lists.fd = 0;
    lists.end_us = 0;
}

static int open_list(void)
{
    struct name n = {.kind = NAME_DAY};
    while ((lists.list = find_list(lists.list, 0)) && lists.list <= lists.last) {
        n.day = (uint32_t)(lists.list >> 32);
        n.part = (uint32_t)lists.list;
        name_write(lists.name, &n);
        lists.fd = openat(dir_fd, lists.name, O_RDONLY | O_CLOEXEC);
        memset(&lists.reader, 0, sizeof lists.reader);
        lists.from = lists.to = 0;
        lists.at = 0;
        if (lists.fd > 0)
            return 0;
        if (errno != ENOENT) /* else it was pruned just now */
            fprintf(stderr, "fmp4clip: %s/%s: %s\n", dir_name, lists.name, strerror(errno));
    }
    lists.list = UINT64_MAX;
    lists.fd = 0;
    return -1;
}

/* Returns 1 when there is more of the day's playlist than before. */
static int read_text(void)
{
    memmove(lists.text, lists.text + lists.from, lists.to - lists.from);
    lists.to -= lists.from;
    lists.from = 0;
    ssize_t n = read(lists.fd, lists.text + lists.to, sizeof lists.text - lists.to);
    if (n > 0)
        lists.to += (size_t)n;
    return n > 0;
}

/* The next segment that has a date. Returns 0, or -1 when there is none. */
static int next_segment(struct segment *s)
{
    while (lists.fd > 0 || open_list() == 0) {
        int n = playlist_next(&lists.reader, lists.text + lists.from, lists.to - lists.from);
        if (n == PLAYLIST_MORE && read_text())
            continue;
        if (n == PLAYLIST_BAD)
            fprintf(stderr,
                    "fmp4clip: %s/%s: byte %" PRIu64
                    ": not as fmp4hls writes it: the rest of the day is left out\n",
                    dir_name, lists.name, lists.at);
        if (n <= 0) {
            close(lists.fd);
            lists.fd = 0;
            continue;
        }
        lists.from += (size_t)n;
        lists.at += (uint64_t)n;
        if (lists.reader.item != PLAYLIST_ITEM_SEGMENT)
            continue;
        *s = lists.reader.seg;
        s->utc_us = clip_dated(s, &lists.end_us);
        if (s->utc_us)
            return 0;
    }
    return -1;
}

/* --- segments --- */

/* One line for the first of them: where retention has overtaken a clip, there are many. */
static void leave_out(const char *name, uint64_t at, const char *why)
{
    clip_break(&clip);
    if (!left_out++)
        fprintf(stderr, "fmp4clip: %s/%s: byte %" PRIu64 ": %s: left out\n", dir_name, name, at,
                why);
}

/* Looks at a fragment, which lies at that place in its file. Returns whether to go on. */
typedef int look_at(const uint8_t *bytes, const struct unit *unit, uint64_t at);

/* Every fragment of an open segment from *at on. Returns what is wrong with it, and where, or NULL.
 */
static const char *walk(int fd, uint64_t *at, look_at *look)
{
    const char *why;
    size_t from = 0, to = 0;
    struct unit unit;
    for (;;) {
        enum unit_result r = unit_next(window + from, to - from, &unit, &why);
        if (r == UNIT_BAD)
            return why;
        if (r == UNIT_READY) {
            if (unit.kind == UNIT_FRAG && !look(window + from, &unit, *at))
                return NULL;
            from += unit.size;
            *at += unit.size;
            continue;
        }
        memmove(window, window + from, to - from);
        to -= from;
        from = 0;
        ssize_t n = read(fd, window + to, READ_MAX);
        if (n < 0)
            return strerror(errno);
        if (n == 0)
            return to ? "cut short" : NULL;
        to += (size_t)n;
    }
}

static void walk_segment(const struct segment *s, uint64_t at, look_at *look, int quiet)
{
    char name[NAME_LENGTH + 1];
    const char *why;
    name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = s->sequence});
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || lseek(fd, (off_t)at, SEEK_SET) < 0)
        why = strerror(errno);
    else
        why = walk(fd, &at, look);
    if (fd >= 0)
        close(fd);
    if (why && !quiet)
        leave_out(name, at, why);
}

static size_t read_init(const char *name, uint8_t *bytes)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, INIT_MAX);
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return n > 0 ? (size_t)n : 0;
}

/* Whether the segment can be part of this clip: a file has one init segment. */
static int fits(const struct segment *s)
{
    static uint8_t bytes[INIT_MAX];
    char name[NAME_LENGTH + 1], date[DATE_LENGTH + 1];
    const char *why = "not an init segment";
    struct unit unit;
    if (init_size && s->epoch == init_epoch)
        return 1;
    name_write(name, &(struct name){.kind = NAME_INIT, .number = s->epoch});
    size_t n = read_init(name, bytes);
    if (n == 0 || unit_next(bytes, n, &unit, &why) != UNIT_READY || unit.kind != UNIT_INIT) {
        leave_out(name, 0, n ? why : strerror(errno));
        return 0;
    }
    if (clip.sequence && (n != init_size || memcmp(bytes, init, n) != 0)) {
        date_write(date, s->utc_us);
        fprintf(stderr,
                "fmp4clip: %s: other parameters (a size, a camera) from %s on: that takes "
                "another clip\n",
                dir_name, date);
        cut_off = ended = 1;
        return 0;
    }
    memcpy(init, bytes, n);
    init_size = n;
    init_epoch = s->epoch;
    clip.timescale = unit.init.timescale;
    return 1;
}

/* A fragment into the clip: what lies in front of its moof says the recording's times. */
static int take(const uint8_t *bytes, const struct unit *unit, uint64_t at)
{
    const struct moof_info *m = &unit->moof;
    uint8_t prft[PRFT_BYTES];
    uint8_t *moof = window + (bytes - window) + m->moof_at;
    (void)at;
    enum clip_verdict verdict = clip_add(&clip, m);
    ended = verdict == CLIP_END;
    if (verdict != CLIP_TAKE)
        return !ended;
    if (clip.sequence == 1)
        write_all(init, init_size);
    put_u32(moof + m->sequence_at - m->moof_at, clip.sequence);
    put_u64(moof + m->tfdt_at - m->moof_at, clip.time);
    if (m->utc_us && m->utc_time == m->tfdt) {
        frag_write_prft(prft, m->utc_us, clip.time);
        write_all(prft, sizeof prft);
    }
    if (m->sync)
        mfra_add(&mfra, clip.time, written);
    write_all(moof, unit->size - m->moof_at);
    return 1;
}

/* Notes the last keyframe up to FROM. */
static int find_key(const uint8_t *bytes, const struct unit *unit, uint64_t at)
{
    (void)bytes;
    if (clip_when(&clip, unit->moof.tfdt) > clip.from_us)
        return 0;
    if (unit->moof.sync)
        key_at = at;
    return 1;
}

static int follows(const struct segment *before, const struct segment *s)
{
    return s->sequence == before->sequence + 1 && !s->discontinuity;
}

static void add(const struct segment *s)
{
    if (!fits(s))
        return;
    clip_segment(&clip, s->utc_us, follows(&added, s));
    added = *s;
    walk_segment(s, 0, take, 0);
}

/* The clip begins in the last of chain[0, n), or where that has no keyframe up to FROM, in one of
 * those it goes on from, or with the first keyframe behind FROM. */
static void begin(const struct segment *chain, size_t n)
{
    size_t i = n - 1;
    if (!fits(&chain[i]))
        return;
    for (key_at = NOWHERE;; i--) {
        clip_segment(&clip, chain[i].utc_us, 0);
        walk_segment(&chain[i], 0, find_key, 1);
        if (key_at != NOWHERE || i == 0 || !follows(&chain[i - 1], &chain[i]))
            break;
    }
    if (key_at == NOWHERE) {
        add(&chain[n - 1]);
        return;
    }
    added = chain[i];
    walk_segment(&chain[i], key_at, take, 0);
    while (++i < n && !ended)
        add(&chain[i]);
}

/* --- the clip --- */

static void cut(void)
{
    struct segment chain[BACK + 1], *s;
    size_t n = 0;
    /* One that began before midnight goes on behind it, and may go on from one before that. */
    uint64_t before = list_before(clip.from_us);
    begin_lists(before ? find_list(before, 1) : 0, (clip.to_us - 1) / NAME_DAY_US);
    while (!ended && next_segment(s = &chain[n]) == 0 && s->utc_us < clip.to_us) {
        if (s->utc_us + s->duration_us > clip.from_us) {
            if (clip.sequence)
                add(s);
            else
                begin(chain, n + 1);
        }
        if (n < BACK)
            n++;
        else
            memmove(chain, chain + 1, BACK * sizeof *chain);
    }
}

/* Says what there is: of years of it, only the first and the last list is read. */
static _Noreturn void say_range(void)
{
    struct segment s;
    char from[DATE_LENGTH + 1], to[DATE_LENGTH + 1];
    begin_lists(0, UINT32_MAX);
    if (next_segment(&s) < 0)
        fail(EXIT_BAD_INPUT, dir_name, "no recording is here");
    date_write(from, s.utc_us);
    begin_lists(find_list(find_list(UINT64_MAX, 1), 1), UINT32_MAX);
    while (next_segment(&s) == 0)
        ;
    date_write(to, s.utc_us + s.duration_us);
    fprintf(stderr, "fmp4clip: %s: nothing of that time; there is %s to %s\n", dir_name, from, to);
    exit(EXIT_BAD_INPUT);
}

static int run(void)
{
    cut();
    if (left_out > 1)
        fprintf(stderr, "fmp4clip: %s: %" PRIu64 " more left out\n", dir_name, left_out - 1);
    if (!clip.sequence)
        say_range();
    write_all(mfra_bytes, mfra_write(&mfra, mfra_bytes, sizeof mfra_bytes));
    return cut_off ? EXIT_BAD_INPUT : EXIT_CLEAN;
}

static uint64_t date(const char *text)
{
    uint64_t us;
    if (clip_date(text, &us) < 0)
        fail(EXIT_USAGE, text, "not a date like 2026-11-25T10:11:12Z or 2026-11-25T10:11:12.345Z");
    return us;
}

int main(int argc, char **argv)
{
    int c;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:d:hV")) != -1) {
        switch (c) {
        case 'd':
            dir_name = optarg;
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("fmp4clip " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (!dir_name)
        fail(EXIT_USAGE, "-d", "missing (-h shows the usage)");
    if (optind + 2 != argc)
        fail(EXIT_USAGE, "FROM and TO", "both are wanted (-h shows the usage)");
    clip_init(&clip, date(argv[optind]), date(argv[optind + 1]));
    if (clip.from_us >= clip.to_us)
        fail(EXIT_USAGE, "FROM and TO", "the one has to be before the other");
    if (isatty(STDOUT_FILENO))
        fail(EXIT_USAGE, "standard output", "a terminal; send the video to a file or a pipe");
    dir_fd = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        fail(errno == ENOENT || errno == ENOTDIR ? EXIT_BAD_INPUT : EXIT_AGAIN, dir_name,
             strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return run();
}
