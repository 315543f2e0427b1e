/* A directory that another run has left, however it ended. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture/exit.h"
#include "hls/daypage.h"
#include "hls/store.h"
#include "hls/storelive.h"

/* What is there, and live.m3u8 as read. */
struct survey {
    struct store *s;
    const struct store_time *now;
    const char *what, *why;          /* of a refusal */
    int days, live, master, page;    /* there are such files */
    int has_segments, has_temporary; /* likewise */
    uint64_t highest, temporary;     /* their highest sequence numbers */
    int has_init;                    /* likewise */
    uint32_t init;                   /* the highest epoch */
    size_t live_len;                 /* of s->text: live.m3u8, sound; 0: there is none */
    uint64_t live_first, live_end;   /* the sequence numbers in it: live_first to live_end - 1 */
    uint32_t live_target;            /* its target duration */
    int live_independent;
};

static int refuse(struct survey *v, const char *name, const char *why)
{
    snprintf(v->s->refused, sizeof v->s->refused, "%.40s", name);
    v->what = v->s->refused;
    v->why = why;
    return EXIT_USAGE;
}

static int refuse_foreign(struct survey *v, const char *name)
{
    return refuse(v, name, "a playlist by somebody else, not to be written over");
}

/* --- What is there --- */

static void remove_temporary(struct survey *v, const char *text, const struct name *n)
{
    struct name old = {.kind = NAME_SEGMENT, .temporary = 1, .number = v->temporary};
    char name[NAME_LENGTH + 1];
    if (n->kind != NAME_SEGMENT || (v->has_temporary && n->number < v->temporary)) {
        folder_remove(&v->s->folder, text);
        return;
    }
    name_write(name, &old);
    if (v->has_temporary)
        folder_remove(&v->s->folder, name);
    v->temporary = n->number;
    v->has_temporary = 1;
}

static int see(struct survey *v, const char *text)
{
    struct store *s = v->s;
    struct name n = name_parse(text);
    struct init_info info;
    uint64_t size;
    if (n.kind == NAME_OTHER || !folder_has(&s->folder, text, &size))
        return 0;
    if (n.temporary) { /* the newest segment may be worth something */
        remove_temporary(v, text, &n);
        return 0;
    }
    s->folder.bytes += folder_charge(&s->folder, size);
    switch (n.kind) {
    case NAME_SEGMENT:
        v->highest = n.number > v->highest ? n.number : v->highest;
        v->has_segments = 1;
        break;
    case NAME_INIT:
        if (store_read_init(s, (uint32_t)n.number, &info) < 0)
            break; /* somebody else's */
        v->init = n.number > v->init ? (uint32_t)n.number : v->init;
        v->has_init = 1;
        break;
    case NAME_DAY:
        v->days = 1;
        if (s->opt.keep.kind != KEEP_COUNT && days_find(&s->days, &n) == DAYS_FOREIGN)
            return refuse_foreign(v, text);
        break;
    case NAME_LIVE:
        v->live = 1;
        break;
    case NAME_MASTER:
        v->master = 1;
        break;
    default:
        v->page = 1;
        break;
    }
    return 0;
}

static int look(struct survey *v)
{
    struct store *s = v->s;
    int status = 0, fd = openat(s->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        v->why = strerror(errno);
        return EXIT_AGAIN;
    }
    for (struct dirent *e; !status && (e = readdir(dir));)
        status = see(v, e->d_name);
    closedir(dir);
    folder_remove(&s->folder, DAYS_GONE ".tmp");
    if (!status && v->days && s->opt.keep.kind == KEEP_COUNT) {
        v->why = "holds a recording, of which -k with a number of segments would keep nothing";
        return EXIT_USAGE;
    }
    return status;
}

/* --- live.m3u8, the master playlist, the page --- */

