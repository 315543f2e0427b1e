/* Request heads, good and bad: what is read, cut anywhere, in any portions. */
#include "serve/http.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *edge; /* an unreadable page begins here */

static void make_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 4 * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE))
        _exit(99);
    edge = map + room;
}

static int parse_at_edge(const char *buf, size_t len, struct http_request *req)
{
    memcpy(edge - len, buf, len);
    memset(req, 0xa5, sizeof *req);
    return http_parse(edge - len, len, req);
}

#define END  "\r\n\r\n"
#define HOST "\r\nHost: x"

static const struct {
    const char *head, *path;
    struct http_request want; /* but for the path */
} good[] = {
    {"GET / HTTP/1.1" HOST END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.0" END, "/", {.minor = 0}},
    {"GET / HTTP/1.1\nHost:\n\n", "/", {.minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.1\nHost: x\nA: b\r\n\n", "/", {.minor = 1, .keep_alive = 1}},
    {"\r\n\nGET / HTTP/1.1" HOST END, "/", {.minor = 1, .keep_alive = 1}},
    {"HEAD /x HTTP/1.1" HOST END, "/x", {.method = HTTP_HEAD, .minor = 1, .keep_alive = 1}},
    {"POST /x HTTP/1.1" HOST END, "/x", {.method = HTTP_OTHER, .minor = 1, .keep_alive = 1}},
    {"get /x HTTP/1.1" HOST END, "/x", {.method = HTTP_OTHER, .minor = 1, .keep_alive = 1}},
    {"GETS /x HTTP/1.1" HOST END, "/x", {.method = HTTP_OTHER, .minor = 1, .keep_alive = 1}},
    {"OPTIONS /x HTTP/1.1" HOST END, "/x", {.method = HTTP_OPTIONS, .minor = 1, .keep_alive = 1}},
    {"OPTIONS * HTTP/1.1" HOST END, "/", {.method = HTTP_OPTIONS, .minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.1" HOST "\r\nConnection: close" END, "/", {.minor = 1}},
    {"GET / HTTP/1.1" HOST "\r\nCONNECTION:\tx , Close " END, "/", {.minor = 1}},
    {"GET / HTTP/1.1" HOST "\r\nConnection: closed" END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive" END, "/", {.keep_alive = 1}},
    {"GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive" END, "/", {0}},
    {"GET / HTTP/1.1" HOST "\r\nContent-Length: 0" END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.1" HOST "\r\ncontent-length:5" END,
     "/",
     {.minor = 1, .keep_alive = 1, .has_body = 1}},
    {"GET / HTTP/1.1" HOST "\r\nContent-Length: 5\r\nContent-Length: 5" END,
     "/",
     {.minor = 1, .keep_alive = 1, .has_body = 1}},
    {"GET / HTTP/1.1" HOST "\r\nTransfer-Encoding: chunked" END,
     "/",
     {.minor = 1, .keep_alive = 1, .has_body = 1}},
    {"GET / HTTP/1.1" HOST "\r\nUser-Agent: Mozilla/5.0 Gecko/20100101 Firefox/153.0" END,
     "/",
     {.minor = 1, .keep_alive = 1, .firefox = 1}},
    {"GET / HTTP/1.1" HOST "\r\nX: Firefox/" END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET / HTTP/1.1" HOST "\r\nUser-Agent: \xc3\xa9\tx" END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET /a%20b%2Fc%2fd%41?q=%00&../.. HTTP/1.1" HOST END,
     "/a b/c/dA",
     {.minor = 1, .keep_alive = 1}},
    {"GET /a/..b/.c/d../... HTTP/1.1" HOST END, "/a/..b/.c/d../...", {.minor = 1, .keep_alive = 1}},
    {"GET //x//y HTTP/1.1" HOST END, "//x//y", {.minor = 1, .keep_alive = 1}},
    {"GET /%252e%252e/x HTTP/1.1" HOST END, "/%2e%2e/x", {.minor = 1, .keep_alive = 1}},
    {"GET /\xc3\xa9 HTTP/1.1" HOST END, "/\xc3\xa9", {.minor = 1, .keep_alive = 1}},
    {"GET http://x HTTP/1.1" HOST END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET HTTP://x/ HTTP/1.1" HOST END, "/", {.minor = 1, .keep_alive = 1}},
    {"GET hTTps://x/a%20b?/.. HTTP/1.1" HOST END, "/a b", {.minor = 1, .keep_alive = 1}},
    {"HEAD http://x?a/b HTTP/1.0" END, "/", {.method = HTTP_HEAD}},
    {"GET http://x//y HTTP/1.1" HOST END, "//y", {.minor = 1, .keep_alive = 1}},
    {"GET http://x/http://y/ HTTP/1.1" HOST END, "/http://y/", {.minor = 1, .keep_alive = 1}},
    {"OPTIONS http://x HTTP/1.1" HOST END,
     "/",
     {.method = HTTP_OPTIONS, .minor = 1, .keep_alive = 1}},
    {"CONNECT http://x/ HTTP/1.1" HOST END,
     "/",
     {.method = HTTP_OTHER, .minor = 1, .keep_alive = 1}},
};

static int same(const struct http_request *a, const struct http_request *b)
{
    return a->method == b->method && a->minor == b->minor && a->keep_alive == b->keep_alive &&
           a->has_body == b->has_body && a->has_range == b->has_range && a->first == b->first &&
           a->last == b->last && a->suffix == b->suffix && a->firefox == b->firefox;
}

/* A label that is one line. */
static const char *label(const char *head)
{
    static char text[80];
    size_t n = 0;
    for (; head[n] && n + 1 < sizeof text; n++)
        text[n] = head[n] < ' ' || head[n] == '#' || head[n] == '\\' ? '.' : head[n];
    text[n] = 0;
    return text;
}

static int is_text(struct http_span span, const char *want)
{
    if (!want)
        return !span.p && !span.len;
    return span.p && span.len == strlen(want) && !memcmp(span.p, want, span.len);
}

static void good_heads(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct http_request req;
        size_t len = strlen(good[i].head);
        int more = 1;

        for (size_t cut = 0; cut < len; cut++)
            more &= parse_at_edge(good[i].head, cut, &req) == HTTP_MORE;
        ok(more, "every cut wants more: %s", label(good[i].head));
        int got = parse_at_edge(good[i].head, len, &req);
        ok(got == (int)len && same(&req, &good[i].want) && !strcmp(req.path, good[i].path),
           "whole: %s", label(good[i].head));
        char behind[512];
        memcpy(behind, good[i].head, len);
        memcpy(behind + len, "GET /next HTTP/1.1\r\n\r\n", 22);
        got = parse_at_edge(behind, len + 22, &req);
        ok(got == (int)len && !strcmp(req.path, good[i].path), "with another behind it");
    }
}

#define LINE "GET / HTTP/1.1" HOST "\r\n"
#define BARE "GET / HTTP/1.1\r\n"

static const char *const bad[] = {
    "\x16\x03\x01\x02",
    " GET / HTTP/1.1" HOST END,
    "G@T / HTTP/1.1" HOST END,
    "GET\t/ HTTP/1.1" HOST END,
    "GET  / HTTP/1.1" HOST END,
    "GET /  HTTP/1.1" HOST END,
    "GET / HTTP/1.1 " HOST END,
    "GET /" HOST END,
    "GET  HTTP/1.1" HOST END,
    "CONNECT x:80 HTTP/1.1" HOST END,
    "CONNECT x HTTP/1.1" HOST END,
    "GET x:80 HTTP/1.1" HOST END,
    "OPTIONS x HTTP/1.1" HOST END,
    "HEAD * HTTP/1.1" HOST END,
    "GET * HTTP/1.1" HOST END,
    "OPTIONS *x HTTP/1.1" HOST END,
    "OPTIONS ** HTTP/1.1" HOST END,
    "GET / HTTP/2.0" HOST END,
    "GET / HTTP/1.2" HOST END,
    "GET / HTTP/1.10" HOST END,
    "GET / http/1.1" HOST END,
    "GET / HTTP/1.1\rX" HOST END,
    "GET x HTTP/1.1" HOST END,
    "GET * HTTP/1.1" HOST END,
    "GET http:/// HTTP/1.1" HOST END,
    "GET http:// HTTP/1.1" HOST END,
    "GET https:///x HTTP/1.1" HOST END,
    "GET http://?x HTTP/1.1" HOST END,
    "GET http://:80/ HTTP/1.1" HOST END,
    "GET http:/x HTTP/1.1" HOST END,
    "GET http:x HTTP/1.1" HOST END,
    "GET http//x/ HTTP/1.1" HOST END,
    "GET ttp://x/ HTTP/1.1" HOST END,
    "GET ://x/ HTTP/1.1" HOST END,
    "GET //x/. HTTP/1.1" HOST END,
    "GET ftp://x/ HTTP/1.1" HOST END,
    "GET httpss://x/ HTTP/1.1" HOST END,
    "GET http+x://x/ HTTP/1.1" HOST END,
    "GET ws://x/ HTTP/1.1" HOST END,
    "GET file:///x HTTP/1.1" HOST END,
    "GET http://x#y/ HTTP/1.1" HOST END,
    "GET http://x/#y HTTP/1.1" HOST END,
    "GET http://x\\y/ HTTP/1.1" HOST END,
    "GET http://x/../y HTTP/1.1" HOST END,
    "GET http://x/%2e%2e/y HTTP/1.1" HOST END,
    "GET http://x/. HTTP/1.1" HOST END,
    "GET http://x/a\\b HTTP/1.1" HOST END,
    "GET http://x/%00 HTTP/1.1" HOST END,
    "GET http://x/%zz HTTP/1.1" HOST END,
    "GET http://x y/ HTTP/1.1" HOST END,
    "GET /a#b HTTP/1.1" HOST END,
    "GET /a\tb HTTP/1.1" HOST END,
    "GET /?a\x01 HTTP/1.1" HOST END,
    "GET /?a\x7f HTTP/1.1" HOST END,
    "GET /%00 HTTP/1.1" HOST END,
    "GET /a%00.html HTTP/1.1" HOST END,
    "GET /%0a HTTP/1.1" HOST END,
    "GET /%7f HTTP/1.1" HOST END,
    "GET /% HTTP/1.1" HOST END,
    "GET /%4 HTTP/1.1" HOST END,
    "GET /%4g HTTP/1.1" HOST END,
    "GET /%g4 HTTP/1.1" HOST END,
    "GET /.. HTTP/1.1" HOST END,
    "GET /. HTTP/1.1" HOST END,
    "GET /./ HTTP/1.1" HOST END,
    "GET /../ HTTP/1.1" HOST END,
    "GET /a/../b HTTP/1.1" HOST END,
    "GET /%2e%2e/ HTTP/1.1" HOST END,
    "GET /%2E. HTTP/1.1" HOST END,
    "GET /a%2f..%2fb HTTP/1.1" HOST END,
    "GET /a%2f%2e HTTP/1.1" HOST END,
    "GET /..?x HTTP/1.1" HOST END,
    "GET //.. HTTP/1.1" HOST END,
    "GET /a\\b HTTP/1.1" HOST END,
    "GET /%5c.. HTTP/1.1" HOST END,
    LINE "A" END,
    LINE ": b" END,
    LINE "A : b" END,
    LINE " A: b" END,
    LINE "A: b\r\n c" END,
    LINE "A: b\r\n c: d" END,
    LINE "A: b\rC: d" END,
    LINE "A\x01: b" END,
    LINE "\xc3\xa9: b" END,
    LINE "Content-Length: " END,
    LINE "Content-Length: -1" END,
    LINE "Content-Length: +1" END,
    LINE "Content-Length: 1x" END,
    LINE "Content-Length: 1, 1" END,
    LINE "Content-Length: 99999999999999999999" END,
    LINE "Content-Length: 1\r\nContent-Length: 2" END,
    LINE "Content-Length: 0\r\nContent-Length: 2" END,
    LINE "Content-Length: 0\r\nTransfer-Encoding: chunked" END,
    BARE "\r\n",
    "GET / HTTP/1.1\n\n",
    "GET http://x/ HTTP/1.1" END,
    "OPTIONS http://* HTTP/1.1" END,
    BARE "X-Host: x" END,
    "OPTIONS * HTTP/1.1" END,
    "POST / HTTP/1.1\r\nContent-Length: 0" END,
    BARE "Host: a\r\nHost: a" END,
    BARE "Host:\r\nhost: b" END,
    "GET / HTTP/1.0\r\nHost: a\r\nHost: a" END,
    "GET http://x/ HTTP/1.1\r\nHost: a\r\nHost: b" END,
    "GET http://x/ HTTP/1.1\r\nHost: a b" END,
    "GET / HTTP/1.0\r\nHost: a b" END,
    LINE "Authorization: Basic YTpi\r\nX: y\r\nauthorization: Basic YTpi" END,
    LINE "Authorization:\r\nAuthorization:" END,
};

static const struct {
    const char *text;
    int field, url; /* good as a Host's value, and behind http:// */
} hosts[] = {
    {"a", 1, 1},
    {"a.example:8000", 1, 1},
    {"A_b-c~1.", 1, 1},
    {"a:", 1, 1},
    {"192.0.2.1:80", 1, 1},
    {"[::1]", 1, 1},
    {"[2001:DB8::192.0.2.1]:8000", 1, 1},
    {"[fe80::1%25eth0]:80", 1, 1},
    {"[fe80::1%eth0]", 1, 1},
    {"[v1.x]", 1, 1},
    {"a!$&'()*+,;=", 1, 1},
    {"%c3%A9", 1, 1},
    {"", 1, 0},
    {":80", 1, 0},
    {"a/", 0, 1},
    {"a?", 0, 1},
    {"/", 0, 0},
    {"u@a", 0, 0},
    {"u:p@a", 0, 0},
    {"@a", 0, 0},
    {"a@", 0, 0},
    {"@", 0, 0},
    {"a b", 0, 0},
    {"a, b", 0, 0},
    {"a\tb", 0, 0},
    {"a#b", 0, 0},
    {"a\\b", 0, 0},
    {"\"a", 0, 0},
    {"a\"", 0, 0},
    {"<a>", 0, 0},
    {"{a}", 0, 0},
    {"a|b", 0, 0},
    {"a^b", 0, 0},
    {"a`b", 0, 0},
    {"\xc3\xa9", 0, 0},
    {"a:x", 0, 0},
    {"a:80x", 0, 0},
    {"a:-1", 0, 0},
    {"a:+1", 0, 0},
    {"a:80:80", 0, 0},
    {"::1", 0, 0},
    {"::", 0, 0},
    {"[::1", 0, 0},
    {"::1]", 0, 0},
    {"[]", 0, 0},
    {"[]:80", 0, 0},
    {"[::1]a", 0, 0},
    {"[::1]80", 0, 0},
    {"[::1]]", 0, 0},
    {"[[::1]]", 0, 0},
    {"a[::1]", 0, 0},
    {"[a/b]", 0, 0},
    {"[a?]", 0, 0},
    {"[a", 0, 0},
    {"[", 0, 0},
    {"%", 0, 0},
    {"%2", 0, 0},
    {"a%zz", 0, 0},
    {"a%2", 0, 0},
    {"a%2g", 0, 0},
};

static void host_names(void)
{
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct http_request req;
        char head[128];
        const char *text = hosts[i].text;
        for (int minor = 0; minor < 2; minor++) {
            int len = snprintf(head, sizeof head, "GET / HTTP/1.%d\r\nHost: %s" END, minor, text);
            int got = parse_at_edge(head, (size_t)len, &req);
            ok(hosts[i].field ? got == len && is_text(req.host, text) && !req.authority.p
                              : got == HTTP_BAD,
               "Host of HTTP/1.%d: %s", minor, label(text));
        }
        int len = snprintf(head, sizeof head, "GET http://%s HTTP/1.1" HOST END, text);
        int got = parse_at_edge(head, (size_t)len, &req);
        size_t n = strcspn(text, "/?");
        ok(hosts[i].url ? got == len && req.authority.len == n && !strcmp(req.path, "/") &&
                              !memcmp(req.authority.p, text, n) && is_text(req.origin, text + n)
                        : got == HTTP_BAD,
           "a URL's: %s", label(text));
    }
}

static void bad_heads(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_request req;
        size_t len = strlen(bad[i]), cut = 0;
        int got = HTTP_MORE, stays = 1;

        for (; cut <= len && got == HTTP_MORE; cut++)
            got = parse_at_edge(bad[i], cut, &req);
        for (; cut <= len; cut++)
            stays &= parse_at_edge(bad[i], cut, &req) == HTTP_BAD;
        ok(got == HTTP_BAD && stays, "refused, and for good: %s", label(bad[i]));
    }
    struct http_request req;
    static const char zero[] = LINE "A: b\0c" END;
    ok(parse_at_edge(zero, sizeof zero - 1, &req) == HTTP_BAD, "a zero in a header");
    ok(parse_at_edge("GET /\0 HTTP/1.1" HOST END, 19, &req) == HTTP_BAD, "a zero in a path");
    ok(parse_at_edge("GET / HTTP/1.9\r\n", 16, &req) == HTTP_BAD, "judged by its first line");
    ok(parse_at_edge("\r\n\r\n\n", 5, &req) == HTTP_MORE, "empty lines alone are no request yet");
}

static void ranges(void)
{
    static const struct {
        const char *text;
        int has, suffix;
        uint64_t first, last;
    } table[] = {
        {"bytes=0-", 1, 0, 0, UINT64_MAX},
        {"bytes=7-", 1, 0, 7, UINT64_MAX},
        {"Bytes=0-1", 1, 0, 0, 1},
        {"bytes=5-5", 1, 0, 5, 5},
        {"bytes=-5", 1, 1, 5, UINT64_MAX},
        {"bytes=5-4", 0, 0, 0, 0},
        {"bytes=-", 0, 0, 0, 0},
        {"bytes=", 0, 0, 0, 0},
        {"bytes=0-1,3-4", 0, 0, 0, 0},
        {"bytes=x-", 0, 0, 0, 0},
        {"bytes=1", 0, 0, 0, 0},
        {"bytes=1-x", 0, 0, 0, 0},
        {"lines=0-", 0, 0, 0, 0},
        {"bytes=999999999999999999-", 1, 0, 999999999999999999, UINT64_MAX},
        {"bytes= 0-", 0, 0, 0, 0},
        {"bytes=9999999999999999999-", 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct http_request req;
        char head[128];
        int len = snprintf(head, sizeof head, LINE "Range: %s" END, table[i].text);
        int got = parse_at_edge(head, (size_t)len, &req);
        ok(got == len && req.has_range == table[i].has && req.suffix == table[i].suffix &&
               req.first == table[i].first && req.last == table[i].last,
           "Range: %s", table[i].text);
    }
}

static void spans(void)
{
    static const struct {
        const char *head, *target, *authority, *origin, *host, *authorization, *name, *agent,
            *referer;
    } table[] = {
        {"GET / HTTP/1.1" HOST END, "/", NULL, "/", "x", NULL, "GET", NULL, NULL},
        {"PROPFIND /x HTTP/1.1" HOST "\r\nuser-agent: a \"b\" \r\nReferer:\r\nX-Referer: y" END,
         "/x", NULL, "/x", "x", NULL, "PROPFIND", "a \"b\"", ""},
        {"OPTIONS * HTTP/1.1" HOST "\r\nReferer: http://x/" END, "*", NULL, "*", "x", NULL,
         "OPTIONS", NULL, "http://x/"},
        {"\r\nGET /a%20b?c=%2e&d HTTP/1.1\r\nHost: [::1]:8000\r\nAuthorization:  Basic YTpi \t" END,
         "/a%20b?c=%2e&d", NULL, "/a%20b?c=%2e&d", "[::1]:8000", "Basic YTpi", "GET", NULL, NULL},
        {"GET /? HTTP/1.0\nauthorization:x\nhOST:\n\n", "/?", NULL, "/?", "", "x", "GET", NULL,
         NULL},
        {"GET /x HTTP/1.0\r\nX-Host: a\r\nProxy-Authorization: b\r\nHost2: c" END, "/x", NULL, "/x",
         NULL, NULL, "GET", NULL, NULL},
        {"GET HTTP://y.z:80/a?b HTTP/1.1" HOST END, "HTTP://y.z:80/a?b", "y.z:80", "/a?b", "x",
         NULL, "GET", NULL, NULL},
        {"GET https://[::1] HTTP/1.0" END, "https://[::1]", "[::1]", "", NULL, NULL, "GET", NULL,
         NULL},
        {"HEAD http://y?/ HTTP/1.1\nHost:\n\n", "http://y?/", "y", "?/", "", NULL, "HEAD", NULL,
         NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct http_request req;
        size_t len = strlen(table[i].head);
        int got = parse_at_edge(table[i].head, len, &req);
        ok(got == (int)len && is_text(req.target, table[i].target) &&
               is_text(req.authority, table[i].authority) && is_text(req.origin, table[i].origin) &&
               is_text(req.host, table[i].host) &&
               is_text(req.authorization, table[i].authorization) &&
               is_text(req.name, table[i].name) && is_text(req.agent, table[i].agent) &&
               is_text(req.referer, table[i].referer),
           "its parts: %s", label(table[i].head));
    }
}

static int put_text(char *out, int at, const char *text)
{
    size_t n = strlen(text);
    memcpy(out + at, text, n);
    return at + (int)n;
}

static void long_paths(void)
{
    static char head[4 * HTTP_PATH_MAX];
    struct http_request req;
    for (int over = 0; over < 2; over++) {
        int n = HTTP_PATH_MAX - 1 + over, at = put_text(head, 0, "GET /");
        memset(head + at, 'a', (size_t)n - 1);
        at += n - 1;
        at = put_text(head, at, " HTTP/1.1" HOST END);
        int got = parse_at_edge(head, (size_t)at, &req);
        ok(over ? got == HTTP_BAD : got == at && strlen(req.path) == (size_t)n, "a path of %d", n);
        at = put_text(head, 0, "GET /");
        for (int i = 1; i < n; i++)
            at = put_text(head, at, "%61");
        at = put_text(head, at, " HTTP/1.1" HOST END);
        got = parse_at_edge(head, (size_t)at, &req);
        ok(over ? got == HTTP_BAD : got == at && strlen(req.path) == (size_t)n, "encoded");
    }
}

int main(void)
{
    make_edge();
    good_heads();
    host_names();
    bad_heads();
    ranges();
    spans();
    long_paths();
    return done();
}
