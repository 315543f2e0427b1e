/* What HLS clients ask for: playlists out of memory, segments straight from the ring. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "serve/server.h"

#define PLAYLIST_TYPE "application/vnd.apple.mpegurl"
#define MEDIA_TYPE    "video/mp4"
#define ALL_MAY_READ  "Access-Control-Allow-Origin: *\r\n"

enum {
    IOV_RUNS = 4,         /* pieces of the ring in one go: one, and one more where it goes around */
    TURN_MAX = 256 << 10, /* bytes of them, and of a turn: others wait meanwhile */
    FIELDS_MAX = 192,
    CACHE_MASTER_S = 10,
    CACHE_LIVE_S = 1,      /* shorter than any way from one version to the next */
    CACHE_ALIAS_S = 60,    /* of what is the first camera's: which one that is may change */
    CACHE_MEDIA_S = 86400, /* a name never means anything else; this is how long it is of use */
};

static struct hls *hls_of(struct server *s, const struct camera *camera)
{
    return &s->hls[camera - s->camera];
}

/* Where passwords are asked for, what was said to one is not for others. */
static const char *cache_for(const struct server *s, unsigned seconds, int for_ever)
{
    static char text[64];
    snprintf(text, sizeof text, "%s, max-age=%u%s", s->auth ? "private" : "public", seconds,
             for_ever ? ", immutable" : "");
    return text;
}

static int is_there(const struct hls *h, const struct camera *camera, enum hls_what what,
                    uint64_t seen)
{
    switch (what) {
    case HLS_MASTER:
        return h->length || ring_last_key(&camera->ring) >= 0;
    case HLS_LIVE:
        return h->length && hls_newest(h) != seen;
    default:
        return 1;
    }
}

int hls_ready(struct server *s, struct conn *c, struct camera *camera, enum hls_what what,
              uint64_t number)
{
    int64_t now = now_us();
    struct hls *h = hls_of(s, camera);
    hls_touch(h, camera, now);
    c->seen = what == HLS_LIVE ? hls_seen(h, number) : 0;
    if (is_there(h, camera, what, c->seen) || c->waited)
        return 1;
    c->state = CONN_WAIT;
    c->wants = what;
    c->since = now;
    c->camera = camera;
    s->waiting++;
    return 0;
}

void hls_retry(struct server *s, struct conn *c)
{
    s->waiting--;
    c->state = CONN_HEAD;
    c->since = now_us();
    conn_read(s, c, AUTH_ALLOWED);
}

/* Those who wait for what is there now. */
static void wake(struct server *s, const struct hls *h, const struct camera *camera)
{
    for (unsigned i = 0; i < s->conns && s->waiting; i++) {
        struct conn *c = &s->conn[i];
        if (c->state == CONN_WAIT && c->camera == camera && is_there(h, camera, c->wants, c->seen))
            hls_retry(s, c);
    }
}

void hls_news(struct server *s, struct camera *camera, int64_t now)
{
    struct hls *h = hls_of(s, camera);
    hls_update(h, camera, now);
    if (s->waiting)
        wake(s, h, camera);
}

int64_t hls_tick(struct server *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < s->cameras; i++) {
        if (hls_due(&s->hls[i]) <= now)
            hls_news(s, &s->camera[i], now);
        int64_t due = hls_due(&s->hls[i]);
        next = due < next ? due : next;
    }
    return next;
}

void hls_leave(struct server *s, struct camera *camera)
{
    for (unsigned i = 0; i < s->conns; i++)
        if (s->conn[i].state == CONN_BODY && s->conn[i].camera == camera)
            conn_close(s, &s->conn[i]);
    hls_reset(hls_of(s, camera));
}

void hls_arrive(struct server *s, struct camera *camera)
{
    struct hls *h = hls_of(s, camera);
    if (h->asked && camera->there)
        hls_touch(h, camera, h->asked);
}

static void serve_text(struct server *s, struct conn *c, const struct http_request *req,
                       const char *text, size_t len, unsigned cache_s)
{
    const struct answer answer = {.status = "200 OK",
                                  .type = PLAYLIST_TYPE,
                                  .cache = cache_s ? cache_for(s, cache_s, 0) : NULL,
                                  .extra = ALL_MAY_READ};
    if (len)
        conn_send(s, c, req, &answer, text, len);
    else
        conn_answer(s, c, req, "503 Service Unavailable", "no segment has come");
}

/* What is asked for of `size` bytes (RFC 9110 14.2). Returns 0: all of it; 1: a part; -1: nothing
 * that is there. */
