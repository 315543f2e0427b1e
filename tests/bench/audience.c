/* Viewers of a live stream that feed(1) sends in turns, over loopback, in one epoll loop.
 *
 *   audience [-n viewers] [-p port] [-u path] [-P server-pid]... [-r fragments-per-second]
 *   audience -b seconds [...]
 *
 * After SIGUSR1 each turn, which ends by silence, is a line:
 *
 *   fragments=.. cpu_ms=.. cpu_ms_per_client_s=.. p50_us=.. p99_us=.. fps_min=.. own_cpu_ms=..
 *
 * and at SIGTERM one more, with failure (1) when a viewer was refused or lost:
 *
 *   viewers=.. alive=.. gaps=..
 *
 * The delay is from the moment in which the writing of a fragment began (it is in it: feed.c) to
 * that in which the kernel had taken the last of it for this viewer: over loopback a packet is
 * received while it is being sent, and SO_TIMESTAMPNS tells when. So it does not matter how long a
 * viewer here takes to read, which for many would be longer than the server takes to send. Of
 * several fragments in one read only the last one's time is known, and the others are left out.
 *
 * What a viewer's own TCP costs the server is to be much the same for all of them, as it is for
 * those far away. So who has read sleeps outside of epoll_wait() for a moment: else a server that
 * is a little slower would wake this process for each viewer, which costs it more than the sending.
 * And segments are as long as Ethernet's: of loopback's 64 KiB it depends on the longest one that a
 * connection has ever seen whether a fragment is acknowledged at once, in the server's time, or
 * when it is read.
 *
 * The CPU time is the server process's, all of its threads, from the silence in front of a turn to
 * the one behind it. fps_min is of the viewer that got the fewest fragments, by the stamps of the
 * turn's first and last. A gap is a sequence number in mfhd that does not follow the one before.
 *
 * -b: what is sent is bytes, whatever they mean, all the time: one line over so many seconds, after
 * as many of warm-up:
 *
 *   viewers=.. alive=.. bytes=.. cpu_ms=.. cpu_ms_per_client_s=.. */
#include "tests/bench/bench.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    VIEWERS_MAX = 20000,
    SERVERS_MAX = 8,
    EVENTS = 256,
    READ_MAX = 256 << 10,
    TICK_MS = 50,
    SILENCE_MS = 200, /* the end of a turn */
    NAP_NS = 5000000, /* after reading */
    ETHERNET_MSS = 1460,
    DELAYS_MAX = 1 << 20,
};

struct viewer {
    int fd;            /* -1: lost */
    unsigned head_end; /* how many bytes of the answer's last four, CR LF CR LF, have come */
    int numbered;      /* a sequence number has been seen */
    uint32_t sequence;
    struct boxes boxes;
    uint64_t stamp; /* of the newest fragment that is whole */
    unsigned fragments;
};

static struct {
    int viewers, port, rate, bytes, servers, server[SERVERS_MAX];
    const char *path;
} options = {.viewers = 1, .port = 8000, .rate = 30, .path = "/stream.mp4"};

static struct viewer *viewers;
static int poller;
static volatile sig_atomic_t counting, ended;

/* What has come since counting began, or in this turn. */
static uint64_t gaps, bytes;
static struct {
    uint64_t fragments, first, last; /* stamps */
    double cpu, own;                 /* ms, before it */
    size_t delays;
} turn;
static double delay[DELAYS_MAX]; /* us */

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        counting = 1;
    else
        ended = 1;
}

static void lose(struct viewer *v)
{
    close(v->fd);
    v->fd = -1;
}

/* Returns how many bytes are still the answer's head. */
static size_t take_head(struct viewer *v, const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; i < n && v->head_end < 4; i++) {
        if (p[i] == (v->head_end % 2 ? '\n' : '\r'))
            v->head_end++;
        else
            v->head_end = p[i] == '\r';
    }
    return i;
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static void take_box(struct viewer *v, enum box_kind kind)
{
    const uint8_t *head = v->boxes.head;
    if (kind == BOX_MOOF) {
        uint32_t sequence = be32(head + 20);
        gaps += v->numbered && sequence != v->sequence + 1;
        v->sequence = sequence;
        v->numbered = 1;
    } else if (kind == BOX_MDAT) {
        v->stamp = be64(head + STAMP_AT);
        v->fragments++;
        turn.fragments++;
        if (!turn.first)
            turn.first = v->stamp;
        if (v->stamp > turn.last)
            turn.last = v->stamp;
    }
}

/* Returns how many fragments came to their end, *exact when the last of them did with the last
 * byte. */
static unsigned take_body(struct viewer *v, const uint8_t *p, size_t n, int *exact)
{
    unsigned fragments = v->fragments;
    enum box_kind kind = BOX_NONE;
    for (size_t at = 0, used; at < n; at += used) {
        kind = boxes_feed(&v->boxes, p + at, n - at, &used);
        if (kind == BOX_BAD) {
            lose(v);
            return 0;
        }
        take_box(v, kind);
    }
    *exact = kind == BOX_MDAT;
    return v->fragments - fragments;
}

/* When the last byte of what was read came in, or 0. */
static uint64_t time_of(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct timespec t;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&t, CMSG_DATA(c), sizeof t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    }
    return 0;
}

static void read_some(struct viewer *v)
{
    static uint8_t buf[READ_MAX];
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec iov = {buf, sizeof buf};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int exact = 0;
    ssize_t got = recvmsg(v->fd, &msg, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lose(v);
        return;
    }
    bytes += (uint64_t)got;
    if (options.bytes)
        return;
    size_t head = take_head(v, buf, (size_t)got);
    unsigned n = take_body(v, buf + head, (size_t)got - head, &exact);
    uint64_t came = time_of(&msg);
    if (n && exact && came > v->stamp && turn.delays < DELAYS_MAX)
        delay[turn.delays++] = (double)(came - v->stamp) / 1e3;
}

