/* What a request asks for, and whether it may. */
#include <stdio.h>
#include <string.h>

#include "serve/server.h"

enum { HOST_MAX = 256 };

static char status_text[LIMIT_STATUS];

/* An endless stream has no bytes to name. A browser that asks for the rest of one it lost takes 416
 * as the end; one that probes for a length moves on to its next source. */
static int range_fits(const struct http_request *req)
{
    return !req->has_range || (!req->suffix && req->first == 0 && req->last == UINT64_MAX);
}

static void serve_live(struct server *s, struct conn *c, const struct http_request *req,
                       struct camera *camera, enum viewer_kind kind)
{
    if (kind != VIEW_STILL && !range_fits(req))
        conn_answer(s, c, req, "416 Range Not Satisfiable", "a live stream has no ranges");
    else if (kind != VIEW_STILL && req->method == HTTP_HEAD)
        conn_send(s, c, req, "200 OK", "video/mp4", "Access-Control-Allow-Origin: *\r\n", NULL, 0);
    else if (kind == VIEW_STILL && !camera->name[0] && ring_last_key(&camera->ring) < 0)
        conn_answer(s, c, req, "503 Service Unavailable", "no picture has come yet");
    else
        viewer_begin(s, c, req, camera, kind);
}

static void serve_status(struct server *s, struct conn *c, const struct http_request *req)
{
    size_t n = status_write(s, status_text, sizeof status_text, now_us());
    conn_send(s, c, req, "200 OK", "application/json", "Access-Control-Allow-Origin: *\r\n",
              status_text, n);
}

/* What is ours. Everything else is a file. */
static const struct route {
    const char *path;
    int live; /* enum viewer_kind, or -1: the status page */
} routes[] = {
    {"/stream.mp4", VIEW_STREAM},
    {"/raw.mp4", VIEW_RAW},
    {"/still.mp4", VIEW_STILL},
    {"/status.json", -1},
};

/* /stream.mp4 is the first camera's; /NAME/stream.mp4 any's. The status page is of all. */
static const struct route *find_route(struct server *s, const char *path, struct camera **camera)
{
    *camera = &s->camera[0];
    for (unsigned i = 0; i < s->cameras; i++) {
        size_t n = strlen(s->camera[i].name);
        if (n && strncmp(path + 1, s->camera[i].name, n) == 0 && path[n + 1] == '/') {
            *camera = &s->camera[i];
            path += n + 1;
            break;
        }
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void answer_last(struct server *s, struct conn *c, const struct http_request *req,
                        const char *status, const char *line)
{
    struct http_request last = *req;
    last.keep_alive = 0;
    conn_answer(s, c, &last, status, line);
}

/* A host without its port: what may stand in a URL, and nothing that ends a header field. */
static int host_of(const struct http_request *req, char out[HOST_MAX])
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]%";
    struct http_span host = req->host;
    size_t n = host.len;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n == 0 || host.p[n - 1] != ':')
        n = host.len;
    else
        n--;
    if (n == 0 || n >= HOST_MAX)
        return -1;
    memcpy(out, host.p, n);
    out[n] = 0;
    return strspn(out, allowed) == n ? 0 : -1;
}

/* To the same place over HTTPS. Not for ever: what the appliance is told may change. */
static void redirect(struct server *s, struct conn *c, const struct http_request *req)
{
    char host[HOST_MAX], port[8] = "", location[ANSWER_EXTRA_MAX];
    static const char text[] = "this is only for HTTPS\n";
    if (host_of(req, host) < 0) {
        answer_last(s, c, req, "400 Bad Request", "a Host is needed");
        return;
    }
    if (s->redirect != 443)
        snprintf(port, sizeof port, ":%u", s->redirect);
    int n = snprintf(location, sizeof location, "Location: https://%s%s%.*s\r\n", host, port,
                     (int)req->target.len, req->target.p);
    if (n < 0 || n >= ANSWER_EXTRA_MAX)
        answer_last(s, c, req, "414 URI Too Long", "too long to be sent elsewhere");
    else
        conn_send(s, c, req, "302 Found", "text/plain", location, text, sizeof text - 1);
}

static uint64_t token_of(const struct server *s, const struct conn *c)
{
    return (uint64_t)(c - s->conn) << 32 | c->generation;
}

/* Everything but AUTH_ALLOWED and AUTH_WAIT. The head has been taken out of the socket. */
static void refuse(struct server *s, struct conn *c, const struct http_request *req,
                   enum auth_verdict verdict)
{
    if (verdict == AUTH_DENIED) {
        conn_answer(s, c, req, "401 Unauthorized", "a name and a password are needed");
        return;
    }
    s->count.refused++;
    if (verdict == AUTH_BLOCKED)
        answer_last(s, c, req, "429 Too Many Requests", "too many wrong passwords: wait a minute");
    else
        answer_last(s, c, req, "503 Service Unavailable", "too many passwords to check");
}

/* Returns 1 when the request may go on. One whose password is being checked stays in the socket. */
static int may(struct server *s, struct conn *c, const struct http_request *req, size_t len,
               enum auth_verdict verdict)
{
    if (s->auth && verdict == AUTH_WAIT) {
        verdict = auth_ask(s->auth, req->authorization, &c->addr, now_us(), token_of(s, c));
        if (verdict == AUTH_WAIT)
            c->state = CONN_AUTH;
    }
    if (!s->auth || verdict == AUTH_ALLOWED)
        return 1;
    if (c->state == CONN_AUTH)
        return 0;
    if (conn_consume(c, len) < 0)
        conn_close(s, c);
    else
        refuse(s, c, req, verdict);
    return 0;
}

/* What is ours is answered here, with the head out of the socket. */
static void serve_ours(struct server *s, struct conn *c, const struct http_request *req,
                       const struct route *route, struct camera *camera)
{
    if (req->method == HTTP_OTHER)
        answer_last(s, c, req, "405 Method Not Allowed", "only GET and HEAD");
    else if (req->has_body)
        answer_last(s, c, req, "413 Content Too Large", "no request here has a body");
    else if (s->redirect && !c->proxied)
        redirect(s, c, req);
    else if (!route)
        conn_answer(s, c, req, "404 Not Found", "no such page");
    else if (route->live < 0)
        serve_status(s, c, req);
    else
        serve_live(s, c, req, camera, (enum viewer_kind)route->live);
}

void request_serve(struct server *s, struct conn *c, const struct http_request *req, size_t len,
                   enum auth_verdict verdict)
{
    struct camera *camera;
    const struct route *route = find_route(s, req->path, &camera);
    int elsewhere = s->redirect && !c->proxied;
    if (verdict == AUTH_WAIT)
        s->count.requests++;
    if (!elsewhere && !may(s, c, req, len, verdict))
        return;
    if (!elsewhere && req->method != HTTP_OTHER && !req->has_body && s->wwws && !route)
        static_serve(s, c, req);
    else if (conn_consume(c, len) < 0)
        conn_close(s, c);
    else
        serve_ours(s, c, req, route, camera);
}

/* The connection may have become another's meanwhile. */
struct conn *request_of(struct server *s, uint64_t token)
{
    uint64_t i = token >> 32;
    return i < s->conns && s->conn[i].state == CONN_AUTH && s->conn[i].generation == (uint32_t)token
               ? &s->conn[i]
               : NULL;
}

void request_answered(struct server *s, const struct auth_answer *answer)
{
    struct conn *c = request_of(s, answer->token);
    if (!c)
        return;
    c->state = CONN_HEAD;
    c->since = now_us();
    conn_read(s, c, answer->verdict);
}
