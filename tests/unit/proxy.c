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
static int parse(const char *text, size_t len, struct proxy_ends *ends)
{
    long page = sysconf(_SC_PAGESIZE);
    char *map =
        mmap(NULL, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(map + page, (size_t)page, PROT_NONE);
    char *at = map + page - len;
    memcpy(at, text, len);
    int n = proxy_parse(at, len, ends);
    munmap(map, (size_t)page * 2);
    return n;
}

/* want: the client's address; the server's and both ports are the line's. */
static void good(const char *line, const char *want)
{
    char text[256], got[INET6_ADDRSTRLEN], server[INET6_ADDRSTRLEN], said[256];
    struct proxy_ends ends = {.client = in6addr_loopback};
    int n = snprintf(text, sizeof text, "%s\r\n", line), more = 1;
    for (int i = 0; i < n; i++)
        more &= parse(text, (size_t)i, &ends) == PROXY_MORE;
    ok(more, "%s: cut anywhere, more is wanted", line);
    int with = snprintf(text, sizeof text, "%s\r\n%s", line, request);
    int length = parse(text, (size_t)with, &ends);
    inet_ntop(AF_INET6, &ends.client, got, sizeof got);
    ok(length == n && strcmp(got, want) == 0, "%s: %d bytes of %d, from %s", line, length, with,
       got);
    if (strncmp(line, "PROXY TCP", 9) != 0) {
        ok(ends.client_port == 0 && ends.server_port == 0, "no ports");
        return;
    }
    inet_ntop(AF_INET6, &ends.server, server, sizeof server);
    const char *shown =
        strstr(line, "TCP4") && strncmp(server, "::ffff:", 7) == 0 ? server + 7 : server;
    snprintf(said, sizeof said, " %s %u %u", shown, ends.client_port, ends.server_port);
    ok(strcmp(line + strlen(line) - strlen(said), said) == 0, "to%s", said);
}

static void bad(const char *text)
{
    static const struct proxy_ends none = {.client = {{{1, 2, 3}}}, .client_port = 7};
    struct proxy_ends ends = none;
    int n = parse(text, strlen(text), &ends);
    ok(n == PROXY_BAD && memcmp(&ends, &none, sizeof ends) == 0, "refused: %.*s",
       (int)strcspn(text, "\r\n"), text);
}

int main(void)
{
    char text[PROXY_MAX + 2];
    struct proxy_ends ends;
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
    ok(parse(text, PROXY_MAX, &ends) == PROXY_MAX, "a line of %d bytes", PROXY_MAX);
    memcpy(text + PROXY_MAX - 2, "x\r\n", 3);
    ok(parse(text, PROXY_MAX + 1, &ends) == PROXY_BAD, "one more is refused");
    ok(parse(text, PROXY_MAX, &ends) == PROXY_BAD, "before its end is there");
    memcpy(text, "PROXY UNKNOWN a\0b\r\n", 19);
    ok(parse(text, 19, &ends) == PROXY_BAD, "a zero in it");
    return done();
}