static int read_live(struct survey *v)
{
    struct store *s = v->s;
    struct playlist_reader r = {0};
    size_t at = 0;
    int n;
    char name[NAME_LENGTH + 1];
    name_write(name, &(struct name){.kind = NAME_LIVE});
    long len = v->live ? folder_read(&s->folder, name, s->text, sizeof s->text, 0) : 0;
    if (!v->live)
        return 0;
    while (len > 0 && (n = playlist_next(&r, s->text + at, (size_t)len - at)) > 0) {
        at += (size_t)n;
        if (r.item == PLAYLIST_ITEM_SEGMENT && r.listed == 1)
            v->live_first = r.seg.sequence;
    }
    uint32_t target = s->cutter.target_duration;
    if (len > 0 && at == (size_t)len && r.listed && !r.playlist.ended &&
        (!target || target == r.playlist.target_duration)) {
        v->live_len = at;
        v->live_end = r.seg.sequence + 1;
        v->live_target = r.playlist.target_duration;
        v->live_independent = r.playlist.independent;
        return 0;
    }
    if (len < 0 || !days_was_ours(s->text, (size_t)len))
        return refuse_foreign(v, name);
    days_move_aside(&s->days, name);
    return 0;
}

static int read_master(struct survey *v)
{
    struct store *s = v->s;
    static const char live[] = "\nlive.m3u8\n";
    char name[NAME_LENGTH + 1];
    name_write(name, &(struct name){.kind = NAME_MASTER});
    long n = v->master ? folder_read(&s->folder, name, s->master, sizeof s->master, 0) : 0;
    s->master_size = n > 0 ? (size_t)n : 0;
    if (n > 0 && !memmem(s->master, (size_t)n, live, strlen(live)) &&
        !days_was_ours(s->master, (size_t)n))
        return refuse_foreign(v, name);
    return 0;
}

static void read_page(struct survey *v)
{
    struct store *s = v->s;
    char name[NAME_LENGTH + 1], text[1024];
    name_write(name, &(struct name){.kind = NAME_PAGE});
    s->page_stale = 1;
    if (!v->page || s->opt.keep.kind == KEEP_COUNT)
        return;
    long n = folder_read(&s->folder, name, text, sizeof text, 0);
    s->page_foreign = n > 0 && !daypage_is_ours(text, (size_t)n);
    if (s->page_foreign)
        s->opt.tell(name, "not by fmp4hls: left as it is");
}

/* --- Playlists are continued --- */

/* Takes what is listed already into the window; where there are too many the older half goes. */
static void add_listed(struct store *s, const struct segment *listed)
{
    struct window *w = &s->window;
    if (w->count && w->seg[w->count - 1].sequence + 1 != listed->sequence) {
        s->windowed = 0; /* what live.m3u8 lists is too long ago */
        store_begin_window(s);
    }
    if (window_add(w, listed) == 0)
        return;
    size_t n = w->count;
    w->count = 0;
    for (size_t i = n / 2; i < n; i++)
        window_add(w, &s->room[i]);
    window_add(w, listed);
}

static void continue_from(struct store *s, const struct segment *listed)
{
    segmenter_continue(&s->cutter, listed);
    s->last = *listed;
    s->has_last = 1;
}

static void continue_day(void *arg, const struct segment *listed)
{
    struct survey *v = arg;
    continue_from(v->s, listed);
    if (!v->live_len || listed->sequence >= v->live_end)
        add_listed(v->s, listed);
}

/* What live.m3u8 lists is out; what comes in behind it waits for its time. */
static void continue_live(struct survey *v)
{
    struct store *s = v->s;
    struct playlist_reader r = {0};
    int n;
    for (size_t at = 0; at < v->live_len; at += (size_t)n) {
        n = playlist_next(&r, s->text + at, v->live_len - at);
        if (n <= 0)
            return;
        if (r.item != PLAYLIST_ITEM_SEGMENT)
            continue;
        add_listed(s, &r.seg);
        if (s->opt.keep.kind == KEEP_COUNT)
            continue_from(s, &r.seg);
    }
    window_publish(&s->window, v->now->steady);
    s->live_first = v->live_first;
    s->live_size = v->live_len;
}

