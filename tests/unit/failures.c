/* Wrong passwords by address: how many, for how long, whose, and what many addresses can do. */
#include "serve/failures.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <string.h>

enum { S = 1000000 };

static struct failures f;

static struct in6_addr address(const char *text)
{
    struct in6_addr a;
    if (inet_pton(AF_INET6, text, &a) != 1)
        memset(&a, 0xff, sizeof a);
    return a;
}

static struct in6_addr numbered(unsigned i)
{
    struct in6_addr a = address("2001:db8::1");
    a.s6_addr[6] = (uint8_t)(i >> 8);
    a.s6_addr[7] = (uint8_t)i;
    return a;
}

/* Fails as often as it may from then on, at most `max` times. Returns how often. */
static int fail_all(const struct in6_addr *a, int max, int64_t now)
{
    int n = 0;
    for (; n < max && !failures_blocked(&f, a, now); n++)
        failures_add(&f, a, now);
    return n;
}

static void one_address(void)
{
    struct in6_addr a = address("::ffff:192.0.2.1"), b = address("::ffff:192.0.2.2");
    int64_t now = 1000 * S;
    int n = 0;
    ok(!failures_blocked(&f, &a, now), "nobody is blocked at first");
    ok(fail_all(&a, 100, now) == FAILURES_BURST, "ten at once");
    ok(!failures_blocked(&f, &b, now), "its neighbour is not");
    ok(failures_blocked(&f, &a, now + 6 * S - 1) && !failures_blocked(&f, &a, now + 6 * S),
       "the next one after six seconds");
    for (int64_t t = 0; t < 600 * S; t += S / 10)
        n += fail_all(&a, 100, now + 60 * S + t);
    ok(n >= 100 && n <= 110, "in ten minutes, as fast as it goes: %d", n);
    now += 2000 * S;
    ok(fail_all(&a, 9, now) == 9 && !failures_blocked(&f, &a, now), "nine do not block");
    ok(fail_all(&a, 100, now + 54 * S) == FAILURES_BURST, "and are paid for within a minute");
    failures_add(&f, &b, now + 2000 * S);
    ok(f.count == 1, "who has paid is forgotten");
}

static void networks(void)
{
    struct in6_addr a = address("2001:db8::1"), b = address("2001:db8::ffff:0:2"),
                    c = address("2001:db8:0:1::1"), loop = address("::1"),
                    v4 = address("::ffff:127.0.0.1");
    memset(&f, 0, sizeof f);
    ok(failures_same(&a, &b) && !failures_same(&a, &c), "a /64 is one");
    ok(!failures_same(&loop, &v4) && !failures_same(&v4, &loop) && failures_same(&v4, &v4),
       "IPv4 is not all one, nor IPv6's loopback");
    fail_all(&a, 100, S);
    ok(failures_blocked(&f, &b, S) && !failures_blocked(&f, &c, S), "and is blocked as one");
    fail_all(&loop, 100, S);
    ok(failures_blocked(&f, &loop, S) && !failures_blocked(&f, &v4, S), "the loopbacks are two");
}

/* With twice as many addresses as there are places: what they get together in a minute. */
static void many_addresses(void)
{
    struct in6_addr first = numbered(0), stranger = address("2001:db9::1");
    int64_t now = 100 * S;
    long got = 0, most = 0;
    memset(&f, 0, sizeof f);
    fail_all(&first, 100, now);
    for (unsigned i = 1; i < FAILURES_MAX; i++) {
        struct in6_addr a = numbered(i);
        failures_add(&f, &a, now);
    }
    ok(f.count == FAILURES_MAX && failures_blocked(&f, &first, now), "a full table");
    for (unsigned i = 0; i < 3 * FAILURES_MAX; i++) {
        struct in6_addr a = numbered(FAILURES_MAX + i);
        most += fail_all(&a, 1, now);
    }
    ok(failures_blocked(&f, &first, now), "whoever was blocked stays so");
    ok(most == FAILURES_BURST, "all who find no place have what one has: %ld", most);
    ok(failures_blocked(&f, &stranger, now) && !failures_blocked(&f, &stranger, now + 60 * S),
       "a stranger waits as well, not for long");
    now += 1000 * S;
    for (int64_t t = 0; t < 60 * S; t += S)
        for (unsigned i = 0; i < 2 * FAILURES_MAX; i++) {
            struct in6_addr a = numbered(i);
            got += fail_all(&a, 2, now + t);
        }
    ok(got <= 20L * (FAILURES_MAX + 1), "a minute from everywhere: %ld", got);
}

int main(void)
{
    one_address();
    networks();
    many_addresses();
    return done();
}
