/* Sending live video: one call per viewer and fragment, the head of it with this viewer's times.
 * The picture comes straight from the ring; or, where it is small, from a copy with room for the
 * head in front of it, since one piece costs less to send than two. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "mux/box.h"
#include "mux/boxread.h"
#include "serve/delivery.h"
#include "serve/server.h"

enum {
    KEY_AGE_S = 2, /* a newest keyframe this old is not waited on: another is asked for */
    BOX_HEAD = 8,  /* bytes */
    IOV_UNIT = 3,
    LIVE_INIT_MAX = RING_INIT_BYTES + 64,
    ANSWER_HEAD_MAX = 512,
    VIEWER_BYTES_MAX = 1024
};

static_assert(sizeof(struct conn) <= VIEWER_BYTES_MAX, "all the memory a viewer takes");

/* A fragment as it is sent: the head one viewer's own, and behind it, where there is room, the
 * picture all of them get. */
static uint8_t scratch[FRAG_HEAD_MAX + 1];
static const struct camera *scratch_camera; /* whose fragment is in it; NULL: none */
static uint64_t scratch_pos;
static uint8_t init_scratch[LIVE_INIT_MAX];
static const uint8_t zeros[(2 + ELASTIC_KNOCK_BLOCKS) * ELASTIC_PAD_BYTES];

/* The fragment's head as this viewer gets it. What lies in front of the moof stays out. there: as
 * another got it; then it may be that nothing in it is needed for this one's. */
static size_t bent_head(struct conn *c, int there)
{
    const struct ring_frag *f = &c->step.frag;
    size_t len = (size_t)f->payload_at - f->moof_at;
    uint8_t *head = scratch; /* offsets count from the fragment's first byte */
    if (!there || f->duration_n != 1 || f->offset_n)
        memcpy(head + f->moof_at, ring_data(&c->camera->ring, f) + f->moof_at, len);
    bend_head(&c->bend, head, &c->step);
    return len;
}

static unsigned fragment_iov(struct conn *c, struct iovec *iov)
{
    const struct ring_frag *f = &c->step.frag;
    uint8_t *data = (uint8_t *)(uintptr_t)ring_data(&c->camera->ring, f);
    if (c->kind == VIEW_RAW) {
        iov[0] = (struct iovec){data, f->size};
        return 1;
    }
    int there = scratch_camera == c->camera && scratch_pos == f->pos;
    scratch_camera = c->camera;
    scratch_pos = f->pos;
    iov[0] = (struct iovec){scratch + f->moof_at, bent_head(c, there)};
    iov[1] = (struct iovec){data + f->payload_at, f->size - f->payload_at};
    if (f->size > sizeof scratch)
        return 2;
    if (!there)
        memcpy(scratch + f->payload_at, iov[1].iov_base, iov[1].iov_len);
    iov[0].iov_len += iov[1].iov_len;
    return 1;
}

static unsigned pad_iov(const struct conn *c, struct iovec *iov)
{
    static uint8_t head[8];
    put_u32(head, c->pad);
    memcpy(head + 4, "free", 4);
    iov[0] = (struct iovec){head, sizeof head};
    iov[1] = (struct iovec){(uint8_t *)(uintptr_t)zeros, c->pad - sizeof head};
    return 2;
}

static size_t answer_head(const struct conn *c, char *out, size_t cap, size_t init_size)
{
    const struct ring_frag *f = &c->step.frag;
    size_t length = init_size + f->size - f->moof_at;
    int n = snprintf(out, cap,
                     "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nCache-Control: no-store\r\n"
                     "Access-Control-Allow-Origin: *\r\n");
    if (c->kind == VIEW_STILL) /* the only one with an end */
        n += snprintf(out + n, cap - (size_t)n, "Content-Length: %zu\r\n", length);
    n += snprintf(out + n, cap - (size_t)n, "X-Accel-Buffering: no\r\nConnection: %s\r\n\r\n",
                  c->keep_alive ? "keep-alive" : "close");
    return (size_t)n;
}