/* What the segments and playlists that are there do not say, for a new directory: numbers nobody
 * has used. What foreign files have is kept away from, for removing goes down without a gap. */
static uint64_t fresh(const struct survey *v, int there, uint64_t highest)
{
    uint64_t n = v->now->utc >= SEGMENT_UTC_MIN ? v->now->utc / SEGMENT_SECOND : 0;
    return there && highest + 2 > n ? highest + 2 : n;
}

static void start_cutter(struct survey *v)
{
    struct store *s = v->s;
    struct days *d = &s->days;
    uint32_t target = v->live_target;
    uint64_t newest = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->day[i].first >= newest) {
            newest = d->day[i].first;
            target = d->day[i].target_duration;
        }
    uint32_t longest =
        target ? target : segment_target_duration(s->opt.target_ms, SEGMENT_GOP_US / 1000);
    uint64_t keep_us =
        s->opt.keep.kind != KEEP_COUNT
            ? 0
            : s->opt.keep.limit * ((uint64_t)longest * SEGMENT_SECOND + SEGMENT_MOST_US);
    uint64_t first = fresh(v, v->has_segments, v->highest);
    if (v->has_temporary && v->temporary > v->highest)
        first = v->temporary;
    segmenter_init(&s->cutter, s->opt.target_ms, target, window_longest(longest, keep_us), first);
    if (target)
        store_begin_window(s);
}

/* --- What no playlist names --- */

static int is_there(const struct store *s, uint64_t n)
{
    char name[NAME_LENGTH + 1];
    uint64_t size;
    name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = n});
    return folder_has(&s->folder, name, &size);
}

/* The next segment gets this number. */
static void skip_to(struct store *s, uint64_t n)
{
    const struct segment before = {.sequence = n - 1, .discontinuities = s->cutter.discontinuities};
    if (n && n != s->cutter.sequence)
        segmenter_continue(&s->cutter, &before);
}

/* The first of the segments that lead to the highest number without a gap. */
static uint64_t run_of(const struct survey *v)
{
    uint64_t n = v->highest;
    while (n && is_there(v->s, n - 1))
        n--;
    return n;
}

/* Segment n as live.m3u8 lists it. */
static int find_live(struct survey *v, uint64_t n, struct segment *found)
{
    const struct window *w = &v->s->window;
    const struct segment *seg = v->s->windowed ? window_find(w, n) : NULL;
    if (!seg || !v->live_len || n < v->live_first || n >= v->live_end || !is_there(v->s, n))
        return 0;
    *found = *seg;
    return 1;
}

/* Behind what is listed, in order: what live.m3u8 knows, what was renamed, what was being written.
 */
static int take_in(struct survey *v, struct intake *scratch)
{
    struct store *s = v->s;
    struct segment found;
    int r = 1, known = s->has_last;
    uint64_t first = s->cutter.sequence;
    uint64_t n = known                             ? s->last.sequence + 1
                 : v->live_len && !s->days.damaged ? v->live_first
                                                   : run_of(v);
    if (known && !is_there(s, n) && s->days.damaged && v->highest > n)
        n = run_of(v);
    if (s->days.damaged && v->highest >= n)
        s->opt.tell(s->opt.path, "what is not listed is taken in from the segments themselves");
    for (; r > 0 && v->has_segments && is_there(s, n); n += r > 0) {
        skip_to(s, n);
        if (s->opt.keep.kind != KEEP_COUNT && find_live(v, n, &found)) {
            s->days.target_duration = s->cutter.target_duration;
            r = days_list(&s->days, &found) < 0 ? -1 : 1;
            if (r > 0)
                continue_from(s, &found);
        } else {
            r = store_salvage(s, scratch, n, 0, v->now);
        }
    }
    if (!s->has_last)
        skip_to(s, first);
    if (r >= 0 && v->has_temporary) {
        char name[NAME_LENGTH + 1];
        name_write(name, &(struct name){NAME_SEGMENT, 1, v->temporary, 0, 0});
        if (v->temporary == s->cutter.sequence && !is_there(s, v->temporary))
            r = store_salvage(s, scratch, v->temporary, 1, v->now);
        if (r == 0)
            folder_remove(&s->folder, name);
    }
    if (v->has_segments && v->highest >= s->cutter.sequence)
        skip_to(s, v->highest + 1);
    return r < 0 ? -1 : 0;
}

