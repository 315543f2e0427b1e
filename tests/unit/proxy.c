/* The PROXY line: what is one, where it may be cut, what is none. */
#include "serve/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tap.h"

static const char request[] = "GET / HTTP/1.1\r\n\r\n";

/* The line right in front of a page that cannot be read. */
static int parse(const char *text, size_t len, struct in6_addr *from)
{
    long page = sysconf(_SC_PAGESIZE);
    char *map =
        mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map + page, (size_t)page, PROT_NONE);
    char *at = map + page - len;
    memcpy(at, text, len);
    int n = proxy_parse(at, len, from);
    munmap(map, (size_t)page * 2);
    return n;
}

static void good(const char *line, const char *want)
{
    char text[256], got[INET6_ADDRSTRLEN];
    struct in6_addr from = in6addr_loopback;
    int n = snprintf(text, sizeof text, "%s\r\n", line), more = 1;
    for (int i = 0; i < n; i++)
        more &= parse(text, (size_t)i, &from) == PROXY_MORE;
    ok(more, "%s: cut anywhere, more is wanted", line);
    int with = snprintf(text, sizeof text, "%s\r\n%s", line, request);
    int length = parse(text, (size_t)with, &from);
    inet_ntop(AF_INET6, &from, got, sizeof got);
    ok(length == n && strcmp(got, want) == 0, "%s: %d bytes of %d, from %s", line, length, with,
       got);
}

static void bad(const char *text)
{
    struct in6_addr from = in6addr_loopback;
    int n = parse(text, strlen(text), &from);
    ok(n == PROXY_BAD && memcmp(&from, &in6addr_loopback, sizeof from) == 0, "refused: %.*s",
       (int)strcspn(text, "\r\n"), text);
}

int main(void)
{
    char text[PROXY_MAX + 2];
    struct in6_addr from;
    good("PROXY TCP4 192.0.2.7 127.0.0.1 56324 443", "::ffff:192.0.2.7");
    good("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "::ffff:255.255.255.255");
    good("PROXY TCP6 2001:db8::7 ::1 56324 443", "2001:db8::7");
    good("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    good("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:127.0.0.1 1 2", "::ffff:192.0.2.7");
    good("PROXY UNKNOWN", "::1");
    good("PROXY UNKNOWN ffff::1 whatever this may be", "::1");
    bad("GET / HTTP/1.1\r\n");
    bad("P GET");
    bad("\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 56324\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 56324 443 1\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1  56324 443\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 56324 65536\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 -1 443\r\n");
    bad("PROXY TCP4 192.0.2.256 127.0.0.1 1 443\r\n");
    bad("PROXY TCP4 ::1 ::1 1 443\r\n");
    bad("PROXY TCP6 127.0.0.1 ::1 1 443\r\n");
    bad("PROXY UDP4 127.0.0.1 127.0.0.1 1 443\r\n");
    bad("PROXY UNKNOWNS\r\n");
    bad("PROXY TCP4 192.0.2.7 127.0.0.1 56324 443 \r\n");
    memset(text, 'x', sizeof text);
    memcpy(text, "PROXY UNKNOWN ", 14);
    memcpy(text + PROXY_MAX - 2, "\r\n", 2);
    ok(parse(text, PROXY_MAX, &from) == PROXY_MAX, "a line of %d bytes", PROXY_MAX);
    memcpy(text + PROXY_MAX - 2, "x\r\n", 3);
    ok(parse(text, PROXY_MAX + 1, &from) == PROXY_BAD, "one more is refused");
    ok(parse(text, PROXY_MAX, &from) == PROXY_BAD, "before its end is there");
    memcpy(text, "PROXY UNKNOWN a\0b\r\n", 19);
    ok(parse(text, 19, &from) == PROXY_BAD, "a zero in it");
    return done();
}
