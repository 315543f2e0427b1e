/* What a request asks for, and whether it may. */
#include <stdio.h>
#include <string.h>

#include "capture/number.h"
#include "serve/server.h"

#define ALLOWED "Allow: GET, HEAD, OPTIONS\r\n"

enum { HOST_MAX = 256 };

static char status_text[LIMIT_STATUS], metrics_text[LIMIT_METRICS];

/* An endless stream has no bytes to name. A browser that asks for the rest of one it lost takes 416
 * as the end; one that probes for a length moves on to its next source. */
static int range_fits(const struct http_request *req)
{
    return !req->has_range || (!req->suffix && req->first == 0 && req->last == UINT64_MAX);
}

static void serve_live(struct server *s, struct conn *c, const struct http_request *req,
                       struct camera *camera, enum viewer_kind kind)
{
    static const struct answer video = {
        .status = "200 OK", .type = "video/mp4", .extra = "Access-Control-Allow-Origin: *\r\n"};
    if (kind != VIEW_STILL && !range_fits(req))
        conn_answer(s, c, req, "416 Range Not Satisfiable", "a live stream has no ranges");
    else if (kind != VIEW_STILL && req->method == HTTP_HEAD)
        conn_send(s, c, req, &video, NULL, 0);
    else if (kind == VIEW_STILL && !camera->name[0] && ring_last_key(&camera->ring) < 0)
        conn_answer(s, c, req, "503 Service Unavailable", "no picture has come yet");
    else
        viewer_begin(s, c, req, camera, kind);
}

static void serve_status(struct server *s, struct conn *c, const struct http_request *req)
{
    static const struct answer json = {.status = "200 OK",
                                       .type = "application/json",
                                       .extra = "Access-Control-Allow-Origin: *\r\n"};
    size_t n = status_write(s, status_text, sizeof status_text, now_us());
    conn_send(s, c, req, &json, status_text, n);
}

static void serve_metrics(struct server *s, struct conn *c, const struct http_request *req)
{
    static const struct answer text = {.status = "200 OK",
                                       .type = "text/plain; version=0.0.4; charset=utf-8"};
    size_t n = metrics_write(s, metrics_text, sizeof metrics_text, now_us());
    conn_send(s, c, req, &text, metrics_text, n);
}

/* What is ours. Everything else is a file. */
struct route {
    const char *path;
    enum { ROUTE_FILE, ROUTE_LIVE, ROUTE_STATUS, ROUTE_METRICS, ROUTE_HLS } is;
    int what; /* enum viewer_kind or enum hls_what */
    struct camera *camera;
    uint64_t number; /* HLS_INIT, HLS_SEGMENT; UINT64_MAX: none that can be; HLS_LIVE: a player's */
};
static const struct route routes[] = {
    {.path = "/stream.mp4", .is = ROUTE_LIVE, .what = VIEW_STREAM},
    {.path = "/raw.mp4", .is = ROUTE_LIVE, .what = VIEW_RAW},
    {.path = "/still.mp4", .is = ROUTE_LIVE, .what = VIEW_STILL},
    {.path = "/stream.m3u8", .is = ROUTE_HLS, .what = HLS_MASTER},
    {.path = "/live.m3u8", .is = ROUTE_HLS, .what = HLS_LIVE},
    {.path = "/status.json", .is = ROUTE_STATUS},
    {.path = "/metrics", .is = ROUTE_METRICS},
};

/* PREFIX, a number, SUFFIX: 1 when the path is like that. A number that nobody writes so is none.
 */
static int is_numbered(const char *path, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t n = strlen(path), before = strlen(prefix), after = strlen(suffix);
    if (n <= before + after || strncmp(path, prefix, before) != 0 ||
        strcmp(path + n - after, suffix) != 0)
        return 0;
    const char *end = number_digits(path + before, number);
    if (end != path + n - after || (path[before] == '0' && end > path + before + 1))
        *number = UINT64_MAX;
    return 1;
}

/* The query ?n=ID, by which a player is known. */
static uint64_t player_of(const struct http_request *req)
{
    const char *query = memchr(req->origin.p, '?', req->origin.len);
    uint64_t id = 0;
    if (query && strncmp(query, "?n=", 3) == 0)
        number_digits(query + 3, &id); /* something else ends it: the head goes on behind */
    return id;
}

/* /stream.mp4 is the first camera's; /NAME/stream.mp4 any's. The status page is of all. */
static struct route find_route(struct server *s, const struct http_request *req)
{
    const char *path = req->path;
    struct route route = {.camera = &s->camera[0]};
    for (unsigned i = 0; i < s->cameras; i++) {
        size_t n = strlen(s->camera[i].name);
        if (n && strncmp(path + 1, s->camera[i].name, n) == 0 && path[n + 1] == '/') {
            route.camera = &s->camera[i];
            path += n + 1;
            break;
        }
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(routes[i].path, path) == 0) {
            route.is = routes[i].is;
            route.what = routes[i].what;
        }
    if (route.is == ROUTE_HLS && route.what == HLS_LIVE)
        route.number = player_of(req);
    if (route.is == ROUTE_FILE && is_numbered(path, "/init-", ".mp4", &route.number)) {
        route.is = ROUTE_HLS;
        route.what = HLS_INIT;
    } else if (route.is == ROUTE_FILE && is_numbered(path, "/seg-", ".m4s", &route.number)) {
        route.is = ROUTE_HLS;
        route.what = HLS_SEGMENT;
    }
    return route;
}