/* The init segment, behind the answer's head when that is due. */
static unsigned init_iov(struct conn *c, struct iovec *iov)
{
    static char head[ANSWER_HEAD_MAX];
    static struct ring_init init;
    unsigned n = 0;
    if (ring_copy_init(&c->camera->ring, c->epoch, &init) < 0)
        return 0;
    if (c->pending == PENDING_HEAD) {
        c->answer_head = (uint32_t)answer_head(c, head, sizeof head, init.size);
        iov[n++] = (struct iovec){head, c->answer_head};
    }
    if (c->head_only)
        return n;
    iov[n] = (struct iovec){init.bytes, init.size};
    if (c->kind == VIEW_STREAM) {
        size_t len = init_make_endless(init_scratch, sizeof init_scratch, init.bytes, init.size);
        iov[n] = (struct iovec){init_scratch, len};
        if (!len)
            return 0;
    }
    return n + 1;
}

static unsigned pending_iov(struct conn *c, struct iovec *iov)
{
    switch (c->pending) {
    case PENDING_FRAG:
        return fragment_iov(c, iov);
    case PENDING_PAD:
        return pad_iov(c, iov);
    default:
        return init_iov(c, iov);
    }
}

/* How long ago this fragment was published: the newest one's time is known, and how far in front of
 * it this one is. */
static int64_t lateness(const struct conn *c)
{
    const struct ring *r = &c->camera->ring;
    const struct ring_frag *f = &c->step.frag;
    struct ring_frag newest;
    uint64_t head = ring_head(r), next = c->kind == VIEW_STREAM ? c->elastic.next : c->next;
    int64_t since = now_us() - atomic_load_explicit(&r->header->published, memory_order_relaxed);
    if (next == head) /* it is the newest, as nearly all are */
        return since;
    const struct ring_init *init = ring_init_of(r, f->epoch);
    if (!init || ring_get(r, head - 1, &newest) < 0 || newest.dts < f->dts)
        return since;
    uint64_t ahead = newest.dts + newest.duration - f->dts - f->duration;
    return since + (int64_t)(ahead * 1000000 /
                             atomic_load_explicit(&init->timescale, memory_order_relaxed));
}

/* One piece costs less by send() than by sendmsg(): of a picture of 16 kB a twentieth of it all. */
static ssize_t send_pieces(int fd, struct iovec *iov, unsigned n)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
    return n == 1 ? send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                  : sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Sends what is pending. 1 done, 0 the kernel is full, -1 this connection is at its end. */
