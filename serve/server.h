/* The parts of fanout, each in a file of its own, and what they share. One thread, one epoll loop;
 * all memory is there from the start. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include <netinet/in.h>
#include <stdint.h>
#include <time.h>

#include "serve/access.h"
#include "serve/auth.h"
#include "serve/bend.h"
#include "serve/camera.h"
#include "serve/counts.h"
#include "serve/delivery.h"
#include "serve/elastic.h"
#include "serve/hls.h"
#include "serve/http.h"
#include "serve/limits.h"
#include "serve/relay.h"

enum conn_state {
    CONN_FREE,
    CONN_PROXY,  /* whose connection it is, is awaited from the front end */
    CONN_HEAD,   /* a request head is awaited */
    CONN_AUTH,   /* a whole one waits in the socket while its password is checked */
    CONN_WAIT,   /* a whole one waits in the socket for a playlist that is not there yet */
    CONN_VIEWER, /* being sent stream.mp4, raw.mp4 or still.mp4 */
    CONN_BODY,   /* being sent a segment */
    CONN_LINGER, /* answered for the last time: what it still sends is thrown away */
};

enum hls_what { HLS_MASTER, HLS_LIVE, HLS_INIT, HLS_SEGMENT };

/* What a viewer is in the middle of being sent. It is built anew for every attempt, so that a
 * viewer needs no buffer of its own. */
enum pending {
    PENDING_NONE,
    PENDING_HEAD, /* the answer's head and the init segment */
    PENDING_INIT, /* the init segment of another epoch */
    PENDING_FRAG,
    PENDING_PAD,
};

enum joined { JOINING, SENT, ARRIVED, JOINED };

/* What is looked at for every fragment comes first, as there are many of these, and each line of
 * the cache that is touched costs. */
struct conn {
    int fd;
    enum conn_state state;
    struct camera *camera; /* CONN_WAIT, CONN_VIEWER, CONN_BODY */
    enum viewer_kind kind;
    int blocked; /* the kernel took less than all: wait for EPOLLOUT */
    enum pending pending;
    uint32_t epoch;     /* of the init segment sent last */
    size_t sent;        /* bytes of what is pending */
    uint64_t body;      /* bytes of the body so far */
    int64_t since;      /* us: when the state began, or a viewer last took something */
    uint32_t viewer;    /* place in server.viewer */
    enum joined joined; /* VIEW_STREAM: how far its beginning has come; its paddings, too */
    uint64_t mark;      /* VIEW_STREAM: bytes of the body that are to arrive, */
    int64_t mark_at;    /* since when they are, */
    uint64_t mark_tick; /* and where the timeline was then, or 0; */
    uint64_t before;    /* the same of the mark before, all of which had arrived then */
    uint64_t before_tick;
    int64_t looked; /* when it was last found not to have arrived, */
    uint64_t had;   /* but for so much, */
    int64_t had_at; /* since when */
    /* Whole blocks of the body, and where the timeline was at the end of the last ones, modulo
     * 2^32; and where it was at the end of the last fragment. */
    uint64_t blocks;
    uint32_t block_tick[DELIVERY_BLOCKS];
    uint64_t tick;
    int64_t trip;    /* us: shortest round trip to the client of a front end */
    int full;        /* the socket was, since the mark */
    int64_t late;    /* us the mark before took, at most, as long as all of them are late */
    int64_t stalled; /* us of media the network had not delivered when it stalled, or 0 */
    int64_t lag;     /* us an acknowledgement took beyond DELIVERY_MARK_US lately, at most */
    int64_t waking;  /* the elastic.woken that the mark is of */
    uint64_t next;   /* VIEW_RAW, CONN_BODY: number of the next fragment */
    struct elastic elastic;
    struct elastic_step step;