/* --- Epochs --- */

static void load_init(struct survey *v)
{
    struct store *s = v->s;
    char name[NAME_LENGTH + 1];
    s->epoch = v->init;
    if (s->has_last && s->last.epoch > s->epoch)
        s->epoch = s->last.epoch;
    if (!s->has_last) {
        uint64_t epoch = fresh(v, v->has_init, v->init);
        s->epoch = epoch ? (uint32_t)(epoch - 1) : 0;
        return;
    }
    if (s->epoch != v->init || store_read_init(s, s->epoch, &s->info) < 0)
        return;
    name_write(name, &(struct name){.kind = NAME_INIT, .number = s->epoch});
    long n = folder_read(&s->folder, name, s->init, sizeof s->init, 0);
    s->init_size = n > 0 ? (size_t)n : 0;
    s->init_written = n > 0;
}

/* Goes down from the oldest that is in use: what a run has left that died before it had removed
 * them. */
static void find_oldest_init(struct store *s)
{
    char text[NAME_LENGTH + 1];
    struct name name = {.kind = NAME_INIT};
    uint64_t size;
    s->oldest_epoch = s->epoch + 1;
    if (s->window.count)
        s->oldest_epoch = s->window.seg[0].epoch;
    if (s->days.count && s->days.day[0].first_epoch < s->oldest_epoch)
        s->oldest_epoch = s->days.day[0].first_epoch;
    for (uint32_t e = s->oldest_epoch; !s->days.damaged && s->has_last && e-- > 0;) {
        name.number = e;
        name_write(text, &name);
        if (!folder_has(&s->folder, text, &size))
            return;
        folder_remove(&s->folder, text);
    }
}

/* What the master playlist needs of the segments in the window. */
static void describe_window(struct survey *v)
{
    struct store *s = v->s;
    struct window *w = &s->window;
    char name[NAME_LENGTH + 1];
    struct init_info info;
    for (size_t i = 0; i < w->count; i++) {
        struct segment *g = &w->seg[i];
        name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = g->sequence});
        folder_has(&s->folder, name, &g->bytes);
        if ((!i || g->epoch != g[-1].epoch) && store_read_init(s, g->epoch, &info) == 0)
            store_note_codec(s, info.codec, g->epoch);
    }
    /* Retired by the run before: players may still be at them. */
    if (s->opt.keep.kind == KEEP_COUNT && w->count) {
        s->orphans = s->orphans_end = w->seg[0].sequence;
        while (s->orphans && is_there(s, s->orphans - 1))
            s->orphans--;
        s->orphans_until = v->now->steady + (int64_t)(2 * w->longest_us);
    }
}

int store_recover(struct store *s, struct intake *scratch, const struct store_time *now,
                  const char **what, const char **why)
{
    struct survey v = {.s = s, .now = now, .what = s->opt.path};
    int status = look(&v);
    if (!status)
        status = read_live(&v);
    if (!status)
        status = read_master(&v);
    if (!status) {
        start_cutter(&v);
        read_page(&v);
        if (v.live_len && v.live_target != s->cutter.target_duration) {
            v.live_len = 0;
            s->live_stale = 1;
        }
        continue_live(&v);
        s->cutter.dependent = v.live_len ? !v.live_independent : v.days || v.has_segments;
        errno = 0;
        if (days_open(&s->days, continue_day, &v) < 0 || take_in(&v, scratch) < 0) {
            v.why = strerror(errno);
            status = EXIT_AGAIN;
        }
    }
    if (!status) {
        load_init(&v);
        find_oldest_init(s);
        if (s->windowed)
            describe_window(&v);
    }
    *what = v.what;
    *why = v.why;
    return status;
}
