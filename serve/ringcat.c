/* ringcat: a named ring as fragmented MP4 on standard output, or to a program of its own, with some
 * of the past in front. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "mux/box.h"
#include "mux/frag.h"
#include "serve/ringfile.h"

#define USAGE                                                                                      \
    "usage: ringcat [-b seconds-back] [-n seconds] NAME [prog [arg ...]]\n"                        \
    "       ringcat -h | -V\n"

enum { SECONDS_MAX = 86400, WAIT_MS = 250, NO_SUCH_PROGRAM = 127 };

struct reader {
    struct ringfile file;
    const char *name;
    uint64_t back, seconds; /* -b, -n; seconds 0: for ever */
    uint64_t next;          /* number of the next fragment */
    uint64_t zero;          /* ticks: the ring's time of our time 0 */
    uint32_t epoch;         /* of the init segment written last */
    uint32_t timescale, sequence;
    int begun;
    uint8_t *copy; /* the fragment being written */
    size_t copy_cap;
};

static volatile sig_atomic_t stopping;
static pid_t child; /* who reads what is written here, or 0 */

/* What is being written is finished first; whoever cannot wait for that says so again. */
static void stop(int sig)
{
    (void)sig;
    if (stopping)
        _exit(EXIT_CLEAN);
    stopping = 1;
}

/* A program that cannot be run never can. */
static int child_status(void)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_AGAIN;
    if (!WIFEXITED(status))
        return EXIT_AGAIN;
    return WEXITSTATUS(status) == NO_SUCH_PROGRAM ? EXIT_USAGE : WEXITSTATUS(status);
}

/* The program's input ends here, and it has its time to make something of that. What it says of
 * itself counts for more than how this ended. */
static _Noreturn void leave(int status)
{
    int of_program = EXIT_CLEAN;
    if (child > 0) {
        close(STDOUT_FILENO);
        of_program = child_status();
    }
    exit(of_program == EXIT_CLEAN ? status : of_program);
}

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "ringcat: %s: %s\n", what, why);
    leave(status);
}

/* Its standard input is what is written here. It does not outlive this program: the next one that
 * is started would find it where it is to work itself. */
static void start(char **argv)
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
        if (getppid() != parent || dup2(fds[0], STDIN_FILENO) < 0)
            _exit(EXIT_AGAIN);
        execvp(argv[0], argv);
        fprintf(stderr, "ringcat: %s: %s\n", argv[0], strerror(errno));
        _exit(NO_SUCH_PROGRAM);
    }
    if (dup2(fds[1], STDOUT_FILENO) < 0)
        fail(EXIT_AGAIN, "pipe", strerror(errno));
    close(fds[0]);
    close(fds[1]);
    child = pid;
}

static void write_all(const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t w = write(STDOUT_FILENO, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EPIPE)
            leave(EXIT_CLEAN);
        if (w < 0)
            fail(EXIT_AGAIN, "standard output", strerror(errno));
        p += w;
        n -= (size_t)w;
    }
}

/* Whoever read it has gone: with a silent ring no write would tell. */
static void end_if_unread(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (poll(&out, 1, 0) > 0 && out.revents & (POLLERR | POLLHUP))
        leave(EXIT_CLEAN);
}

