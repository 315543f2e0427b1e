/* Many viewers of one live stream over loopback, in one epoll loop.
 *
 *   load [-n viewers] [-k slow] [-x kB-per-second] [-s stuck] [-w warm-up] [-t seconds]
 *        [-p port] [-u path] [-P server-pid]
 *
 * After the warm-up it measures for the given seconds. -k more viewers read at the -x rate, -s more
 * read nothing; of these it only says how many are still connected. A gap is a sequence number in
 * mfhd that does not follow the one before. The server's CPU time is that of the one process. One
 * line, and failure (1) when a viewer was refused or lost:
 *
 *   viewers=.. alive=.. bytes=.. fps_min=.. fps_avg=.. gaps=.. cpu_ms=.. cpu_ms_per_client_s=..
 *   rss_kib=.. hindered=.. hindered_alive=.. */
#include "tests/bench/bench.h"
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    VIEWERS_MAX = 20000,
    EVENTS = 256,
    READ_MAX = 256 << 10,
    HEAD_MAX = 1024,
    TICK_MS = 50,             /* how often a slow viewer reads */
    HINDERED_ROOM = 16 << 10, /* the receive buffer of slow and stuck viewers */
    PER_ADDRESS = 4,          /* viewers that share a source address, 127.0.0.2 and up */
};

/* Where in the response a viewer is. The chunk states are for Transfer-Encoding: chunked. */
enum where { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LOST };

struct viewer {
    int fd;
    enum where where;
    char head[HEAD_MAX];
    size_t head_len, chunk_left;
    struct boxes boxes;
    int numbered; /* a sequence number has been seen */
    uint32_t sequence;
    uint64_t bytes, fragments, gaps;
};

static struct {
    int fast, slow, stuck, slow_kb, warm_up, seconds, port, server;
    const char *path;
} options = {
    .fast = 1, .slow_kb = 10, .warm_up = 2, .seconds = 10, .port = 8000, .path = "/stream.mp4"};

static struct viewer *viewers; /* the fast, then the slow, then the stuck */
static int poller;

static void lose(struct viewer *v)
{
    close(v->fd);
    v->where = LOST;
}

static void take_body(struct viewer *v, const uint8_t *p, size_t n)
{
    for (size_t at = 0, used; at < n; at += used) {
        enum box_kind kind = boxes_feed(&v->boxes, p + at, n - at, &used);
        if (kind == BOX_BAD) {
            lose(v);
            return;
        }
        if (kind == BOX_MDAT)
            v->fragments++;
        if (kind != BOX_MOOF)
            continue;
        uint32_t sequence = be32(v->boxes.head + 20);
        v->gaps += v->numbered && sequence != v->sequence + 1;
        v->sequence = sequence;
        v->numbered = 1;
    }
}

/* Returns how many bytes it took; the rest is body. */
static size_t take_head(struct viewer *v, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v->head_len == HEAD_MAX - 1)
            break;
        v->head[v->head_len++] = (char)p[i];
        if (v->head_len < 4 || memcmp(v->head + v->head_len - 4, "\r\n\r\n", 4))
            continue;
        if (!strstr(v->head, " 200 "))
            break;
        v->where = strcasestr(v->head, "\r\nTransfer-Encoding: chunked") ? CHUNK_SIZE : BODY;
        return i + 1;
    }
    if (v->head_len == HEAD_MAX - 1 || memmem(v->head, v->head_len, "\r\n\r\n", 4))
        lose(v);
    return n;
}

static size_t take_chunk_size(struct viewer *v, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit = c && c != '\r' ? strchr(digits, c | 0x20) : NULL;
    if (digit)
        v->chunk_left = v->chunk_left * 16 + (size_t)(digit - digits);
    else if (c == '\n')
        v->where = CHUNK_DATA;
    return 1;
}

static void take(struct viewer *v, const uint8_t *p, size_t n)
{
    size_t used;
    v->bytes += n;
    for (; n && v->where != LOST; p += used, n -= used) {
        used = n;
        if (v->where == HEAD) {
            used = take_head(v, p, n);
        } else if (v->where == BODY) {
            take_body(v, p, n);
        } else if (v->where == CHUNK_SIZE) {
            used = take_chunk_size(v, *p);
        } else if (v->where == CHUNK_DATA) {
            used = n < v->chunk_left ? n : v->chunk_left;
            take_body(v, p, used);
            v->chunk_left -= used;
            if (!v->chunk_left && v->where != LOST)
                v->where = CHUNK_END;
        } else {
            used = 1;
            v->where = *p == '\n' ? CHUNK_SIZE : CHUNK_END;
        }
    }
}