    uint32_t generation; /* how many there have been in this place */
    int proxied;         /* by way of a TLS front end: */
    struct relay relay;
    struct in6_addr addr;  /* IPv4 mapped; of the client, not of a front end */
    int peer_done;         /* the client has ended its side: nothing more will come from it */
    enum hls_what wants;   /* CONN_WAIT */
    uint64_t seen;         /* CONN_WAIT: HLS_LIVE up to this segment is not what is waited for */
    int waited;            /* for long enough: is answered in any case */
    int slot;              /* of the viewer in a named ring, or -1 */
    enum close_reason why; /* it is closed, should it be */
    int keep_alive;        /* VIEW_STILL: another request may follow */
    int head_only;         /* VIEW_STILL: answer to a HEAD */
    uint32_t pad;          /* bytes of PENDING_PAD */
    uint32_t answer_head;  /* bytes of the answer's head */
    uint64_t left;         /* CONN_BODY: bytes still to be sent */
    uint64_t fresh;        /* nothing older than this fragment is to be shown */
    struct bend bend;
};

struct counters {
    uint64_t connections, requests, refused;
    uint64_t log_dropped; /* lines of the access log that nobody took */
};

struct listener {
    int fd;
    int proxied; /* each connection begins with a PROXY line */
};

struct server {
    int epoll, signals;
    int diag; /* for struct relay, or -1 */
    struct listener listener[LIMIT_LISTENERS];
    unsigned listeners;
    int deaf; /* accepting failed for want of descriptors or memory: not again before the sweep */
    unsigned per_address; /* 0: LIMIT_PER_ADDRESS, loopback exempt */
    unsigned max_viewers;
    unsigned redirect;          /* port of HTTPS that plain requests are sent to; 0: none */
    const char *www[LIMIT_WWW]; /* static files: the first that has one serves it */
    unsigned wwws;
    const char *httpd_conf; /* NULL: none */
    struct auth *auth;      /* NULL: everybody may look */
    struct access *access;  /* NULL: no log */
    struct camera camera[LIMIT_CAMERAS];
    struct hls hls[LIMIT_CAMERAS]; /* of each */
    struct counts counts[LIMIT_CAMERAS];
    unsigned cameras;
    struct conn *conn; /* [conns] */
    unsigned conns, open;
    uint32_t viewer[LIMIT_VIEWERS]; /* indexes of those in CONN_VIEWER */
    int64_t due[LIMIT_VIEWERS]; /* us: when to look at each without a new fragment, or INT64_MAX */
    unsigned viewers;
    unsigned waiting; /* how many are in CONN_WAIT */
    unsigned children;
    struct child {
        pid_t pid;
        struct in6_addr addr;
    } child[LIMIT_CHILDREN]; /* [children] */
    int64_t started;         /* us */
    struct counters count;
};

/* CLOCK_MONOTONIC in microseconds. */
static inline int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* conn.c */
int conn_is_loopback(const struct in6_addr *addr);
void conn_accept(struct server *s, const struct listener *from);
void conn_close(struct server *s, struct conn *c);
void conn_event(struct server *s, struct conn *c, uint32_t events);
/* Closes whoever has been stuck for too long. */
void conn_sweep(struct server *s);
/* The head of an answer. */
struct answer {
    const char *status; /* "404 Not Found" */
    const char *type;   /* NULL: it has no body */
    const char *cache;  /* for Cache-Control; NULL: not to be kept */
    const char *extra;  /* further header fields, each with its line end, or NULL */
};
/* Answers with a status, one line of text, and goes on or closes. status: "404 Not Found". */
void conn_answer(struct server *s, struct conn *c, const struct http_request *req,
                 const char *status, const char *line);
/* The same with any head, of which `extra` is shorter than ANSWER_EXTRA_MAX. Without a text: the
 * head of an answer that has no length. */
enum { ANSWER_EXTRA_MAX = 2048 };
void conn_send(struct server *s, struct conn *c, const struct http_request *req,
               const struct answer *answer, const char *text, size_t len);
/* Sends the head of an answer of `len` bytes, which the caller sends then. Returns 0, or -1: the
 * connection is closed. */
