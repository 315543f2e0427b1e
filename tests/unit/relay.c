/* What the kernel says of a front end's connection: of one of this process's own, which plays all
 * three parts. */
#include "serve/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"

enum { BLOCK = 10000, ASKED = 1000 };

struct pair {
    int listener, client, server;
    struct proxy_ends ends;
};

static char block[BLOCK];

static void end_of(const struct sockaddr_storage *from, struct in6_addr *addr, uint16_t *port)
{
    const struct sockaddr_in6 *six = (const void *)from;
    const struct sockaddr_in *four = (const void *)from;
    char text[INET6_ADDRSTRLEN] = "::ffff:";
    if (from->ss_family == AF_INET6)
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    else
        inet_ntop(AF_INET, &four->sin_addr, text + 7, sizeof text - 7);
    inet_pton(AF_INET6, text, addr);
    *port = ntohs(from->ss_family == AF_INET6 ? six->sin6_port : four->sin_port);
}

/* A connection within this machine. 0, or -1: it has no such addresses. */
static int make_pair(struct pair *p, int family)
{
    struct sockaddr_storage at;
    socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memset(&at, 0, sizeof at);
    at.ss_family = (sa_family_t)family;
    if (family == AF_INET6)
        ((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
    else
        ((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->listener = socket(family, SOCK_STREAM, 0);
    p->client = socket(family, SOCK_STREAM, 0);
    if (bind(p->listener, (void *)&at, size) < 0 || listen(p->listener, 1) < 0)
        return -1;
    getsockname(p->listener, (void *)&at, &size);
    if (connect(p->client, (void *)&at, size) < 0)
        return -1;
    p->server = accept(p->listener, NULL, NULL);
    end_of(&at, &p->ends.server, &p->ends.server_port);
    getsockname(p->client, (void *)&at, &size);
    end_of(&at, &p->ends.client, &p->ends.client_port);
    return 0;
}

static void close_pair(struct pair *p)
{
    close(p->client);
    close(p->server);
    close(p->listener);
}

/* Sends until no more is taken. Returns how many bytes that were. */
static long fill(int fd)
{
    long sum = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = send(fd, block, sizeof block, 0)) > 0;)
        sum += n;
    return sum;
}

static long drain(int fd)
{
    long sum = 0;
    for (ssize_t n; (n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0;)
        sum += n;
    return sum;
}

static void wait_a_little(void)
{
    const struct timespec little = {.tv_nsec = 5000000};
    nanosleep(&little, NULL);
}

/* What arrives within this machine is acknowledged at once, but for the moment that takes. */
static int settled(const struct relay *r, struct relay_left *left, uint32_t want)
{
    for (int i = 0; i < 400; i++, wait_a_little()) {
        if (relay_ask(r, left) < 0)
            return 0;
        if (left->bytes == want)
            return 1;
    }
    return 0;
}

static void test(int diag, int family)
{
    const char *name = family == AF_INET6 ? "IPv6" : "IPv4";
    struct pair outer, hop;
    struct relay r;
    struct relay_left left;
    int unacked = 0;
    if (make_pair(&outer, family) < 0 || make_pair(&hop, AF_INET) < 0) {
        ok(1, "%s # SKIP it is not there", name);
        return;
    }
    struct proxy_ends abroad = outer.ends;
    inet_pton(AF_INET6, family == AF_INET6 ? "2001:db8::7" : "::ffff:192.0.2.7", &abroad.client);
    relay_set(&r, diag, hop.server, &abroad);
    ok(r.diag == diag && memcmp(&r.client, &abroad, sizeof abroad) == 0,
       "%s: a client abroad, a front end on this machine", name);
    ok(relay_ask(&r, &left) < 0, "or it is not");
    r.client = outer.ends;
    ok(relay_ask(&r, &left) == 0 && left.bytes == 0, "nothing is left of nothing");
    ok(send(hop.server, block, 777, 0) == 777 && settled(&r, &left, 777), "what it has not read");
    fill(outer.server);
    for (int before = -1; before != unacked; wait_a_little()) {
        before = unacked;
        ioctl(outer.server, SIOCOUTQ, &unacked);
    }
    ok(unacked > 0 && settled(&r, &left, (uint32_t)unacked + 777),
       "and what its kernel has: %d bytes", unacked);
    ok(left.trip > 0 && left.trip < 1000000, "a round trip of %d us", (int)left.trip);
    drain(hop.client);
    while (drain(outer.client) > 0)
        ;
    ok(settled(&r, &left, 0), "and nothing when all has come");
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int i = 0; i < ASKED; i++)
        relay_ask(&r, &left);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("# %.1f us each time\n", ((double)(ended.tv_sec - began.tv_sec) * 1e6 +
                                     (double)(ended.tv_nsec - began.tv_nsec) / 1e3) /
                                        ASKED);
    struct proxy_ends other = outer.ends;
    other.client_port ^= 1;
    r.client = other;
    ok(relay_ask(&r, &left) < 0, "one the kernel does not know, though something listens there");
    relay_set(&r, diag, hop.server, &outer.ends);
    ok(r.diag == 0, "a client on this machine");
    relay_set(&r, -1, hop.server, &abroad);
    ok(r.diag == 0, "nothing to ask with");
    relay_set(&r, diag, hop.server, &(struct proxy_ends){.client = abroad.client});
    ok(r.diag == 0, "a front end's own connection");
    relay_set(&r, diag, 0, &abroad);
    ok(r.diag == 0, "no socket");
    r = (struct relay){diag, outer.ends, r.hop};
    close_pair(&outer);
    ok(relay_ask(&r, &left) < 0, "one that is gone");
    close_pair(&hop);
}

int main(void)
{
    int diag = relay_open();
    if (diag < 0) {
        ok(1, "all of it # SKIP sock_diag: %s", strerror(errno));
        return done();
    }
    test(diag, AF_INET);
    test(diag, AF_INET6);
    return done();
}
