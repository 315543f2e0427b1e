/* Lines of the access log: what they look like, and that nothing a client says can break one. */
#include "serve/accesslog.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "scripts/lines.h"
#include "tests/tap.h"

_Static_assert(ACCESSLOG_LINE_MAX <= PIPE_BUF, "a line goes into a pipe whole");
_Static_assert((int)ACCESSLOG_LINE_MAX <= (int)LINES_MAX, "the appliance's log takes it whole");

static struct in6_addr addr;
static char line[ACCESSLOG_LINE_MAX + 1];

static const char *write_line(struct accesslog *a)
{
    size_t n = accesslog_line(line, a);
    line[n] = 0;
    return line;
}

static int is(struct accesslog *a, const char *want)
{
    int good = strcmp(write_line(a), want) == 0;
    if (!good)
        printf("# got  %s# want %s", line, want);
    return good;
}

static void set(struct accesslog *a, const char *target, const char *referer, const char *agent)
{
    accesslog_text(a->method, ACCESSLOG_METHOD_MAX, "GET", 3);
    accesslog_text(a->target, ACCESSLOG_TARGET_MAX, target, strlen(target));
    accesslog_referer(a, referer, strlen(referer));
    accesslog_text(a->agent, ACCESSLOG_AGENT_MAX, agent, strlen(agent));
}

static void lines(void)
{
    struct accesslog a = {.addr = &addr, .minor = 1, .bytes = -1, .took = -1};
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &addr);
    ok(is(&a, "192.0.2.7 - - [01/Jan/1970:00:00:00 +0000] \"-\" - - \"-\" \"-\" - -\n"),
       "of what is not known a -");
    set(&a, "/stream.mp4?x=1", "http://cam.example/", "curl/8.0 (x; y)");
    accesslog_user(&a, "alice", 5);
    a.at = 1709210096;
    a.status = 200;
    a.bytes = INT64_C(12345678901);
    a.took = 3723004567;
    a.why = "client";
    ok(is(&a, "192.0.2.7 - alice [29/Feb/2024:12:34:56 +0000] \"GET /stream.mp4?x=1 HTTP/1.1\" 200 "
              "12345678901 \"http://cam.example/\" \"curl/8.0 (x; y)\" 3723.004 client\n"),
       "a viewer's line");
    inet_pton(AF_INET6, "2001:db8::7", &addr);
    a.minor = 0;
    a.took = 999;
    a.bytes = 0;
    a.why = NULL;
    ok(is(&a, "2001:db8::7 - alice [29/Feb/2024:12:34:56 +0000] \"GET /stream.mp4?x=1 HTTP/1.0\" "
              "200 0 \"http://cam.example/\" \"curl/8.0 (x; y)\" 0.000 -\n"),
       "IPv6, HTTP/1.0, nothing of a body");
    a.addr = NULL;
    ok(strncmp(write_line(&a), "- - alice", 9) == 0, "nobody's address");
}

static void escapes(void)
{
    struct accesslog a = {.bytes = -1, .took = -1};
    set(&a, "/a\"b\\c", "x\r\ny", "\x1b[2J\x7f\t\xc3\xa9 z");
    accesslog_user(&a, "a b\"", 4);
    ok(is(&a, "- - a\\x20b\\x22 [01/Jan/1970:00:00:00 +0000] \"GET /a\\x22b\\x5Cc HTTP/1.0\" - - "
              "\"x\\x0D\\x0Ay\" \"\\x1B[2J\\x7F\\x09\\xC3\\xA9 z\" - -\n"),
       "quotes, backslashes, blanks in a name, control bytes and what is no ASCII");
    static char all[256], out[4 * 256 + 1];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    size_t n = accesslog_text(out, sizeof out - 1, all, sizeof all), plain = 1;
    for (size_t i = 0; i < n; i++)
        plain &= out[i] >= ' ' && out[i] < 127 && out[i] != '"';
    ok(plain && n == strlen(out) && n == 93 + 4 * 163, "every byte there is: %zu", n);
}