int conn_send_head(struct server *s, struct conn *c, const struct http_request *req,
                   const struct answer *answer, size_t len);
/* Takes exactly the head out of the socket, so that what is behind it stays for whoever is next.
 * Returns 0 or -1. */
int conn_consume(struct conn *c, size_t n);
/* Looks at the head of the next request and serves it when it is whole. verdict: AUTH_WAIT when it
 * is yet to be asked whether it may; else the answer to that. */
void conn_read(struct server *s, struct conn *c, enum auth_verdict verdict);
/* What there is to do on this connection without any edge is looked for again in a moment. The
 * connection may be closed afterwards. */
void conn_again(struct server *s, struct conn *c);
/* The answer is complete: waits for the next request, or closes once the client has it. */
void conn_done(struct server *s, struct conn *c, int keep_alive);

/* request.c */
void request_serve(struct server *s, struct conn *c, const struct http_request *req, size_t len,
                   enum auth_verdict verdict);
/* Goes on with requests whose passwords have been checked; denied: is told of those that are wrong.
 */
void request_take_answers(struct server *s, void (*denied)(const struct conn *c));

/* hlsserve.c: what HLS clients ask for. */
/* Returns 0 when the request is to wait in the socket, since what it asks for is yet to come.
 * number: of the init segment or the segment; of HLS_LIVE whose own it is, or 0. */
int hls_ready(struct server *s, struct conn *c, struct camera *camera, enum hls_what what,
              uint64_t number);
/* Answers it; the head is out of the socket. */
void hls_serve(struct server *s, struct conn *c, const struct http_request *req,
               struct camera *camera, enum hls_what what, uint64_t number);
/* Publishes playlists whose next version may be out. Returns when another may be, or INT64_MAX. */
int64_t hls_tick(struct server *s, int64_t now);
/* Looks again at a request that waits. */
void hls_retry(struct server *s, struct conn *c);
/* Looks for what is new in this camera's ring, or due, and goes on with who waits for it. */
void hls_news(struct server *s, struct camera *camera, int64_t now);
/* The ring of this camera is about to go: so do those who are being sent something of it. */
void hls_leave(struct server *s, struct camera *camera);
/* There is a ring now: who waits for it counts as a viewer. */
void hls_arrive(struct server *s, struct camera *camera);
/* Sends on, as much as the kernel takes. The connection may be closed afterwards. */
void hls_pump(struct server *s, struct conn *c, int64_t now);

/* viewer.c */
void viewer_begin(struct server *s, struct conn *c, const struct http_request *req,
                  struct camera *camera, enum viewer_kind kind);
/* The viewer's camera is there: takes a viewer's slot in its ring, and has it shown nothing from
 * before it fell asleep. */
void viewer_attach(struct conn *c, int64_t now);
/* Sends what is due until there is nothing, or the kernel is full, and notes in s->due when to call
 * again at the latest. The connection may be closed afterwards. */
void viewer_pump(struct server *s, struct conn *c, int64_t now);

/* Takes it off the list of viewers; the connection stays. */
void viewer_leave(struct server *s, struct conn *c);

/* static.c: gives the connection, its request unread, to a busybox httpd of its own. len: of the
 * request's head. */
void static_serve(struct server *s, struct conn *c, const struct http_request *req, size_t len);
void static_reap(struct server *s);

/* What is counted of this camera. */
static inline struct counts *counts_of(struct server *s, const struct camera *camera)
{
    return &s->counts[camera - s->camera];
}

/* How many are being sent that now. */
unsigned status_viewers(const struct server *s, const struct camera *c, enum viewer_kind kind);

/* status.c: the status page as JSON into text[cap]; its length. */
size_t status_write(const struct server *s, char *text, size_t cap, int64_t now);

/* metrics.c: the same for Prometheus, text format 0.0.4. */
size_t metrics_write(const struct server *s, char *text, size_t cap, int64_t now);

#endif