static void answer_last(struct server *s, struct conn *c, const struct http_request *req,
                        const char *status, const char *line)
{
    struct http_request last = *req;
    last.keep_alive = 0;
    conn_answer(s, c, &last, status, line);
}

/* A host without its port. */
static int host_of(const struct http_request *req, char out[HOST_MAX])
{
    struct http_span host = req->authority.p ? req->authority : req->host;
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
    return 0;
}

/* To the same place over HTTPS. Not for ever: what the appliance is told may change. */
static void redirect(struct server *s, struct conn *c, const struct http_request *req)
{
    char host[HOST_MAX], port[8] = "", location[ANSWER_EXTRA_MAX];
    static const char text[] = "this is only for HTTPS\n";
    const struct answer found = {.status = "302 Found", .type = "text/plain", .extra = location};
    if (host_of(req, host) < 0) {
        answer_last(s, c, req, "400 Bad Request", "a Host is needed");
        return;
    }
    if (s->redirect != 443)
        snprintf(port, sizeof port, ":%u", s->redirect);
    int n = snprintf(location, sizeof location, "Location: https://%s%s%.*s\r\n", host, port,
                     (int)req->origin.len, req->origin.p);
    if (n < 0 || n >= ANSWER_EXTRA_MAX)
        answer_last(s, c, req, "414 URI Too Long", "too long to be sent elsewhere");
    else
        conn_send(s, c, req, &found, text, sizeof text - 1);
}

/* What may be asked for with which method (RFC 9110 9.3.7): the same for everybody, so no password
 * is needed, and none is sent by a browser that asks on behalf of another origin's page whether
 * that may read what is here (the CORS-preflight request of the Fetch standard). Files it may not.
 */
static void serve_options(struct server *s, struct conn *c, const struct http_request *req,
                          const struct route *route)
{
    static const struct answer files = {.status = "204 No Content", .extra = ALLOWED};
    static const struct answer ours = {.status = "204 No Content",
                                       .extra = ALLOWED
                                       "Access-Control-Allow-Origin: *\r\n"
                                       "Access-Control-Allow-Methods: GET, HEAD\r\n"
                                       "Access-Control-Allow-Headers: Authorization, Range\r\n"
                                       "Access-Control-Max-Age: 86400\r\n"};
    int open = route->is == ROUTE_LIVE || route->is == ROUTE_STATUS || route->is == ROUTE_HLS;
    conn_send(s, c, req, open ? &ours : &files, NULL, 0);
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
    if (s->auth && verdict == AUTH_ALLOWED)
        access_user(s, c, req);
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
                       const struct route *route)
{
    if (req->method == HTTP_OTHER)
        answer_last(s, c, req, "405 Method Not Allowed", "only GET, HEAD and OPTIONS");
    else if (req->has_body)
        answer_last(s, c, req, "413 Content Too Large", "no request here has a body");
    else if (req->method == HTTP_OPTIONS)
        serve_options(s, c, req, route);
    else if (s->redirect && !c->proxied)
        redirect(s, c, req);
    else if (route->is == ROUTE_FILE)
        conn_answer(s, c, req, "404 Not Found", "no such page");
    else if (route->is == ROUTE_STATUS)
        serve_status(s, c, req);
    else if (route->is == ROUTE_METRICS)
        serve_metrics(s, c, req);
    else if (route->is == ROUTE_HLS)
        hls_serve(s, c, req, route->camera, (enum hls_what)route->what, route->number);
    else
        serve_live(s, c, req, route->camera, (enum viewer_kind)route->what);
}

void request_serve(struct server *s, struct conn *c, const struct http_request *req, size_t len,
                   enum auth_verdict verdict)
{
    const struct route route = find_route(s, req);
    int elsewhere = s->redirect && !c->proxied;
    int plain = (req->method == HTTP_GET || req->method == HTTP_HEAD) && !req->has_body;
    if (verdict == AUTH_WAIT)
        s->count.requests++;
    access_begin(s, c, req);
    if (!elsewhere && req->method != HTTP_OPTIONS && !may(s, c, req, len, verdict))
        return;
    if (!elsewhere && plain && route.is == ROUTE_HLS &&
        !hls_ready(s, c, route.camera, (enum hls_what)route.what, route.number))
        return;
    if (!elsewhere && plain && s->wwws && route.is == ROUTE_FILE)
        static_serve(s, c, req, len);
    else if (conn_consume(c, len) < 0)
        conn_close(s, c);
    else
        serve_ours(s, c, req, &route);
}

/* The connection whose request waits under that token, or NULL: it may have become another's. */
static struct conn *request_of(struct server *s, uint64_t token)
{
    uint64_t i = token >> 32;
    return i < s->conns && s->conn[i].state == CONN_AUTH && s->conn[i].generation == (uint32_t)token
               ? &s->conn[i]
               : NULL;
}

void request_take_answers(struct server *s, void (*denied)(const struct conn *c))
{
    struct auth_answer answer;
    while (s->auth && auth_next(s->auth, now_us(), &answer)) {
        struct conn *c = request_of(s, answer.token);
        if (!c)
            continue;
        if (answer.verdict == AUTH_DENIED)
            denied(c);
        c->state = CONN_HEAD;
        c->since = now_us();
        conn_read(s, c, answer.verdict);
    }
}