static int find_range(const struct http_request *req, uint64_t size, uint64_t *from, uint64_t *n)
{
    uint64_t last = req->last < size ? req->last : size - 1;
    *from = 0;
    *n = size;
    if (!req->has_range || req->method != HTTP_GET)
        return 0;
    if (req->suffix) {
        *n = req->first < size ? req->first : size;
        *from = size - *n;
        return *n ? 1 : -1;
    }
    if (req->first > last)
        return -1;
    *from = req->first;
    *n = last - req->first + 1;
    return 1;
}

/* /NAME/..., not the first camera by its place. */
static int is_named(const struct http_request *req, const struct camera *camera)
{
    size_t n = strlen(camera->name);
    return n && strncmp(req->path + 1, camera->name, n) == 0 && req->path[n + 1] == '/';
}

/* The head for the whole or a part of `size` bytes. Returns 0, or -1 when there is nothing to be
 * sent behind it. */
static int begin_media(struct server *s, struct conn *c, const struct http_request *req,
                       const struct camera *camera, uint64_t size, uint64_t *from, uint64_t *n)
{
    int named = !camera->name[0] || is_named(req, camera);
    char fields[FIELDS_MAX];
    int range = find_range(req, size, from, n);
    struct answer answer = {.type = MEDIA_TYPE, .extra = fields};
    if (range < 0) {
        static const char text[] = "it is shorter than that\n";
        snprintf(fields, sizeof fields, ALL_MAY_READ "Content-Range: bytes */%" PRIu64 "\r\n",
                 size);
        answer.status = "416 Range Not Satisfiable";
        answer.type = "text/plain";
        conn_send(s, c, req, &answer, text, sizeof text - 1);
        return -1;
    }
    answer.status = range ? "206 Partial Content" : "200 OK";
    answer.cache = named ? cache_for(s, CACHE_MEDIA_S, 1) : cache_for(s, CACHE_ALIAS_S, 0);
    int k = snprintf(fields, sizeof fields, ALL_MAY_READ "Accept-Ranges: bytes\r\n");
    if (range)
        snprintf(fields + k, sizeof fields - (size_t)k,
                 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", *from,
                 *from + *n - 1, size);
    if (conn_send_head(s, c, req, &answer, (size_t)*n) < 0)
        return -1;
    c->keep_alive = req->keep_alive;
    if (req->method != HTTP_HEAD)
        return 0;
    conn_done(s, c, c->keep_alive);
    return -1;
}

static void serve_init(struct server *s, struct conn *c, const struct http_request *req,
                       const struct camera *camera, uint64_t number)
{
    static struct ring_init init;
    uint64_t from, n;
    if (number > UINT32_MAX || ring_copy_init(&camera->ring, (uint32_t)number, &init) < 0) {
        conn_answer(s, c, req, "404 Not Found", "no such init segment");
        return;
    }
    if (begin_media(s, c, req, camera, init.size, &from, &n) < 0)
        return;
    if (send(c->fd, init.bytes + from, (size_t)n, MSG_NOSIGNAL) == (ssize_t)n)
        conn_done(s, c, c->keep_alive);
    else
        conn_close(s, c);
}

/* Begins at byte `from` of the segment: in which fragment that lies, and where in it. */
static int seek(struct conn *c, const struct ring *r, const struct segment *seg, uint64_t from)
{
    struct ring_frag f;
    for (c->next = seg->first; c->next < seg->end; c->next++) {
        if (ring_get(r, c->next, &f) < 0)
            return -1;
        if (from < f.size) {
            c->sent = (size_t)from;
            return 0;
        }
        from -= f.size;
    }
    return -1;
}

static void serve_segment(struct server *s, struct conn *c, const struct http_request *req,
                          struct camera *camera, uint64_t number)
{
    const struct ring *r = &camera->ring;
    struct segment seg;
    struct ring_frag f;
    uint64_t from, n;
    if (number >= cut_next(r)) {
        conn_answer(s, c, req, "404 Not Found",
                    number == UINT64_MAX ? "no such segment" : "no such segment yet");
    } else if (cut_get(r, number, &seg) < 0 || ring_get(r, seg.first, &f) < 0 ||
               !ring_safe(r, &f)) {
        conn_answer(s, c, req, "404 Not Found", "no such segment any more");
    } else if (begin_media(s, c, req, camera, seg.bytes, &from, &n) == 0) {
        c->camera = camera;
        c->state = CONN_BODY;
        c->since = now_us();
        c->left = n;
        if (seek(c, r, &seg, from) < 0)
            conn_close(s, c);
        else
            hls_pump(s, c, c->since);
    }
}

