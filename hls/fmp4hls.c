/* fmp4hls: fragmented MP4 on standard input, a directory of HLS: a recording or a live one. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "hls/store.h"

#define USAGE                                                                                      \
    "usage: fmp4hls -d dir [-t segment-seconds] [-k keep]\n"                                       \
    "       fmp4hls -h | -V\n"

enum { TARGET_MS = 6000, SILENCE_US = 2000000, US_A_MS = 1000, WAIT_MAX_MS = 60000 };

static int stopping;
static struct store store;
static struct intake intake;

static void say(const char *what, const char *why)
{
    fprintf(stderr, "fmp4hls: %s: %s\n", what, why);
}

static _Noreturn void fail(int status, const char *what, const char *why)
{
    say(what, why);
    exit(status);
}

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* BOOTTIME: age goes on while the machine sleeps. */
static struct store_time now(void)
{
    struct timex t = {0};
    return (struct store_time){.steady = (int64_t)clock_us(CLOCK_BOOTTIME),
                               .utc = clock_us(CLOCK_REALTIME),
                               .synchronised = adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC)};
}

/* Everything whole in the window. Returns whether there may be more to come. */
static int drain(int64_t *heard)
{
    struct unit unit;
    const uint8_t *p;
    enum intake_result r;
    while ((r = intake_next(&intake, &unit, &p)) == INTAKE_UNIT) {
        struct store_time t = now();
        if (unit.kind == UNIT_INIT) {
            store_init(&store, p, &unit);
        } else if (!store.info.timescale) {
            intake.why = "a fragment and no init segment in front of it";
            return 0;
        } else {
            store_fragment(&store, p, &unit, &t);
        }
        *heard = t.steady;
    }
    return r == INTAKE_MORE;
}

/* Waits for input, for a signal, or until something is due. */
static int wait_for_input(const struct store_time *t, int64_t heard, int signals)
{
    struct pollfd in[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = signals, .events = POLLIN}};
    int64_t until = store_due(&store, t);
    if (heard && heard + SILENCE_US < until)
        until = heard + SILENCE_US;
    int64_t ms = until == INT64_MAX ? -1 : (until - t->steady) / US_A_MS + 1;
    ms = ms > WAIT_MAX_MS ? WAIT_MAX_MS : ms < -1 ? 0 : ms;
    int ready = poll(in, 2, (int)ms);
    stopping |= ready > 0 && in[1].revents;
    return ready > 0 && in[0].revents && !stopping;
}

static void run(int signals)
{
    int64_t heard = 0; /* when there was a fragment, and the silence since is not known yet */
    for (int more = 1; more && !stopping;) {
        struct store_time t = now();
        store_tick(&store, &t);
        if (wait_for_input(&t, heard, signals)) {
            if (intake_read(&intake, STDIN_FILENO) < 0 && errno != EINTR && errno != EAGAIN) {
                intake.why = strerror(errno);
                return;
            }
            more = drain(&heard);
        }
        t = now();
        if (heard && t.steady - heard >= SILENCE_US) {
            store_silent(&store, &t);
            heard = 0;
        }
    }
}

static void parse_options(int argc, char **argv, struct store_options *opt)
{
    int c;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:d:t:k:hV")) != -1) {
        switch (c) {
        case 'd':
            opt->path = optarg;
            break;
        case 't':
            if (keep_parse_segment(optarg, &opt->target_ms) < 0)
                fail(EXIT_USAGE, "-t", "want seconds, 0.5 to 60");
            break;
        case 'k':
            if (keep_parse(optarg, &opt->keep) < 0)
                fail(EXIT_USAGE, "-k", "want what is kept, like 6 (segments), 24h or 10G");
            break;
        case 'h':
            fputs(USAGE, stdout);
            exit(fflush(stdout) ? EXIT_AGAIN : EXIT_CLEAN);
        case 'V':
            puts("fmp4hls " VERSION);
            exit(fflush(stdout) ? EXIT_AGAIN : EXIT_CLEAN);
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (optind < argc)
        fail(EXIT_USAGE, argv[optind], "unexpected (-h shows the usage)");
    if (!opt->path || !*opt->path)
        fail(EXIT_USAGE, "-d", "a directory is wanted (-h shows the usage)");
}

/* SIGINT and SIGTERM as a descriptor: what is being written is written. */
static int catch_signals(void)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, NULL);
    int fd = signalfd(-1, &both, SFD_CLOEXEC);
    if (fd < 0)
        fail(EXIT_AGAIN, "signals", strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    struct store_options opt = {.target_ms = TARGET_MS, .tell = say};
    const char *what, *why;
    char where[64];
    parse_options(argc, argv, &opt);
    if (isatty(STDIN_FILENO))
        fail(EXIT_USAGE, "standard input", "a terminal; the stream comes from a file or a pipe");
    int signals = catch_signals();
    struct store_time t = now();
    int status = store_open(&store, &opt, &intake, &t, &what, &why);
    if (status)
        fail(status, what, why);
    intake_init(&intake);
    run(signals);
    t = now();
    store_silent(&store, &t);
    int failed = store_close(&store, &t) < 0;
    if (intake.why && !stopping) {
        snprintf(where, sizeof where, "standard input: byte %" PRIu64, intake.bytes);
        fail(EXIT_BAD_INPUT, where, intake.why);
    }
    return failed ? EXIT_AGAIN : EXIT_CLEAN;
}