static void read_some(struct viewer *v, size_t most)
{
    static uint8_t buf[READ_MAX];
    ssize_t got = recv(v->fd, buf, most < READ_MAX ? most : READ_MAX, MSG_DONTWAIT);
    if (got > 0)
        take(v, buf, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        lose(v);
}

static void join(struct viewer *v, int index)
{
    char request[512];
    int room = HINDERED_ROOM, hindered = index >= options.fast;
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)index / PER_ADDRESS);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (hindered)
        setsockopt(v->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (v->fd < 0 || bind(v->fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(v->fd, (struct sockaddr *)&a, sizeof a) < 0)
        die(BENCH_FAILED, "connect to port %d: %s", options.port, strerror(errno));
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     options.path);
    if (n >= (int)sizeof request || send(v->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        die(BENCH_FAILED, "request: %s", strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
    if (!hindered && epoll_ctl(poller, EPOLL_CTL_ADD, v->fd, &e) < 0)
        die(BENCH_FAILED, "epoll: %s", strerror(errno));
}

static void run_until(double deadline)
{
    struct epoll_event ready[EVENTS];
    double tick = now();
    for (double t; (t = now()) < deadline;) {
        int n = epoll_wait(poller, ready, EVENTS, TICK_MS);
        for (int i = 0; i < n; i++)
            read_some(ready[i].data.ptr, READ_MAX);
        for (; tick < t; tick += TICK_MS / 1e3) {
            for (int i = options.fast; i < options.fast + options.slow; i++) {
                if (viewers[i].where != LOST)
                    read_some(&viewers[i], (size_t)options.slow_kb * TICK_MS);
            }
        }
    }
}

/* Milliseconds; 0 when no server was named. */
static double server_cpu(void)
{
    clockid_t clock;
    struct timespec t;
    if (!options.server)
        return 0;
    if (clock_getcpuclockid(options.server, &clock) || clock_gettime(clock, &t) < 0)
        die(BENCH_FAILED, "process %d: gone", options.server);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long server_rss_kib(void)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", options.server);
    FILE *f = options.server ? fopen(path, "re") : NULL;
    if (f) {
        if (fscanf(f, "%*s %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* How many of the slow and stuck viewers are still connected. The end of a connection only shows
 * behind the bytes that were on their way before it, so all of them read freely for a second. */
static int count_hindered(void)
{
    int alive = 0, all = options.fast + options.slow + options.stuck;
    if (all == options.fast)
        return 0;
    for (double until = now() + 1; now() < until; usleep(1000)) {
        for (int i = options.fast; i < all; i++) {
            if (viewers[i].where != LOST)
                read_some(&viewers[i], READ_MAX);
        }
    }
    for (int i = options.fast; i < all; i++)
        alive += viewers[i].where != LOST;
    return alive;
}

/* Returns the number of fast viewers that were served to the end. */
static int report(double seconds, double cpu)
{
    int alive = 0;
    uint64_t bytes = 0, gaps = 0, fragments = 0, least = UINT64_MAX;
    for (int i = 0; i < options.fast; i++) {
        const struct viewer *v = &viewers[i];
        alive += v->where != LOST && v->where != HEAD;
        bytes += v->bytes;
        gaps += v->gaps;
        fragments += v->fragments;
        least = v->fragments < least ? v->fragments : least;
    }
    printf("viewers=%d alive=%d bytes=%llu fps_min=%.2f fps_avg=%.2f gaps=%llu cpu_ms=%.1f "
           "cpu_ms_per_client_s=%.4f rss_kib=%ld hindered=%d hindered_alive=%d\n",
           options.fast, alive, (unsigned long long)bytes, (double)least / seconds,
           (double)fragments / seconds / options.fast, (unsigned long long)gaps, cpu,
           cpu / seconds / options.fast, server_rss_kib(), options.slow + options.stuck,
           count_hindered());
    return alive;
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "n:k:x:s:w:t:p:u:P:")) != -1) {
        switch (option) {
        case 'n':
            options.fast = number(option, optarg, 1, VIEWERS_MAX);
            break;
        case 'k':
            options.slow = number(option, optarg, 0, VIEWERS_MAX);
            break;
        case 'x':
            options.slow_kb = number(option, optarg, 1, 1000000);
            break;
        case 's':
            options.stuck = number(option, optarg, 0, VIEWERS_MAX);
            break;
        case 'w':
            options.warm_up = number(option, optarg, 0, 86400);
            break;
        case 't':
            options.seconds = number(option, optarg, 1, 86400);
            break;
        case 'p':
            options.port = number(option, optarg, 1, 65535);
            break;
        case 'P':
            options.server = number(option, optarg, 1, 1 << 30);
            break;
        case 'u':
            options.path = optarg;
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
    parse(argc, argv);
    int all = options.fast + options.slow + options.stuck;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    viewers = calloc((size_t)all, sizeof *viewers);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!viewers || poller < 0)
        die(BENCH_FAILED, "start: %s", strerror(errno));
    for (int i = 0; i < all; i++)
        join(&viewers[i], i);
    run_until(now() + options.warm_up);
    for (int i = 0; i < all; i++)
        viewers[i].bytes = viewers[i].fragments = viewers[i].gaps = 0;
    double cpu = server_cpu(), start = now();
    run_until(start + options.seconds);
    cpu = server_cpu() - cpu;
    return report(now() - start, cpu) == options.fast ? 0 : BENCH_FAILED;
}
