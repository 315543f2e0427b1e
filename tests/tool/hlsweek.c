/* A recorder's week in seconds, for fmp4hls.t: the store (hls/store.h) on simulated clocks, killed
 * at random calls to the kernel and in the middle of writes, started again, and its directory
 * looked at each time.
 *
 *   hlsweek DIR STREAM SEED KEEP HOURS KILLS [clocks | past | faults]
 *
 * STREAM is fragmented MP4 of keyframes only, whose pictures are used over and over. clocks: now
 * and then the machine boots with no idea of the date, or the date is set. Prints what is wrong,
 * one line each, and at last how much of what there was. */
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "capture/number.h"
#include "hls/store.h"
#include "mux/frag.h"
#include "tests/tool/hlsweek.h"

enum { FRAG_S = 2, TARGET_MS = 6000, PICTURES = 200, HEAD = 400, SYNC_S = 90 };

static struct store store;
static struct intake intake;
static struct unit unit;

static uint8_t stream[4 << 20];
static struct {
    const uint8_t *p;
    size_t n;
} picture[PICTURES];
static unsigned pictures;
static size_t init_size;

/* --- Killing --- */

static int64_t random_below(int64_t n)
{
    uint64_t *r = &shared->random;
    *r ^= *r << 13;
    *r ^= *r >> 7;
    *r ^= *r << 17;
    return (int64_t)((*r >> 11) % (uint64_t)n);
}

/* Whether the process is to die at this call. */
static int is_last(void)
{
    return shared->calls_left > 0 && --shared->calls_left == 0;
}

/* Whether this call is to fail; removing and cutting off never do. */
static int fails(void)
{
    enum { ONE_IN = 300 };
    if (!shared->faults || random_below(ONE_IN))
        return 0;
    errno = random_below(2) ? ENOSPC : EIO;
    shared->failed++;
    return 1;
}

/* Half of the time in front of the call, half of the time behind it. */
static long call(long number, long a, long b, long c, long d)
{
    int last = is_last();
    if (last && random_below(2))
        raise(SIGKILL);
    long r = syscall(number, a, b, c, d);
    if (last)
        raise(SIGKILL);
    return r;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (fails())
        return -1;
    if (is_last()) {
        syscall(SYS_pwrite64, fd, p, (size_t)random_below((int64_t)n + 1), at);
        raise(SIGKILL);
    }
    return syscall(SYS_pwrite64, fd, p, n, at);
}

int fsync(int fd)
{
    return fails() ? -1 : (int)call(SYS_fsync, fd, 0, 0, 0);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)call(SYS_fdatasync, fd, 0, 0, 0);
}

int ftruncate(int fd, off_t size)
{
    return (int)call(SYS_ftruncate, fd, size, 0, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails() ? -1 : (int)call(SYS_renameat, from_dir, (long)from, to_dir, (long)to);
}

int unlinkat(int dir, const char *name, int flags)
{
    return (int)call(SYS_unlinkat, dir, (long)name, flags, 0);
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    long mode = flags & O_CREAT ? (long)va_arg(ap, unsigned) : 0;
    va_end(ap);
    if (!(flags & O_CREAT))
        return (int)syscall(SYS_openat, dir, name, flags, 0);
    return fails() ? -1 : (int)call(SYS_openat, dir, (long)name, flags, mode);
}

/* --- The source --- */

static int read_stream(const char *path)
{
    const char *why;
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, stream, sizeof stream);
    close(fd);
    for (size_t at = 0; n > 0 && at < (size_t)n && pictures < PICTURES; at += unit.size) {
        if (unit_next(stream + at, (size_t)n - at, &unit, &why) != UNIT_READY)
            return -1;
        if (unit.kind == UNIT_INIT && at == 0)
            init_size = unit.size;
        if (unit.kind != UNIT_FRAG)
            continue;
        picture[pictures].p = stream + at + unit.moof.payload_at;
        picture[pictures++].n = unit.size - unit.moof.payload_at;
    }
    return init_size && pictures ? 0 : -1;
}

