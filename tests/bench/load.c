/* Many viewers of one live stream over loopback, in one epoll loop.
 *
 *   load [-n viewers] [-k slow] [-x kB-per-second] [-s stuck] [-w warm-up] [-t seconds]
 *        [-p port] [-u path] [-P server-pid]... [-T | -2]
 *
 * After the warm-up it measures for the given seconds. -k more viewers read at the -x rate, -s more
 * read nothing; of these it only says how many are still connected. A gap is a sequence number in
 * mfhd that does not follow the one before. The server's CPU time is that of the one process. -T is
 * over TLS 1.3, a full handshake for each, of certificates nothing is believed or checked. One
 * line, and failure (1) when a viewer was refused or lost:
 *
 *   viewers=.. alive=.. bytes=.. fps_min=.. fps_avg=.. gaps=.. cpu_ms=.. cpu_ms_per_client_s=..
 *   rss_kib=.. own_cpu_ms=.. hindered=.. hindered_alive=.. */
#include "tests/bench/bench.h"
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    VIEWERS_MAX = 20000,
    EVENTS = 256,
    READ_MAX = 256 << 10,
    HEAD_MAX = 1024,
    SERVERS_MAX = 8,
    TICK_MS = 50,             /* how often a slow viewer reads */
    HINDERED_ROOM = 16 << 10, /* the receive buffer of slow and stuck viewers */
    PATH_MAX_2 = 100,         /* so that lengths are one byte */
    TLS_ROOM = 64 << 10,      /* what one read takes from a socket */
    PER_ADDRESS = 4,          /* viewers that share a source address, 127.0.0.2 and up */
};

/* Where in the response a viewer is. The chunk states are for Transfer-Encoding: chunked, the frame
 * states for HTTP/2. */
enum where { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, FRAME_HEAD, FRAME_BODY, LOST };

/* RFC 9113, 4.1 and 6. */
enum { FRAME_HEAD_BYTES = 9, DATA = 0, HEADERS = 1, SETTINGS = 4, WINDOW_UPDATE = 8 };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };
enum { STATUS_200 = 0x88 /* RFC 7541, appendix A, as the first field */ };

struct viewer {
    int fd;
    SSL *tls;  /* with -T */
    int asked; /* the request is on its way; over TLS not before the handshake */
    int owes;  /* HTTP/2: the server's settings are to be acknowledged */
    enum where where;
    char head[HEAD_MAX];
    size_t head_len, chunk_left; /* chunk: or frame */
    struct boxes boxes;
    int answered; /* HTTP/2: the head has come */
    int numbered; /* a sequence number has been seen */
    uint32_t sequence;
    uint64_t bytes, fragments, gaps;
};

static struct {
    int fast, slow, stuck, slow_kb, warm_up, seconds, port, servers, server[SERVERS_MAX], tls,
        http2;
    const char *path;
} options = {
    .fast = 1, .slow_kb = 10, .warm_up = 2, .seconds = 10, .port = 8000, .path = "/stream.mp4"};

static struct viewer *viewers; /* the fast, then the slow, then the stuck */
static int poller;
static SSL_CTX *secure;
static char request[512];
static int request_len;