static double server_cpu(void)
{
    double sum = 0;
    for (int i = 0; i < options.servers; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(options.server[i], &clock))
            die(BENCH_FAILED, "process %d: gone", options.server[i]);
        sum += milliseconds_of(clock);
    }
    return sum;
}

static void begin_turn(void)
{
    memset(&turn, 0, sizeof turn);
    turn.cpu = server_cpu();
    turn.own = milliseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < options.viewers; i++)
        viewers[i].fragments = 0;
}

static void end_turn(void)
{
    unsigned least = viewers[0].fragments;
    for (int i = 0; i < options.viewers; i++)
        least = viewers[i].fragments < least ? viewers[i].fragments : least;
    double cpu = server_cpu() - turn.cpu, seconds = (double)(turn.last - turn.first) / 1e9;
    double clients = (double)turn.fragments / options.rate; /* client-seconds */
    printf("fragments=%llu cpu_ms=%.2f cpu_ms_per_client_s=%.5f p50_us=%.1f p99_us=%.1f "
           "fps_min=%.2f own_cpu_ms=%.1f\n",
           (unsigned long long)turn.fragments, cpu, cpu / clients,
           turn.delays ? percentile(delay, turn.delays, 50) : 0,
           turn.delays ? percentile(delay, turn.delays, 99) : 0,
           seconds > 0 && least ? (least - 1) / seconds : 0,
           milliseconds_of(CLOCK_PROCESS_CPUTIME_ID) - turn.own);
    fflush(stdout);
}

/* Returns the time of the newest byte, or `last`. */
static double poll_once(double last)
{
    struct epoll_event ready[EVENTS];
    int n = epoll_wait(poller, ready, EVENTS, TICK_MS);
    for (int i = 0; i < n; i++)
        read_some(ready[i].data.ptr);
    if (n > 0 && n < EVENTS)
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    return n > 0 ? now() : last;
}

static void watch_turns(void)
{
    double last = now();
    int was_counting = 0;
    for (begin_turn(); !ended;) {
        last = poll_once(last);
        int silent = now() - last > SILENCE_MS / 1e3;
        if (turn.fragments && silent && was_counting)
            end_turn();
        if (silent || counting != was_counting)
            begin_turn();
        if (counting && !was_counting)
            gaps = 0;
        was_counting = counting;
    }
}

static void watch_bytes(void)
{
    double cpu = 0, own = 0, start = now(), half = start + options.bytes;
    while (now() < half)
        poll_once(0);
    bytes = 0;
    cpu = server_cpu();
    own = milliseconds_of(CLOCK_PROCESS_CPUTIME_ID);
    start = now();
    while (now() < start + options.bytes)
        poll_once(0);
    cpu = server_cpu() - cpu;
    printf("bytes=%llu cpu_ms=%.1f cpu_ms_per_client_s=%.5f own_cpu_ms=%.1f ",
           (unsigned long long)bytes, cpu, cpu / options.bytes / options.viewers,
           milliseconds_of(CLOCK_PROCESS_CPUTIME_ID) - own);
}

static void join(struct viewer *v)
{
    char request[512];
    int one = 1, mss = ETHERNET_MSS;
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     options.path);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (n >= (int)sizeof request)
        die(BENCH_USAGE, "-u: too long");
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0 || setsockopt(v->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss) < 0 ||
        connect(v->fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        setsockopt(v->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0 ||
        write_all(v->fd, (const uint8_t *)request, (size_t)n) < 0)
        die(BENCH_FAILED, "port %d: %s", options.port, strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, v->fd, &e) < 0)
        die(BENCH_FAILED, "epoll: %s", strerror(errno));
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "n:p:u:P:r:b:")) != -1) {
        switch (option) {
        case 'n':
            options.viewers = number(option, optarg, 1, VIEWERS_MAX);
            break;
        case 'p':
            options.port = number(option, optarg, 1, 65535);
            break;
        case 'u':
            options.path = optarg;
            break;
        case 'P':
            if (options.servers == SERVERS_MAX)
                die(BENCH_USAGE, "-P: more than %d", SERVERS_MAX);
            options.server[options.servers++] = number(option, optarg, 1, 1 << 30);
            break;
        case 'r':
            options.rate = number(option, optarg, 1, 1000);
            break;
        case 'b':
            options.bytes = number(option, optarg, 1, 86400);
            break;
        default:
            exit(BENCH_USAGE);
        }
    }
    if (optind != argc)
        die(BENCH_USAGE, "%s: not an option", argv[optind]);
}

int main(int argc, char **argv)
{
    struct sigaction act = {.sa_handler = on_signal};
    struct rlimit files;
    parse(argc, argv);
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    viewers = calloc((size_t)options.viewers, sizeof *viewers);
    if (poller < 0 || !viewers)
        die(BENCH_FAILED, "start: %s", strerror(errno));
    for (int i = 0; i < options.viewers; i++)
        join(&viewers[i]);
    if (options.bytes)
        watch_bytes();
    else
        watch_turns();
    int alive = 0;
    for (int i = 0; i < options.viewers; i++)
        alive += viewers[i].fd >= 0 && (options.bytes || viewers[i].sequence);
    printf("viewers=%d alive=%d gaps=%llu\n", options.viewers, alive, (unsigned long long)gaps);
    return alive == options.viewers ? 0 : BENCH_FAILED;
}