/* Another one each time `variant` is: the date of its creation. */
static void give_init(uint32_t variant)
{
    const char *why;
    uint8_t *mvhd = memmem(stream, init_size, "mvhd", 4);
    put_u32(mvhd + 8, variant);
    if (unit_next(stream, init_size, &unit, &why) != UNIT_READY)
        abort();
    store_init(&store, stream, &unit);
}

static struct store_time time_now(void)
{
    return (struct store_time){.steady = shared->steady,
                               .utc = (uint64_t)(shared->utc + shared->wrong),
                               .synchronised = shared->steady - shared->booted >=
                                                   SYNC_S * (int64_t)SEGMENT_SECOND &&
                                               !shared->unset};
}

static void give_fragment(void)
{
    static uint8_t buf[HEAD + (1 << 16)];
    const char *why;
    uint32_t id = shared->next++;
    uint64_t tfdt = shared->ticks;
    const uint8_t *p = picture[id % pictures].p;
    const struct frag_sample sample = {.duration = FRAG_S * HLSWEEK_SCALE,
                                       .size = (uint32_t)picture[id % pictures].n,
                                       .flags = SAMPLE_SYNC};
    struct store_time t = time_now();
    frag_write_prft(buf, t.utc, tfdt);
    size_t n = PRFT_BYTES + frag_write(buf + PRFT_BYTES, HEAD, id, tfdt, &sample, 1, 0);
    memcpy(buf + n, p, sample.size);
    n += sample.size;
    if (unit_next(buf, n, &unit, &why) != UNIT_READY)
        abort();
    shared->truth[id] = shared->utc;
    shared->ticks += FRAG_S * HLSWEEK_SCALE;
    shared->utc += FRAG_S * (int64_t)SEGMENT_SECOND; /* it leaves when it is at its end */
    shared->steady += FRAG_S * (int64_t)SEGMENT_SECOND;
    t = time_now();
    store_fragment(&store, buf, &unit, &t);
    shared->given = id;
}

/* --- What happens --- */

static void tell(const char *what, const char *why)
{
    if (strstr(why, "synchronised")) /* said at each boot */
        shared->unsynchronised++;
    else if (shared->faults && (strstr(why, "not recording") || strstr(why, "again")))
        shared->told++;
    else
        printf("said: %s: %s\n", what, why);
}

static void pass(int64_t seconds)
{
    shared->utc += seconds * SEGMENT_SECOND;
    shared->steady += seconds * SEGMENT_SECOND;
}

static void boot(void)
{
    shared->booted = shared->steady = (int64_t)random_below(20) * SEGMENT_SECOND;
    /* No idea of the date, or the right one, or that of long ago: only the first time, for from an
     * earlier run, and with nothing left in front of it, that is believed. */
    int64_t how = shared->past == 1 ? 2 : shared->clocks ? random_below(2) : 1;
    shared->past *= 2;
    shared->wrong = how == 0   ? SEGMENT_SECOND - shared->utc
                    : how == 1 ? 0
                               : -400 * INT64_C(86400) * SEGMENT_SECOND;
    shared->unset = shared->wrong != 0;
}

/* The date is put right some time after a boot. Steps: it is set, to what is wrong, and set right
 * again; meanwhile the kernel knows nothing of being synchronised. */
static void set_clock(void)
{
    static const int64_t steps[] = {-40, -3600, 30, 7200, 86400 * INT64_C(365) * 70};
    if (shared->unset && random_below(60) == 0)
        shared->wrong = shared->unset = 0;
    if (shared->clocks && !shared->unset && random_below(1500) == 0) {
        shared->wrong = steps[random_below(5)] * SEGMENT_SECOND;
        shared->unset = 1;
        shared->steps++;
    }
}

