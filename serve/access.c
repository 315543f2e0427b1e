#include "serve/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/number.h"
#include "serve/basic.h"
#include "serve/server.h"

/* A flag that is set on what others have open, too, such as a terminal, holds for them as well. A
 * pipe or a terminal can be opened anew. */
void access_open(struct access *a, int fd, struct access_entry *entry)
{
    char path[32];
    struct stat st;
    a->entry = entry;
    a->fd = -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
        a->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (a->fd >= 0)
        return;
    a->fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int access_trouble(struct access *a)
{
    if (!a->trouble || a->told)
        return 0;
    a->told = 1;
    return a->trouble;
}

/* The rest of a line goes out before anything else does: no line is ever torn. */
static int flush_rest(struct access *a)
{
    if (!a->rest_len)
        return 0;
    ssize_t n = write(a->fd, a->rest + a->rest_at, a->rest_len);
    if (n < 0)
        return -1;
    a->rest_at += (size_t)n;
    a->rest_len -= (size_t)n;
    errno = EAGAIN;
    return a->rest_len ? -1 : 0;
}

static void put(struct server *s, const struct accesslog *line)
{
    struct access *a = s->access;
    char text[ACCESSLOG_LINE_MAX];
    size_t len = accesslog_line(text, line);
    ssize_t n = flush_rest(a) < 0 ? -1 : write(a->fd, text, len);
    if (n > 0 && (size_t)n < len) {
        a->rest_at = 0;
        a->rest_len = len - (size_t)n;
        memcpy(a->rest, text + n, a->rest_len);
    }
    if (n > 0)
        return;
    s->count.log_dropped++;
    if (errno != EAGAIN && errno != EINTR)
        a->trouble = errno;
}

static struct access_entry *entry_of(struct server *s, const struct conn *c)
{
    return &s->access->entry[c - s->conn];
}

static int64_t utc_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

/* The line of this connection goes out, and the connection has none any more. */
static void end(struct server *s, struct conn *c, unsigned status, int64_t bytes)
{
    struct access_entry *e = entry_of(s, c);
    e->line.addr = &c->addr;
    e->line.at = utc_s();
    e->line.status = status;
    e->line.bytes = bytes;
    e->line.took = e->asked ? now_us() - e->asked : -1;
    put(s, &e->line);
    memset(e, 0, sizeof *e);
}

static unsigned number_of(const char *status)
{
    uint64_t n = 0;
    number_digits(status, &n);
    return (unsigned)n;
}

void access_begin(struct server *s, struct conn *c, const struct http_request *req)
{
    if (!s->access || entry_of(s, c)->asked)
        return;
    struct access_entry *e = entry_of(s, c);
    struct accesslog *line = &e->line;
    e->asked = now_us();
    line->minor = req->minor;
    accesslog_text(line->method, ACCESSLOG_METHOD_MAX, req->name.p, req->name.len);
    accesslog_text(line->target, ACCESSLOG_TARGET_MAX, req->target.p, req->target.len);
    accesslog_text(line->agent, ACCESSLOG_AGENT_MAX, req->agent.p, req->agent.len);
    accesslog_referer(line, req->referer.p, req->referer.len);
}

void access_user(struct server *s, struct conn *c, const struct http_request *req)
{
    struct basic who;
    if (!s->access || !s->auth ||
        basic_parse(req->authorization.p, req->authorization.len, &who) < 0)
        return;
    accesslog_user(&entry_of(s, c)->line, who.user, who.user_length);
    explicit_bzero(&who, sizeof who);
}

void access_begun(struct server *s, struct conn *c, const char *status, size_t len)
{
    if (!s->access)
        return;
    entry_of(s, c)->line.status = number_of(status);
    entry_of(s, c)->line.bytes = (int64_t)len;
}

void access_answered(struct server *s, struct conn *c, const char *status, size_t len)
{
    if (s->access)
        end(s, c, number_of(status), (int64_t)len);
}

/* What is not a file of a length that was said is a still. */
void access_complete(struct server *s, struct conn *c)
{
    if (!s->access || !entry_of(s, c)->asked)
        return;
    const struct accesslog *line = &entry_of(s, c)->line;
    if (line->status)
        end(s, c, line->status, line->bytes);
    else
        end(s, c, 200, (int64_t)c->body);
}

/* What a viewer has been sent but for the answer's head. */
static int64_t viewer_bytes(const struct conn *c)
{
    if (c->pending != PENDING_HEAD)
        return (int64_t)c->body;
    return c->sent > c->answer_head ? (int64_t)(c->sent - c->answer_head) : 0;
}

void access_closed(struct server *s, struct conn *c)
{
    static const char *const why[CLOSE_REASONS] = {"client", "stuck", "lapped", "ring"};
    if (!s->access || !entry_of(s, c)->asked)
        return;
    struct access_entry *e = entry_of(s, c);
    if (c->state == CONN_VIEWER && c->epoch) {
        e->line.why = c->kind == VIEW_STILL ? NULL : why[c->why];
        end(s, c, 200, viewer_bytes(c));
    } else if (e->line.status) {
        end(s, c, e->line.status, c->state == CONN_BODY ? e->line.bytes - (int64_t)c->left : 0);
    } else {
        memset(e, 0, sizeof *e); /* it went before there was an answer */
    }
}

void access_stop(struct server *s)
{
    for (unsigned i = 0; s->access && i < s->conns; i++) {
        struct conn *c = &s->conn[i];
        if (c->state == CONN_VIEWER && c->epoch) {
            entry_of(s, c)->line.why = "end";
            end(s, c, 200, viewer_bytes(c));
        } else if (c->state == CONN_BODY) {
            access_closed(s, c);
        }
    }
}

void access_handed(struct server *s, struct conn *c)
{
    if (!s->access)
        return;
    entry_of(s, c)->asked = 0; /* nor how long it takes is known */
    end(s, c, 0, -1);
}

void access_refused(struct server *s, const struct in6_addr *addr)
{
    const struct accesslog line = {
        .addr = addr, .at = s->access ? utc_s() : 0, .status = 503, .bytes = -1, .took = -1};
    if (s->access)
        put(s, &line);
}