static void lose(struct viewer *v)
{
    SSL_free(v->tls);
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

static size_t take_frame_head(struct viewer *v, uint8_t c)
{
    v->head[v->head_len++] = (char)c;
    if (v->head_len < FRAME_HEAD_BYTES)
        return 1;
    const uint8_t *h = (const uint8_t *)v->head;
    v->chunk_left = be32(h) >> 8;
    v->where = v->chunk_left ? FRAME_BODY : FRAME_HEAD;
    v->head_len = 0;
    v->owes |= h[3] == SETTINGS && !(h[4] & ACK);
    if ((h[3] == DATA && h[4] & (PADDED | END_STREAM)) ||
        (h[3] != DATA && h[3] != HEADERS && h[3] != SETTINGS && h[3] != WINDOW_UPDATE))
        lose(v); /* the end, or what no server needs here */
    return 1;
}

static size_t take_frame(struct viewer *v, const uint8_t *p, size_t n)
{
    size_t used = n < v->chunk_left ? n : v->chunk_left;
    v->chunk_left -= used;
    if (v->head[3] == DATA)
        take_body(v, p, used);
    else if (v->head[3] == HEADERS && !v->answered++ && *p != STATUS_200)
        lose(v);
    if (!v->chunk_left && v->where != LOST)
        v->where = FRAME_HEAD;
    return used;
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
        } else if (v->where == FRAME_HEAD) {
            used = take_frame_head(v, *p);
        } else if (v->where == FRAME_BODY) {
            used = take_frame(v, p, n);
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

/* What send() and recv() would have returned. */
static ssize_t as_call(struct viewer *v, int result)
{
    if (result > 0)
        return result;
    int why = SSL_get_error(v->tls, result);
    ERR_clear_error();
    errno = why == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* The first call makes the handshake, too. */
static ssize_t ask(struct viewer *v)
{
    ssize_t sent = v->tls ? as_call(v, SSL_write(v->tls, request, request_len))
                          : send(v->fd, request, (size_t)request_len, MSG_NOSIGNAL);
    v->asked = sent == request_len;
    return sent;
}

static void acknowledge(struct viewer *v)
{
    static const uint8_t frame[FRAME_HEAD_BYTES] = {0, 0, 0, SETTINGS, ACK};
    v->owes = 0;
    if (SSL_write(v->tls, frame, sizeof frame) != sizeof frame)
        lose(v);
}

static ssize_t receive(struct viewer *v, uint8_t *buf, size_t most)
{
    if (!v->asked && ask(v) < 0)
        return -1;
    return v->tls ? as_call(v, SSL_read(v->tls, buf, (int)most))
                  : recv(v->fd, buf, most, MSG_DONTWAIT);
}

static void read_some(struct viewer *v, size_t most)
{
    static uint8_t buf[READ_MAX];
    ssize_t got;
    size_t left = most < READ_MAX ? most : READ_MAX;
    do { /* of TLS a record comes at a time, and what is in its buffer the poller does not see */
        got = receive(v, buf, left);
        if (got > 0) {
            take(v, buf, (size_t)got);
            left -= (size_t)got;
        }
    } while (v->tls && got > 0 && left && v->where != LOST);
    if (v->where != LOST && (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)))
        lose(v);
    if (v->owes && v->where != LOST)
        acknowledge(v);
}

static void join(struct viewer *v, int index)
{
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
    v->where = options.http2 ? FRAME_HEAD : HEAD;
    if (options.tls && (!(v->tls = SSL_new(secure)) || !SSL_set_fd(v->tls, v->fd)))
        die(BENCH_FAILED, "TLS: no memory");
    if (v->tls)
        SSL_set_connect_state(v->tls);
    /* One who will not read has the handshake behind it, the others make theirs side by side. */
    if (v->tls && !hindered)
        fcntl(v->fd, F_SETFL, O_NONBLOCK);
    if (ask(v) < 0 && errno != EAGAIN)
        die(BENCH_FAILED, "request: %s", strerror(errno));
    fcntl(v->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
    if (!hindered && epoll_ctl(poller, EPOLL_CTL_ADD, v->fd, &e) < 0)
        die(BENCH_FAILED, "epoll: %s", strerror(errno));
}

/* The preface, settings and a window without end, then the request (RFC 9113, 3.4; RFC 7541, 6). */
static void write_request2(void)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"
                                "\0\0\4\x8\0\0\0\0\0\x7f\xff\0\0"
                                "\0\0\0\1\5\0\0\0\1\x82\x87\x41\x9localhost\4";
    size_t path = strlen(options.path), fixed = sizeof start - 1;
    size_t fields = fixed - (size_t)((const char *)memmem(start, fixed, "\x82", 1) - start);
    if (path > PATH_MAX_2)
        die(BENCH_USAGE, "-u: too long");
    memcpy(request, start, fixed);
    request[fixed - fields - FRAME_HEAD_BYTES + 2] = (char)(fields + 1 + path);
    request[fixed] = (char)path;
    memcpy(request + fixed + 1, options.path, path);
    request_len = (int)(fixed + 1 + path);
}

static void write_request(void)
{
    if (options.http2) {
        write_request2();
        return;
    }
    request_len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                           options.path);
    if (request_len >= (int)sizeof request)
        die(BENCH_USAGE, "-u: too long");
}

static void set_up(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    secure = SSL_CTX_new(TLS_client_method());
    if (poller < 0 || !secure || !SSL_CTX_set_min_proto_version(secure, TLS1_3_VERSION))
        die(BENCH_FAILED, "start: %s", strerror(errno));
    SSL_CTX_set_session_cache_mode(secure, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(secure, 1);
    SSL_CTX_set_default_read_buffer_len(secure, TLS_ROOM);
    if (options.http2 && SSL_CTX_set_alpn_protos(secure, (const uint8_t *)"\2h2", 3))
        die(BENCH_FAILED, "TLS: no memory");
    write_request();
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

static long server_rss_kib(void)
{
    long sum = 0;
    for (int i = 0; i < options.servers; i++) {
        char path[64];
        long pages = 0;
        snprintf(path, sizeof path, "/proc/%d/statm", options.server[i]);
        FILE *f = fopen(path, "re");
        if (f) {
            if (fscanf(f, "%*s %ld", &pages) == 1)
                sum += pages * (sysconf(_SC_PAGESIZE) / 1024);
            fclose(f);
        }
    }
    return sum;
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
static int report(double seconds, double cpu, double own)
{
    int alive = 0;
    uint64_t bytes = 0, gaps = 0, fragments = 0, least = UINT64_MAX;
    for (int i = 0; i < options.fast; i++) {
        const struct viewer *v = &viewers[i];
        alive += v->where != LOST && v->where != HEAD && v->fragments;
        bytes += v->bytes;
        gaps += v->gaps;
        fragments += v->fragments;
        least = v->fragments < least ? v->fragments : least;
    }
    printf("viewers=%d alive=%d bytes=%llu fps_min=%.2f fps_avg=%.2f gaps=%llu cpu_ms=%.1f "
           "cpu_ms_per_client_s=%.4f rss_kib=%ld own_cpu_ms=%.1f hindered=%d hindered_alive=%d\n",
           options.fast, alive, (unsigned long long)bytes, (double)least / seconds,
           (double)fragments / seconds / options.fast, (unsigned long long)gaps, cpu,
           cpu / seconds / options.fast, server_rss_kib(), own, options.slow + options.stuck,
           count_hindered());
    return alive;
}

static void parse(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "n:k:x:s:w:t:p:u:P:T2")) != -1) {
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
            if (options.servers == SERVERS_MAX)
                die(BENCH_USAGE, "-P: more than %d", SERVERS_MAX);
            options.server[options.servers++] = number(option, optarg, 1, 1 << 30);
            break;
        case 'u':
            options.path = optarg;
            break;
        case '2':
            options.http2 = 1; /* and over TLS */
            options.tls = 1;
            break;
        case 'T':
            options.tls = 1;
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
    set_up();
    viewers = calloc((size_t)all, sizeof *viewers);
    if (!viewers)
        die(BENCH_FAILED, "start: %s", strerror(errno));
    for (int i = 0; i < all; i++)
        join(&viewers[i], i);
    run_until(now() + options.warm_up);
    for (int i = 0; i < all; i++)
        viewers[i].bytes = viewers[i].fragments = viewers[i].gaps = 0;
    double cpu = server_cpu(), own = milliseconds_of(CLOCK_PROCESS_CPUTIME_ID), start = now();
    run_until(start + options.seconds);
    cpu = server_cpu() - cpu;
    own = milliseconds_of(CLOCK_PROCESS_CPUTIME_ID) - own;
    return report(now() - start, cpu, own) == options.fast ? 0 : BENCH_FAILED;
}
