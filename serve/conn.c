/* A connection up to the point where it is known what it wants: accept, peek at the head, answer
 * what is short. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/proxy.h"
#include "serve/server.h"

enum {
    ANSWER_MAX = 512,
    ANSWER_HEAD_MAX = ANSWER_MAX + ANSWER_EXTRA_MAX,
    LINGER_READS = 16, /* in a row, so that one who pours does not hold the others up */
    LINGER_BYTES = 1 << 20,
    KEEPALIVE_PROBES = 3,
};

static const uint32_t wanted_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

static char head[LIMIT_HEAD];

int conn_is_loopback(const struct in6_addr *a)
{
    static const uint8_t mapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    return IN6_IS_ADDR_LOOPBACK(a) || memcmp(a, mapped, sizeof mapped) == 0;
}

/* How many times over its limit an address would be with one more connection: 0 is within it. */
static unsigned too_many_from(const struct server *s, const struct in6_addr *addr)
{
    unsigned limit = s->per_address ? s->per_address : LIMIT_PER_ADDRESS, n = 0;
    if (!s->per_address && conn_is_loopback(addr))
        return 0;
    for (unsigned i = 0; i < s->conns; i++)
        n += s->conn[i].state != CONN_FREE && memcmp(&s->conn[i].addr, addr, sizeof *addr) == 0;
    return n / limit;
}

/* Without a place for it: what the client sends after this may cost it the answer. */
static void turn_away(struct server *s, int fd, const struct in6_addr *addr, const char *line)
{
    char text[ANSWER_MAX];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %zu\r\nRetry-After: 5\r\nConnection: close\r\n\r\n%s\n",
                     strlen(line) + 1, line);
    s->count.refused++;
    if (send(fd, text, (size_t)n, MSG_NOSIGNAL) == n)
        shutdown(fd, SHUT_WR);
    access_refused(s, addr);
    recv(fd, NULL, LINGER_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    close(fd);
}

static struct conn *free_conn(struct server *s)
{
    for (unsigned i = 0; i < s->conns; i++)
        if (s->conn[i].state == CONN_FREE)
            return &s->conn[i];
    return NULL;
}

/* Towards a front end nothing is gained by a large buffer, and what is in it is late for its
 * client. A viewer far away needs one that the kernel fits to his network. */
static void set_options(int fd, int proxied)
{
    const int one = 1, unsent = LIMIT_UNSENT, idle = LIMIT_GONE_S / 2, probes = KEEPALIVE_PROBES;
    const int interval = LIMIT_GONE_S / 2 / KEEPALIVE_PROBES;
    const int hop = LIMIT_HOP;
    if (proxied)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &hop, sizeof hop);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static const char too_many[] = "too many connections from this address";

/* One who is over the limit of its address is answered properly, up to as many again. Behind a
 * front end the address comes with the PROXY line: until then it is nobody's. */
static void set_up(struct server *s, int fd, const struct in6_addr *addr, int proxied)
{
    struct conn *c = s->open < s->conns ? free_conn(s) : NULL;
    unsigned over = proxied ? 0 : too_many_from(s, addr);
    if (!c || over > 1) {
        turn_away(s, fd, proxied ? NULL : addr, c ? too_many : "too many connections");
        return;
    }
    set_options(fd, proxied);
    uint32_t generation = c->generation + 1;
    memset(c, 0, sizeof *c);
    c->generation = generation;
    c->fd = fd;
    c->addr = proxied ? in6addr_any : *addr;
    c->proxied = proxied;
    c->state = proxied ? CONN_PROXY : CONN_HEAD;
    c->since = now_us();
    s->open++;
    struct epoll_event ev = {.events = wanted_events, .data.ptr = c};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        conn_close(s, c);
    } else if (over) {
        s->count.refused++;
        conn_answer(s, c, NULL, "503 Service Unavailable", too_many);
    }
}

void conn_accept(struct server *s, const struct listener *listener)
{
    for (int i = 0; i < LIMIT_ACCEPTS; i++) {
        struct sockaddr_storage from;
        struct in6_addr addr;
        uint16_t port;
        socklen_t len = sizeof from;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            s->deaf |= errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            return;
        }
        relay_end(&from, &addr, &port);
        s->count.connections++;
        set_up(s, fd, &addr, listener->proxied);
    }
}

void conn_close(struct server *s, struct conn *c)
{
    if (c->state == CONN_VIEWER && c->kind != VIEW_STILL)
        counts_of(s, c->camera)->closes[c->why]++;
    access_closed(s, c);
    if (c->state == CONN_VIEWER)
        viewer_leave(s, c);
    else if (c->state == CONN_WAIT)
        s->waiting--;
    /* close() alone would leave it watched for as long as a child that is being started, or is
     * given this connection, has a copy; and its events would be taken for those of the next one
     * here. */
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    c->state = CONN_FREE;
    s->open--;
}