/* Waits for the ring to be there: whoever writes it may start later. */
static void open_ring(struct reader *r)
{
    int told = 0;
    while (ringfile_open(&r->file, r->name) < 0) {
        if (stopping)
            leave(EXIT_CLEAN);
        if (errno != ENOENT)
            fail(errno == EACCES ? EXIT_USAGE : EXIT_AGAIN, r->file.path,
                 r->file.why ? r->file.why : strerror(errno));
        if (!told++)
            fprintf(stderr, "ringcat: %s: not there yet: waiting for it\n", r->file.path);
        usleep(WAIT_MS * 1000);
        end_if_unread();
    }
    ringfile_join(&r->file);
    r->copy_cap = (size_t)r->file.ring.data_bytes / 4; /* the largest fragment a ring takes */
    void *p = mmap(NULL, r->copy_cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail(EXIT_AGAIN, "memory", strerror(errno));
    r->copy = p;
}

/* The newest keyframe that lies `back` seconds before the newest fragment's end, or the oldest
 * there is. Returns -1 while there is none. */
static int64_t find_start(const struct reader *r)
{
    const struct ring *ring = &r->file.ring;
    struct ring_frag f, newest;
    uint64_t head = ring_head(ring);
    int64_t best = -1;
    if (!head || ring_get(ring, head - 1, &newest) < 0)
        return -1;
    const struct ring_init *init = ring_init_of(ring, newest.epoch);
    if (!init)
        return -1;
    uint64_t end = newest.dts + newest.duration, back = r->back * init->timescale;
    for (uint64_t i = head; i-- > 0 && ring_get(ring, i, &f) == 0 && ring_safe(ring, &f);) {
        if (f.epoch != newest.epoch)
            break;
        if (f.flags & RING_SYNC) {
            best = (int64_t)i;
            if (f.dts + back <= end)
                break;
        }
    }
    return best;
}

/* Nothing of a fragment is written before all of it has been read whole. */
static int copy_frag(struct reader *r, const struct ring_frag *f)
{
    if (f->size > r->copy_cap)
        return -1;
    ring_read(&r->file.ring, f, r->copy);
    return ring_whole(&r->file.ring, f) ? 0 : -1;
}

static int put_init(struct reader *r, uint32_t epoch)
{
    static struct ring_init init;
    if (ring_copy_init(&r->file.ring, epoch, &init) < 0)
        return -1;
    if (r->timescale &&
        r->timescale != init.timescale) /* the ring's times are in other ticks now */
        r->zero = r->zero / r->timescale * init.timescale +
                  r->zero % r->timescale * init.timescale / r->timescale;
    r->timescale = init.timescale;
    write_all(init.bytes, init.size);
    r->epoch = epoch;
    return 0;
}

/* When it was captured, of a fragment that says so. What lies in front of its moof in the ring says
 * it of the ring's times. */
static void put_utc(const struct ring_frag *f, uint64_t time)
{
    uint8_t prft[PRFT_BYTES];
    if (!f->utc_us)
        return;
    frag_write_prft(prft, f->utc_us, time);
    write_all(prft, sizeof prft);
}

/* Writes fragment r->next with its time counted from our start. Returns 1 when that is enough, -1
 * when the ring has gone over it. */
static int put_frag(struct reader *r)
{
    struct ring_frag f;
    if (ring_get(&r->file.ring, r->next, &f) < 0 || copy_frag(r, &f) < 0)
        return -1;
    if (f.epoch != r->epoch && put_init(r, f.epoch) < 0)
        return -1;
    if (!r->begun)
        r->zero = f.dts;
    r->begun = 1;
    if (r->seconds && f.dts >= r->zero + r->seconds * r->timescale)
        return 1;
    put_u64(r->copy + f.tfdt_at, f.dts - r->zero);
    put_u32(r->copy + f.sequence_at, ++r->sequence);
    put_utc(&f, f.dts - r->zero);
    write_all(r->copy + f.moof_at, f.size - f.moof_at);
    r->next++;
    return 0;
}

/* One who is lapped goes on at the newest keyframe, and says what was lost. */
static void skip(struct reader *r)
{
    int64_t key = ring_last_key(&r->file.ring);
    uint64_t from = r->next;
    r->next = key > (int64_t)from ? (uint64_t)key : ring_head(&r->file.ring);
    fprintf(stderr, "ringcat: %s: too slow: %llu fragments lost\n", r->name,
            (unsigned long long)(r->next - from));
}

static void run(struct reader *r)
{
    int64_t start = -1;
    open_ring(r);
    while (!stopping) {
        const struct ring *ring = &r->file.ring;
        uint32_t seen = atomic_load_explicit(&ring->header->wake, memory_order_acquire);
        if (start < 0 && (start = find_start(r)) >= 0)
            r->next = (uint64_t)start;
        while (!stopping && start >= 0 && r->next < ring_head(ring)) {
            int done = put_frag(r);
            if (done > 0)
                return;
            if (done < 0)
                skip(r);
        }
        if (ringfile_superseded(&r->file))
            fail(EXIT_AGAIN, r->name, "another ring has taken the name");
        ringfile_wait(&r->file, seen, WAIT_MS);
        end_if_unread();
    }
}

static uint64_t seconds(const char *option, const char *text, uint64_t min)
{
    uint64_t n;
    if (number_parse(text, min, SECONDS_MAX, &n) < 0)
        fail(EXIT_USAGE, option, "not a number of seconds up to 86400");
    return n;
}

int main(int argc, char **argv)
{
    const struct sigaction sa = {.sa_handler = stop};
    static struct reader r;
    int c;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:b:n:hV")) != -1) {
        switch (c) {
        case 'b':
            r.back = seconds("-b", optarg, 0);
            break;
        case 'n':
            r.seconds = seconds("-n", optarg, 1);
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("ringcat " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (optind == argc)
        fail(EXIT_USAGE, "NAME", "missing (-h shows the usage)");
    r.name = argv[optind];
    if (!ringfile_name_ok(r.name))
        fail(EXIT_USAGE, r.name, "not a ring's name: 1 to 32 letters, digits, _ or -");
    char **program = argv + optind + 1;
    if (!*program && isatty(STDOUT_FILENO))
        fail(EXIT_USAGE, "standard output", "a terminal; send the video to a file or a pipe");
    if (*program)
        start(program);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    ringfile_guard("ringcat");
    run(&r);
    leave(EXIT_CLEAN);
}
