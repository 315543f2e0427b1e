/* ringput: fragmented MP4 from standard input, or from a program of its own, into a named ring. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "serve/feed.h"
#include "serve/ready.h"
#include "serve/ringfile.h"

#define USAGE                                                                                      \
    "usage: ringput [-d fd] [-m MiB] [-t segment-seconds] NAME [prog [arg ...]]\n"                 \
    "       ringput -h | -V\n"

enum {
    MIB_MIN = 1,
    ENTRIES_PER_MIB = RING_ENTRIES / (RING_DATA_BYTES >> 20),
    NO_SUCH_PROGRAM = 127,
};

static struct feed feed;
static struct ringfile file;
static volatile sig_atomic_t child, stopping;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "ringput: %s: %s\n", what, why);
    exit(status);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The program is this stage, so what is meant for the stage is meant for it: it ends, its output
 * does, and so does this. */
static void pass_on(int sig)
{
    stopping = 1;
    if (child > 0)
        kill((pid_t)child, sig);
    else
        _exit(EXIT_CLEAN);
}

/* Its standard input is ours, its standard output comes here. It does not outlive this program: a
 * muxer that nobody reads would hold the camera's pipe. */
static int start(char **argv)
{
    int fds[2];
    pid_t parent = getpid();
    if (pipe2(fds, O_CLOEXEC) < 0)
        fail(EXIT_AGAIN, "pipe", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        fail(EXIT_AGAIN, "fork", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || dup2(fds[1], STDOUT_FILENO) < 0)
            _exit(EXIT_AGAIN);
        execvp(argv[0], argv);
        fprintf(stderr, "ringput: %s: %s\n", argv[0], strerror(errno));
        _exit(NO_SUCH_PROGRAM);
    }
    child = pid;
    close(fds[1]);
    close(STDIN_FILENO);
    return fds[0];
}

/* The stage's exit status is the program's; a program that cannot be run never can. */
static int child_status(void)
{
    int status;
    if (waitpid((pid_t)child, &status, 0) < 0)
        return EXIT_AGAIN;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGTERM ? EXIT_CLEAN : EXIT_AGAIN;
    return WEXITSTATUS(status) == NO_SUCH_PROGRAM ? EXIT_USAGE : WEXITSTATUS(status);
}

/* What the program says of itself counts for more than what its output looked like. */
static int worse(int of_output, int of_program)
{
    return of_program == EXIT_CLEAN ? of_output : of_program;
}

/* What playlists list has to be in the ring for a while after. */
static void say_small(const char *name)
{
    static int said;
    static uint64_t looked; /* at what there was up to this segment */
    uint64_t next = cut_next(&file.ring);
    if (said || next == looked)
        return;
    looked = next;
    uint64_t wanted = cut_mib_wanted(&feed.cut);
    if (!wanted)
        return;
    said = 1;
    fprintf(stderr,
            "ringput: %s: a ring of %" PRIu64
            " MiB is too small for HLS at this bit rate: -m %" PRIu64 " would do\n",
            name, file.ring.data_bytes >> 20, wanted);
}

/* A segment is open while pictures come; one that is left so by a source that has fallen silent is
 * ended. Who sleeps is not woken for it. */
static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, cut_is_open(&feed.cut) ? CUT_SILENT_MS : -1) == 0 && cut_end(&feed.cut)) {
        atomic_fetch_add_explicit(&file.ring.header->wake, 1, memory_order_release);
        ringfile_wake(&file);
    }
}

static int run(int fd, const char *name)
{
    for (;;) {
        int64_t now;
        await(fd);
        now = now_us();
        switch (feed_read(&feed, fd, now)) {
        case FEED_FRAG:
            ringfile_wake(&file);
            if (cut_asks(&feed.cut, now))
                ringfile_want_key(&file);
            say_small(name);
            break;
        case FEED_BAD:
            if (feed.ended && stopping) /* the program was told to end, wherever it was */
                return EXIT_CLEAN;
            fprintf(stderr, "ringput: standard input: byte %" PRIu64 ": %s\n", feed.bytes,
                    feed.why);
            return EXIT_BAD_INPUT;
        case FEED_FAILED:
            fail(EXIT_AGAIN, "standard input", strerror(errno));
        case FEED_END:
            return EXIT_CLEAN;
        default:
            break;
        }
    }
}

static void open_ring(const char *name, uint64_t mib)
{
    uint32_t entries = (uint32_t)(mib * ENTRIES_PER_MIB);
    if (ringfile_create(&file, name, mib << 20, entries) == 0)
        return;
    fail(EXIT_AGAIN, file.path, file.why ? file.why : strerror(errno));
}

int main(int argc, char **argv)
{
    const struct sigaction sa = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    uint64_t mib = RING_DATA_BYTES >> 20, segment_ms = CUT_TARGET_MS;
    int c, ready = -1;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:d:m:t:hV")) != -1) {
        switch (c) {
        case 'd':
            if (ready_parse(optarg, &ready) < 0)
                fail(EXIT_USAGE, "-d", "not an open descriptor above 2");
            break;
        case 'm':
            if (number_parse(optarg, MIB_MIN, RING_DATA_MAX >> 20, &mib) < 0)
                fail(EXIT_USAGE, "-m",
                     RING_DATA_MAX >> 34 ? "not a number of MiB, 1 to 16384"
                                         : "not a number of MiB, 1 to 1024");
            break;
        case 't':
            if (number_parse_seconds(optarg, CUT_TARGET_MS_MIN, CUT_TARGET_MS_MAX, &segment_ms) < 0)
                fail(EXIT_USAGE, "-t", "not a number of seconds, 0.5 to 60");
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("ringput " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (optind == argc)
        fail(EXIT_USAGE, "NAME", "missing (-h shows the usage)");
    if (!ringfile_name_ok(argv[optind]))
        fail(EXIT_USAGE, argv[optind], "not a ring's name: 1 to 32 letters, digits, _ or -");
    ringfile_guard("ringput");
    open_ring(argv[optind], mib);
    if (ready_say(ready) < 0)
        fail(EXIT_USAGE, "-d", strerror(errno));
    /* A muxer that begins in mid-stream has nothing to say before the next keyframe. */
    ringfile_want_key(&file);
    feed_init(&feed, &file.ring, (uint32_t)segment_ms);
    int fd = STDIN_FILENO;
    if (optind + 1 < argc)
        fd = start(argv + optind + 1);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    int status = run(fd, argv[optind]);
    return child > 0 && feed.ended ? worse(status, child_status()) : status;
}