/* Throws away what comes, and closes when nothing more will. */
static void linger(struct server *s, struct conn *c)
{
    ssize_t n = 1;
    for (int i = 0; i < LINGER_READS && n > 0; i++)
        n = recv(c->fd, NULL, LINGER_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_close(s, c);
}

/* Ends so that the answer arrives: bytes that the client sent and nobody read would turn a close
 * into a reset, and the client might never see what was said. */
static void finish(struct server *s, struct conn *c)
{
    shutdown(c->fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->since = now_us();
    linger(s, c);
}

/* Closes on one who takes nothing: the kernel need not keep what it never will. */
static void cut_off(struct server *s, struct conn *c)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    conn_close(s, c);
}

void conn_again(struct server *s, struct conn *c)
{
    struct epoll_event ev = {.events = wanted_events, .data.ptr = c};
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
        conn_close(s, c);
}

void conn_done(struct server *s, struct conn *c, int keep_alive)
{
    access_complete(s, c);
    if (!keep_alive) {
        finish(s, c);
        return;
    }
    c->state = CONN_HEAD;
    c->since = now_us();
    conn_again(s, c); /* a pipelined request is in the socket already */
}

static int keeps_alive(const struct http_request *req)
{
    return req && req->keep_alive && !req->has_body;
}

/* Returns its length, or -1 when it does not fit. */
static int write_head(char top[ANSWER_HEAD_MAX], const struct http_request *req,
                      const struct answer *a, const size_t *len)
{
    char length[64] = "";
    if (len)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", *len);
    int n = snprintf(top, ANSWER_HEAD_MAX,
                     "HTTP/1.1 %s\r\n%s%s%s%s"
                     "Cache-Control: %s\r\n%sConnection: %s\r\n\r\n",
                     a->status, a->type ? "Content-Type: " : "", a->type ? a->type : "",
                     a->type ? "\r\n" : "", length, a->cache ? a->cache : "no-store",
                     a->extra ? a->extra : "", keeps_alive(req) ? "keep-alive" : "close");
    return n < ANSWER_HEAD_MAX ? n : -1;
}

int conn_send_head(struct server *s, struct conn *c, const struct http_request *req,
                   const struct answer *answer, size_t len)
{
    char top[ANSWER_HEAD_MAX];
    int n = write_head(top, req, answer, &len), is_head = req->method == HTTP_HEAD;
    if (n > 0 && send(c->fd, top, (size_t)n, MSG_NOSIGNAL | (is_head ? 0 : MSG_MORE)) == n) {
        access_begun(s, c, answer->status, is_head ? 0 : len);
        return 0;
    }
    conn_close(s, c);
    return -1;
}

/* It goes into the socket at once or not at all: a client that leaves no room for it has had its
 * chance. */
void conn_send(struct server *s, struct conn *c, const struct http_request *req,
               const struct answer *answer, const char *text, size_t len)
{
    char top[ANSWER_HEAD_MAX];
    int keep = keeps_alive(req), n = write_head(top, req, answer, text ? &len : NULL);
    if (n < 0) {
        conn_close(s, c);
        return;
    }
    int body = !(req && req->method == HTTP_HEAD);
    struct iovec iov[2] = {{top, (size_t)n}, {(char *)(uintptr_t)text, body ? len : 0}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t w = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    if (w > 0)
        access_answered(s, c, answer->status, w > n ? (size_t)(w - n) : 0);
    if (w != (ssize_t)(iov[0].iov_len + iov[1].iov_len))
        conn_close(s, c);
    else
        conn_done(s, c, keep);
}

void conn_answer(struct server *s, struct conn *c, const struct http_request *req,
                 const char *status, const char *line)
{
    char text[ANSWER_MAX];
    int n = snprintf(text, sizeof text, "%s\n", line);
    const char *extra = "";
    if (status[0] == '5')
        extra = "Retry-After: 5\r\n";
    else if (strncmp(status, "429", 3) == 0)
        extra = "Retry-After: 60\r\n";
    else if (strncmp(status, "405", 3) == 0)
        extra = "Allow: GET, HEAD, OPTIONS\r\n";
    else if (strncmp(status, "401", 3) == 0)
        extra = "WWW-Authenticate: Basic realm=\"fmp4streamer\", charset=\"UTF-8\"\r\n";
    const struct answer answer = {.status = status, .type = "text/plain", .extra = extra};
    conn_send(s, c, req, &answer, text, (size_t)n);
}

int conn_consume(struct conn *c, size_t n)
{
    return recv(c->fd, head, n, MSG_DONTWAIT) == (ssize_t)n ? 0 : -1;
}

/* Empty lines in front of a request are nobody's: whoever gets the request must not see them. */
static int drop_empty_lines(int fd, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (p[i] == '\r' || p[i] == '\n'))
        i++;
    return i ? (recv(fd, head, i, MSG_DONTWAIT) == (ssize_t)i ? 1 : -1) : 0;
}

void conn_read(struct server *s, struct conn *c, enum auth_verdict verdict)
{
    struct http_request req;
    ssize_t n = 0;
    int dropped = 1;
    for (int i = 0; i < 2 && dropped > 0; i++) {
        n = recv(c->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            conn_close(s, c);
            return;
        }
        dropped = drop_empty_lines(c->fd, head, (size_t)n);
    }
    int len = dropped ? HTTP_BAD : http_parse(head, (size_t)n, &req);
    if (len > 0)
        request_serve(s, c, &req, (size_t)len, verdict);
    else if (len == HTTP_BAD)
        conn_answer(s, c, NULL, "400 Bad Request", "not a request this server knows");
    else if ((size_t)n == sizeof head)
        conn_answer(s, c, NULL, "431 Request Header Fields Too Large", "request head too long");
    else if (c->peer_done)
        conn_close(s, c);
}

/* What is left of a connection is known of all that is on it. Where a front end has several streams
 * on one (HTTP/2), nothing is known of each. */
static void set_relay(struct server *s, struct conn *c, const struct proxy_ends *ends)
{
    int shared = 0;
    for (unsigned i = 0; i < s->conns; i++) {
        struct conn *other = &s->conn[i];
        if (other == c || other->state == CONN_FREE || !other->relay.client.client_port ||
            memcmp(&other->relay.client, ends, sizeof *ends) != 0)
            continue;
        other->relay.diag = 0;
        shared = 1;
    }
    relay_set(&c->relay, shared ? -1 : s->diag, c->fd, ends);
}

/* The front end has said whose connection it is, or it is none. */
static void read_proxy(struct server *s, struct conn *c)
{
    struct proxy_ends ends = {.client = in6addr_loopback};
    ssize_t n = recv(c->fd, head, PROXY_MAX, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int len = n > 0 ? proxy_parse(head, (size_t)n, &ends) : PROXY_BAD;
    if (len == PROXY_MORE && !c->peer_done)
        return;
    unsigned over = len > 0 ? too_many_from(s, &ends.client) : 0;
    if (len <= 0 || over > 1 || conn_consume(c, (size_t)len) < 0) {
        s->count.refused++;
        conn_close(s, c);
        return;
    }
    c->addr = ends.client;
    set_relay(s, c, &ends);
    c->state = CONN_HEAD;
    if (over) {
        s->count.refused++;
        conn_answer(s, c, NULL, "503 Service Unavailable", too_many);
    } else {
        conn_read(s, c, AUTH_WAIT);
    }
}

void conn_event(struct server *s, struct conn *c, uint32_t events)
{
    if (c->state == CONN_FREE)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_close(s, c);
        return;
    }
    c->peer_done |= (events & EPOLLRDHUP) != 0;
    if (c->state == CONN_PROXY && (events & EPOLLIN)) {
        read_proxy(s, c);
    } else if (c->state == CONN_HEAD && (events & EPOLLIN) && (events & EPOLLOUT)) {
        /* With no room for an answer there is none; when there is, that is an edge, too. */
        conn_read(s, c, AUTH_WAIT);
    } else if (c->state == CONN_LINGER && (events & EPOLLIN)) {
        linger(s, c);
    } else if (c->state == CONN_VIEWER && (events & EPOLLOUT) && c->blocked) {
        c->blocked = 0;
        viewer_pump(s, c, now_us());
    } else if (c->state == CONN_BODY && (events & EPOLLOUT)) {
        hls_pump(s, c, now_us());
    }
}

void conn_sweep(struct server *s)
{
    int64_t now = now_us();
    for (unsigned i = 0; i < s->conns; i++) {
        struct conn *c = &s->conn[i];
        int64_t age = (now - c->since) / 1000;
        if (c->state == CONN_PROXY && age > LIMIT_HEAD_MS) {
            conn_close(s, c);
        } else if (c->state == CONN_HEAD && age > LIMIT_HEAD_MS) {
            int begun = recv(c->fd, head, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
            if (begun)
                conn_answer(s, c, NULL, "408 Request Timeout", "request head took too long");
            else
                conn_close(s, c);
        } else if (c->state == CONN_WAIT && age > LIMIT_SEGMENT_MS) {
            c->waited = 1;
            hls_retry(s, c);
        } else if (((c->state == CONN_VIEWER && (c->blocked || c->stalled)) ||
                    c->state == CONN_BODY) &&
                   age > LIMIT_STUCK_MS) {
            c->why = CLOSE_STUCK;
            cut_off(s, c);
        } else if (c->state == CONN_VIEWER && c->kind == VIEW_STILL && !c->epoch &&
                   age > LIMIT_STILL_MS) {
            viewer_leave(s, c);
            conn_answer(s, c, NULL, "503 Service Unavailable", "no picture has come");
        } else if (c->state == CONN_VIEWER && c->peer_done && age > LIMIT_STUCK_MS) {
            /* Most likely gone; while the source is silent, nothing sent would tell. */
            conn_close(s, c);
        } else if (c->state == CONN_LINGER && age > LIMIT_LINGER_MS) {
            conn_close(s, c);
        }
    }
}
