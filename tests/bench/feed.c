/* Feeds a live server in turns: writes the init segment of a file of one-frame fragments, so many
 * MB of fragments as fast as they are taken, and then, whenever it is told to, some at a camera's
 * pace, over and over, their times and numbers going on. Each has in it when its writing began, so
 * that whoever gets it knows how long it took: CLOCK_REALTIME, nanoseconds, big-endian, from byte
 * STAMP_AT of the mdat on. (The picture is spoilt by it; nobody looks.)
 *
 *   feed [-r fragments-per-second] [-n fragments] [-f MB] file.mp4
 *
 * SIGUSR1: -n fragments. SIGUSR2: on and on, up to the next SIGUSR2. A pipe is made large enough
 * for a whole fragment, as a server's delay is not to be that of what feeds it. */
#include "mux/box.h"
#include "mux/boxread.h"
#include "tests/bench/bench.h"
#include <signal.h>

enum { PIPE_BYTES = 1 << 20, FRAGMENT_MAX = 4 << 20, MDAT_HEAD = 8 };

static struct span file;
static size_t at, init_len; /* in the file: the next fragment; the first */
static uint64_t tfdt;
static uint32_t sequence;
static uint8_t fragment[FRAGMENT_MAX];

static struct unit unit_at(size_t from)
{
    struct unit u;
    const char *why = "ends inside a fragment";
    if (unit_next(file.p + from, file.len - from, &u, &why) != UNIT_READY)
        die(BENCH_FAILED, "byte %zu: %s", from, why);
    return u;
}

/* Returns how many bytes. */
static size_t write_next(void)
{
    struct unit u = unit_at(at);
    if (u.kind != UNIT_FRAG || u.size > sizeof fragment ||
        u.moof.payload_at + (size_t)STAMP_AT >
            u.size) /* the mdat's head is in front of the payload */
        die(BENCH_FAILED, "byte %zu: not a fragment for this", at);
    memcpy(fragment, file.p + at, u.size);
    put_u32(fragment + u.moof.sequence_at, ++sequence);
    put_u64(fragment + u.moof.tfdt_at, tfdt);
    tfdt += u.moof.duration_ticks;
    put_u64(fragment + u.moof.payload_at - MDAT_HEAD + STAMP_AT, wall_ns());
    if (write_all(1, fragment, u.size) < 0)
        exit(BENCH_FAILED);
    at += u.size;
    if (at == file.len)
        at = init_len;
    return u.size;
}

/* Sleeps until the next moment of the pace, or a signal; returns that, or 0. */
static int wait_for_pace(const sigset_t *signals, int rate)
{
    double t = now(), rest = (double)((int64_t)(t * rate) + 1) / rate - t;
    struct timespec ts = {.tv_nsec = (long)(rest * 1e9)}; /* less than a second */
    int got = sigtimedwait(signals, NULL, &ts);
    return got < 0 ? 0 : got;
}

static void never(int sig)
{
    (void)sig;
}

int main(int argc, char **argv)
{
    int option, rate = 30, turn = 30, first = 0;
    while ((option = getopt(argc, argv, "r:n:f:")) != -1) {
        if (option == 'r')
            rate = number(option, optarg, 2, 1000);
        else if (option == 'n')
            turn = number(option, optarg, 1, 1000000);
        else if (option == 'f')
            first = number(option, optarg, 0, 1000);
        else
            exit(BENCH_USAGE);
    }
    if (optind + 1 != argc)
        die(BENCH_USAGE, "usage: feed [-r rate] [-n fragments] [-f MB] file.mp4");
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGUSR1, never); /* so that /proc/PID/status says that they are taken */
    signal(SIGUSR2, never);
    file = map_file(argv[optind]);
    struct unit init = unit_at(0);
    if (init.kind != UNIT_INIT)
        die(BENCH_FAILED, "%s: begins with no init segment", argv[optind]);
    at = init_len = init.size;
    fcntl(1, F_SETPIPE_SZ, PIPE_BYTES);
    if (write_all(1, file.p, init_len) < 0)
        return BENCH_FAILED;
    for (size_t n = 0; n < (size_t)first * 1000000;)
        n += write_next();
    for (int left = 0, on = 0;;) {
        int told = left || on ? wait_for_pace(&signals, rate) : sigwaitinfo(&signals, NULL);
        if (told == SIGUSR1)
            left = turn;
        else if (told == SIGUSR2)
            on = !on;
        else if (left || on)
            write_next();
        left -= told == 0 && left > 0;
    }
}
