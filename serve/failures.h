/* Wrong passwords, by the address they came from: who has had too many must wait.
 *
 * An address may have FAILURES_BURST of them at once and one more every FAILURES_EACH_US after
 * that, which is ten a minute for as long as it goes on. Only one time is kept for each: when it
 * will have paid for all of its failures. An address that has paid is forgotten.
 *
 * IPv6 is counted by /64, which is what one customer has; an IPv4 address (mapped) by itself.
 *
 * The table is fixed, and nobody is pushed out of it: an attacker with many addresses would use
 * that to have his own forgotten. While it is full, all who are not in it are counted as one
 * address, so ever so many get no more than FAILURES_MAX + 1 times what one gets. That can make a
 * stranger wait who has done nothing wrong, but only while more than FAILURES_MAX addresses fail
 * every six seconds: that is 170 a second, where crypt(3) with a hash worth having does some tens.
 */
#ifndef SERVE_FAILURES_H
#define SERVE_FAILURES_H

#include <netinet/in.h>
#include <stdint.h>

enum {
    FAILURES_MAX = 1024, /* addresses */
    FAILURES_BURST = 10,
};

#define FAILURES_EACH_US (6 * 1000000LL)

struct failures {
    unsigned count;
    int64_t others; /* us: as entry.until, of all who find no place */
    struct {
        struct in6_addr addr;
        int64_t until; /* us: when it has paid */
    } entry[FAILURES_MAX];
};

/* 1 when the address must not try now (us, CLOCK_MONOTONIC). */
int failures_blocked(const struct failures *f, const struct in6_addr *addr, int64_t now);

/* Counts one failure. */
void failures_add(struct failures *f, const struct in6_addr *addr, int64_t now);

/* Whether the two are counted as one. */
int failures_same(const struct in6_addr *a, const struct in6_addr *b);

#endif