static int send_pending(struct server *s, struct conn *c, int64_t now)
{
    struct iovec iov[IOV_UNIT];
    unsigned n = pending_iov(c, iov);
    if (!n)
        return -1;
    size_t skip = c->sent, left = 0;
    unsigned first = 0;
    while (first < n && skip >= iov[first].iov_len)
        skip -= iov[first++].iov_len;
    if (first < n) {
        iov[first].iov_base = (uint8_t *)iov[first].iov_base + skip;
        iov[first].iov_len -= skip;
    }
    for (unsigned i = first; i < n; i++)
        left += iov[i].iov_len;
    ssize_t w = send_pieces(c->fd, iov + first, n - first);
    if (w < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    /* What was overwritten while the kernel copied it is not the stream any more. */
    if (c->pending == PENDING_FRAG && !ring_whole(&c->camera->ring, &c->step.frag)) {
        c->why = CLOSE_LAPPED;
        return -1;
    }
    c->since = now;
    c->sent += (size_t)w;
    c->body += (size_t)w;
    counts_of(s, c->camera)->sent_bytes += (size_t)w;
    if (c->pending == PENDING_FRAG && (size_t)w == left)
        count_delay(counts_of(s, c->camera), lateness(c));
    return (size_t)w == left;
}

static void set_pending(struct conn *c, enum pending what)
{
    c->pending = what;
    c->sent = 0;
}

/* The length of a padding that ends the body at a whole block, head of the box included. */
static uint32_t pad_length(uint64_t body)
{
    uint32_t left = ELASTIC_PAD_BYTES - (uint32_t)(body % ELASTIC_PAD_BYTES);
    return left < BOX_HEAD ? left + ELASTIC_PAD_BYTES : left;
}

/* stream.mp4. 1 something is pending, 0 wait, -1 the end. */
static int next_elastic(struct server *s, struct conn *c, int64_t now, int64_t *due)
{
    uint32_t jumps = c->elastic.jumps;
    delivery_sent(c);
    int64_t look = delivery_of_history(c, now);
    if (c->joined == SENT && now >= c->elastic.hold) {
        *due = look;
        return 0;
    }
    if (c->elastic.woken)
        look = delivery_of_burst(c, now);
    else if (c->elastic.mode == ELASTIC_LIVE)
        look = delivery_of_live(c, now);
    if (c->stalled) {
        *due = look;
        return 0;
    }
    enum elastic_do what = elastic_next(&c->elastic, &c->camera->ring, now, &c->step, due);
    counts_of(s, c->camera)->jumps += c->elastic.jumps - jumps;
    switch (what) {
    case ELASTIC_SEND:
        set_pending(c, PENDING_FRAG);
        break;
    case ELASTIC_PAD:
        set_pending(c, PENDING_PAD);
        c->pad = pad_length(c->body) + c->elastic.blocks * ELASTIC_PAD_BYTES;
        delivery_knocks(c, now);
        break;
    case ELASTIC_TICK:
        set_pending(c, PENDING_PAD);
        c->pad = BOX_HEAD;
        break;
    case ELASTIC_WAIT:
        *due = look > now && look < *due ? look : *due;
        return 0;
    default:
        return -1;
    }
    return 1;
}

/* raw.mp4: every fragment as it is. One who is nearly lapped goes on at the newest keyframe, which
 * the honest times show as a gap. */
static int next_raw(struct server *s, struct conn *c)
{
    uint64_t head = ring_head(&c->camera->ring);
    if (c->next >= head)
        return 0;
    if (ring_get(&c->camera->ring, c->next, &c->step.frag) < 0 ||
        !ring_safe(&c->camera->ring, &c->step.frag)) {
        int64_t key = ring_last_key(&c->camera->ring);
        if (key <= (int64_t)c->next || ring_get(&c->camera->ring, (uint64_t)key, &c->step.frag) < 0)
            return -1;
        c->next = (uint64_t)key;
        counts_of(s, c->camera)->jumps++;
    }
    if (c->step.frag.epoch != c->epoch) {
        c->epoch = c->step.frag.epoch;
        set_pending(c, PENDING_INIT);
        return 1;
    }
    c->next++;
    set_pending(c, PENDING_FRAG);
    return 1;
}

/* A still is one fragment; when it is out the connection is free for another request. */
static int next_still(struct conn *c)
{
    if (c->step.frag.size == 0 || c->head_only)
        return 0;
    set_pending(c, PENDING_FRAG);
    return 1;
}

/* Nothing is answered until the first keyframe is there, nor with a picture from before a camera
 * fell asleep. */
static int begin(struct conn *c)
{
    struct ring_frag f;
    int64_t key = ring_last_key(&c->camera->ring);
    if (key < (int64_t)c->fresh || ring_get(&c->camera->ring, (uint64_t)key, &f) < 0)
        return 0;
    c->epoch = f.epoch;
    c->next = (uint64_t)key;
    if (c->kind == VIEW_STILL) {
        uint32_t one = f.duration ? f.duration : 1;
        c->step = (struct elastic_step){.frag = f, .tfdt = 0, .duration = one, .sequence = 1};
    }
    set_pending(c, PENDING_HEAD);
    return 1;
}

/* What comes after what was pending. 1 something, 0 wait, -1 the end, 2 a still is complete. */
static int next_pending(struct server *s, struct conn *c, int64_t now, int64_t *due)
{
    enum pending was = c->pending;
    c->pending = PENDING_NONE;
    *due = INT64_MAX;
    if (!c->epoch)
        return begin(c);
    switch (c->kind) {
    case VIEW_STREAM:
        return next_elastic(s, c, now, due);
    case VIEW_RAW:
        return next_raw(s, c);
    default:
        return was == PENDING_HEAD && next_still(c) ? 1 : 2;
    }
}

void viewer_leave(struct server *s, struct conn *c)
{
    uint32_t last = s->viewer[--s->viewers];
    s->viewer[c->viewer] = last;
    s->due[c->viewer] = s->due[s->viewers];
    s->conn[last].viewer = c->viewer;
    if (c->camera->name[0])
        ringfile_leave(&c->camera->file, c->slot);
    c->state = CONN_HEAD;
}

void viewer_pump(struct server *s, struct conn *c, int64_t now)
{
    int64_t *due = &s->due[c->viewer];
    *due = INT64_MAX;
    if (c->pending == PENDING_FRAG && !ring_whole(&c->camera->ring, &c->step.frag)) {
        c->why = CLOSE_LAPPED;
        conn_close(s, c);
        return;
    }
    for (;;) {
        int done = c->pending == PENDING_NONE ? 1 : send_pending(s, c, now);
        if (done < 0)
            break;
        c->blocked = done == 0;
        if (c->blocked) {
            c->full = 1;
            return;
        }
        if (c->pending == PENDING_HEAD)
            c->body = c->sent - c->answer_head;
        int more = next_pending(s, c, now, due);
        if (more == 0)
            return;
        if (more < 0) {
            c->why = CLOSE_LAPPED;
            break;
        }
        if (more == 2) {
            viewer_leave(s, c);
            conn_done(s, c, c->keep_alive);
            return;
        }
    }
    conn_close(s, c);
}

/* Who joins begins with the newest keyframe: one that lies far back is far from live. */
static int key_is_old(const struct ring *r)
{
    struct ring_frag key, newest;
    uint64_t head = ring_head(r);
    int64_t last = ring_last_key(r);
    if (last < 0 || ring_get(r, (uint64_t)last, &key) < 0 || ring_get(r, head - 1, &newest) < 0)
        return 1;
    const struct ring_init *init = ring_init_of(r, key.epoch);
    uint64_t age = newest.dts - key.dts;
    return !init || age / KEY_AGE_S >= init->timescale;
}

void viewer_attach(struct conn *c, int64_t now)
{
    struct camera *camera = c->camera;
    scratch_camera = NULL; /* it may be another ring under the same name */
    c->slot = camera->name[0] && camera->there ? ringfile_join(&camera->file) : -1;
    c->fresh = camera_fresh(camera, now) ? 0 : ring_head(&camera->ring);
    if (c->slot >= 0 && (c->fresh || key_is_old(&camera->ring)))
        ringfile_want_key(&camera->file);
}

void viewer_begin(struct server *s, struct conn *c, const struct http_request *req,
                  struct camera *camera, enum viewer_kind kind)
{
    if (s->viewers == s->max_viewers) {
        s->count.refused++;
        conn_answer(s, c, req, "503 Service Unavailable", "too many viewers");
        return;
    }
    int64_t now = now_us();
    c->kind = kind;
    c->why = CLOSE_CLIENT;
    c->camera = camera;
    viewer_attach(c, now);
    c->state = CONN_VIEWER;
    c->pending = PENDING_NONE;
    c->blocked = 0;
    delivery_begin(c, now);
    c->keep_alive = kind == VIEW_STILL && req->keep_alive;
    c->head_only = kind == VIEW_STILL && req->method == HTTP_HEAD;
    c->epoch = 0;
    c->body = 0;
    memset(&c->bend, 0, sizeof c->bend);
    c->since = now;
    c->viewer = s->viewers;
    s->viewer[s->viewers++] = (uint32_t)(c - s->conn);
    counts_of(s, camera)->joins[kind]++;
    elastic_init(&c->elastic, now, req->firefox, req->chrome && !req->firefox);
    viewer_pump(s, c, now);
}