static void record(const struct store_options *opt)
{
    const char *what, *why;
    struct store_time t = time_now();
    if (store_open(&store, opt, &intake, &t, &what, &why)) {
        printf("%s: start: %s: %s\n", shared->faults ? "said" : "bad", what, why);
        fflush(stdout);
        _exit(shared->faults ? 111 : 2);
    }
    shared->opened++;
    shared->kept_at = 0;
    give_init(shared->variant);
    while (shared->utc < shared->end) {
        give_fragment();
        if (shared->clocks || shared->unset)
            set_clock();
        t = time_now();
        if (random_below(5000) == 0) {
            store_silent(&store, &t);
            pass(5 + random_below(60));
            shared->ticks += 1000 * HLSWEEK_SCALE;
            t = time_now();
        }
        if (random_below(20000) == 0)
            give_init(++shared->variant);
        /* One that has removed something may have more to remove, after a while without power. */
        uint64_t first = store.days.count ? store.days.day[0].first : 0;
        store_tick(&store, &t);
        int all = !store.days.count || store.days.day[0].first == first;
        shared->kept_at = store.clock.fixed && all ? shared->utc : 0;
    }
    store_silent(&store, &t);
    shared->faults = 0; /* the end is to be looked at */
    if (store_close(&store, &t) < 0 && !shared->failed)
        printf("bad: the end: %s\n", strerror(errno));
    fflush(stdout);
    _exit(0);
}

/* Runs until it is killed or all is done. Returns whether it was killed. */
static int run(const struct store_options *opt, int64_t calls)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        shared->calls_left = calls;
        record(opt);
    }
    waitpid(pid, &status, 0);
    shared->calls_left = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 111)
        return 1;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        fflush(stdout);
        if (shared->given + 1 < shared->next) { /* it was in hand */
            shared->given = shared->next - 1;
            shared->truth[shared->given] = -llabs(shared->truth[shared->given]);
        }
        return 1;
    }
    printf("bad: exit status %d\n", status);
    return -1;
}

int main(int argc, char **argv)
{
    struct store_options opt = {.target_ms = TARGET_MS, .tell = tell};
    uint64_t seed, hours, kills;
    if (argc < 7 || number_parse(argv[3], 1, UINT32_MAX, &seed) < 0 ||
        keep_parse(argv[4], &opt.keep) < 0 || number_parse(argv[5], 1, 10000, &hours) < 0 ||
        number_parse(argv[6], 0, 10000, &kills) < 0 || read_stream(argv[2]) < 0) {
        fputs("usage: hlsweek DIR STREAM SEED KEEP HOURS KILLS [clocks | past | faults]\n", stderr);
        return 100;
    }
    opt.path = argv[1];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared->random = seed * 0x9e3779b97f4a7c15u + 1;
    shared->clocks = argc > 7 && !strcmp(argv[7], "clocks");
    shared->past = argc > 7 && !strcmp(argv[7], "past");
    shared->faults = argc > 7 && !strcmp(argv[7], "faults");
    shared->utc = INT64_C(1795000000) * SEGMENT_SECOND;
    shared->end = shared->utc + (int64_t)hours * 3600 * SEGMENT_SECOND;
    shared->next = 1;
    boot();
    /* Some 13 calls a segment. */
    int64_t calls = (int64_t)hours * 600 * 13, each = kills ? calls / (int64_t)kills : 0;
    uint64_t killed = 0;
    for (int r = 1; r > 0;) {
        int64_t left = killed < kills ? 1 + random_below(random_below(4) ? 2 * each : 80) : 0;
        r = run(&opt, left);
        killed += r > 0;
        look_at(opt.path, &opt.keep, r > 0);
        if (r > 0 && random_below(3)) {
            pass(random_below(random_below(2) ? 30 : 7200));
            if (random_below(2))
                boot();
        }
        if (random_below(4)) /* else the source has gone on meanwhile */
            shared->ticks = 0;
        shared->variant += random_below(8) == 0;
    }
    printf("done: %" PRIu64 " kills, %u starts, %u fragments, %u epochs, %u looks, %u steps of the "
           "clock, %u waits for it, %u failed calls, %u removed, %u lost, %" PRIu64 " bytes\n",
           killed, shared->opened, shared->next - 1, shared->variant + 1, shared->looks,
           shared->steps, shared->unsynchronised, shared->failed, shared->first_kept - 1,
           shared->lost, shared->bytes);
    return 0;
}