static void referers(void)
{
    static const char *const pairs[][2] = {
        {"http://u:p@host/x", "http://host/x"},
        {"https://u@host", "https://host"},
        {"http://a@b:c@host?q=@", "http://host?q=@"},
        {"http://host/@x", "http://host/@x"},
        {"http://host#u@x", "http://host#u@x"},
        {"//u:p@host/", "//host/"},
        {"u:p@host/x/y", "u:p@host/x/y"},
        {"about:blank", "about:blank"},
        {"http:/", "http:/"},
        {"http://", "http://"},
        {"http://@", "http://"},
        {"", ""},
    };
    struct accesslog a;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        accesslog_referer(&a, pairs[i][0], strlen(pairs[i][0]));
        ok(strcmp(a.referer, pairs[i][1]) == 0, "referer %s: %s", pairs[i][0], a.referer);
    }
}

/* The longest of all, of what takes four bytes each and of what takes one. */
static void limits(void)
{
    static char long_one[5000];
    struct in6_addr widest;
    struct accesslog a = {.addr = &widest,
                          .at = INT64_MAX,
                          .status = 4294967295U,
                          .bytes = INT64_MAX,
                          .took = INT64_MAX,
                          .why = "client"};
    memset(&widest, 0xff, sizeof widest);
    for (int c = 'a'; c >= 0; c -= 'a') {
        memset(long_one, c, sizeof long_one);
        accesslog_text(a.method, ACCESSLOG_METHOD_MAX, long_one, sizeof long_one);
        accesslog_text(a.target, ACCESSLOG_TARGET_MAX, long_one, sizeof long_one);
        accesslog_text(a.agent, ACCESSLOG_AGENT_MAX, long_one, sizeof long_one);
        accesslog_user(&a, long_one, sizeof long_one);
        accesslog_referer(&a, long_one, sizeof long_one);
        size_t n = accesslog_line(line, &a);
        ok(n < ACCESSLOG_LINE_MAX && line[n - 1] == '\n' && !memchr(line, '\n', n - 1),
           "the longest line has %zu bytes", n);
        ok(strlen(a.target) == ACCESSLOG_TARGET_MAX && strlen(a.agent) == ACCESSLOG_AGENT_MAX &&
               strlen(a.referer) == ACCESSLOG_REFERER_MAX && strlen(a.user) == ACCESSLOG_USER_MAX &&
               strlen(a.method) == ACCESSLOG_METHOD_MAX,
           "values of their limits");
    }
    for (size_t max = 0; max < 9; max++) {
        char out[16] = "xxxxxxxxxxxxxxx";
        size_t n = accesslog_text(out, max, "\"a\"", 3);
        ok(n == (max < 4   ? 0u
                 : max < 5 ? 4u
                           : 5u) &&
               !out[n] && out[n + 1] == 'x',
           "cut at %zu bytes: %s", max, out);
    }
}

/* Against the C library's own. */
static void dates(void)
{
    static const int64_t at[] = {0,         59,        86399,      86400,      951782399,
                                 951782400, 951868800, 1735689599, 4107542400, 253402300799};
    char want[64];
    struct accesslog a = {.bytes = -1, .took = -1};
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof at / sizeof *at + 20000; i++) {
        a.at = i < 10 ? at[i] : (int64_t)(i - 10) * 8640013;
        time_t t = (time_t)a.at;
        struct tm tm;
        strftime(want, sizeof want, "[%d/%b/%Y:%H:%M:%S +0000]", gmtime_r(&t, &tm));
        wrong += !strstr(write_line(&a), want);
    }
    ok(wrong == 0, "20010 dates to the year 7445, and the last one: %u wrong", wrong);
    a.at = -5;
    ok(strstr(write_line(&a), "[01/Jan/1970:00:00:00 +0000]") != NULL, "before 1970: 1970");
    a.at = INT64_MAX;
    ok(strstr(write_line(&a), "[31/Dec/9999:23:59:59 +0000]") != NULL, "after 9999: 9999");
}

int main(void)
{
    lines();
    escapes();
    referers();
    limits();
    dates();
    return done();
}