/* Chromium by itself asks for playlists as for any media, by a range; a script does not. */
static void serve_master(struct server *s, struct conn *c, const struct http_request *req,
                         const struct camera *camera)
{
    static char master[PLAYLIST_MASTER_MAX];
    struct hls *h = hls_of(s, camera);
    uint64_t player = req->chrome && req->has_range ? hls_new_player(h, now_us()) : 0;
    size_t n = hls_master(h, camera, is_named(req, camera), player, master, sizeof master);
    serve_text(s, c, req, master, n, player ? 0 : CACHE_MASTER_S);
}

void hls_serve(struct server *s, struct conn *c, const struct http_request *req,
               struct camera *camera, enum hls_what what, uint64_t number)
{
    struct hls *h = hls_of(s, camera);
    c->waited = 0;
    if (what == HLS_SEGMENT)
        counts_of(s, camera)->segments++;
    else if (what != HLS_INIT)
        counts_of(s, camera)->playlists++;
    switch (what) {
    case HLS_MASTER:
        serve_master(s, c, req, camera);
        break;
    case HLS_LIVE:
        if (number)
            hls_note(h, number);
        serve_text(s, c, req, h->text, h->length, number ? 0 : CACHE_LIVE_S);
        break;
    case HLS_INIT:
        serve_init(s, c, req, camera, number);
        break;
    default:
        serve_segment(s, c, req, camera, number);
    }
}

/* Fragments lie one behind the other, but where the ring goes around: up to TURN_MAX bytes of what
 * is left but the last, in as few pieces as can be. Returns how many, or 0 when they are no more;
 * *oldest is the first fragment. */
static unsigned next_runs(const struct conn *c, struct iovec *iov, struct ring_frag *oldest)
{
    const struct ring *r = &c->camera->ring;
    uint64_t left = c->left - 1, total = 0;
    size_t skip = c->sent;
    unsigned n = 0;
    struct ring_frag f;
    for (uint64_t i = c->next; left && total < TURN_MAX; i++) {
        if (ring_get(r, i, &f) < 0 || skip > f.size) /* whoever wrote it, its size is another now */
            return 0;
        if (i == c->next)
            *oldest = f;
        uint8_t *p = (uint8_t *)(uintptr_t)ring_data(r, &f) + skip;
        size_t bytes = f.size - skip;
        if (bytes > left)
            bytes = (size_t)left;
        if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == p)
            iov[n - 1].iov_len += bytes;
        else if (n < IOV_RUNS)
            iov[n++] = (struct iovec){p, bytes};
        else
            break;
        left -= bytes;
        total += bytes;
        skip = 0;
    }
    return n;
}

/* So many bytes have been sent. */
static void advance(struct conn *c, size_t n)
{
    struct ring_frag f;
    c->left -= n;
    for (n += c->sent; c->left && ring_get(&c->camera->ring, c->next, &f) == 0 && n >= f.size;
         c->next++)
        n -= f.size;
    c->sent = n;
}

/* What was overwritten while the kernel copied it is not the segment any more. Its answer then
 * stays short of a byte, so that no cache takes it for whole: the last one is sent when all in
 * front of it has been found as it should be. */
static ssize_t send_last(const struct conn *c)
{
    struct ring_frag f;
    uint8_t byte;
    if (ring_get(&c->camera->ring, c->next, &f) < 0 || c->sent >= f.size)
        return -1;
    byte = ring_data(&c->camera->ring, &f)[c->sent];
    errno = EIO;
    return ring_whole(&c->camera->ring, &f) ? send(c->fd, &byte, 1, MSG_NOSIGNAL) : -1;
}

static ssize_t send_some(const struct conn *c)
{
    struct iovec iov[IOV_RUNS];
    struct ring_frag oldest = {0};
    struct msghdr msg = {.msg_iov = iov};
    errno = EIO;
    msg.msg_iovlen = next_runs(c, iov, &oldest);
    ssize_t w = msg.msg_iovlen ? sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_MORE) : -1;
    if (w >= 0 && !ring_whole(&c->camera->ring, &oldest)) {
        errno = EIO;
        return -1;
    }
    return w;
}

void hls_pump(struct server *s, struct conn *c, int64_t now)
{
    for (size_t turn = 0; c->left && turn < TURN_MAX;) {
        ssize_t w = c->left == 1 ? send_last(c) : send_some(c);
        if (w < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (w < 0) {
            conn_close(s, c);
            return;
        }
        c->since = now;
        counts_of(s, c->camera)->sent_bytes += (size_t)w;
        advance(c, (size_t)w);
        turn += (size_t)w;
    }
    if (c->left)
        conn_again(s, c);
    else
        conn_done(s, c, c->keep_alive);
}
