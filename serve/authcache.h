/* Who was let in a short while ago, by a keyed hash of name and password: crypt(3) is slow on
 * purpose, and each request has to be checked. */
#ifndef SERVE_AUTHCACHE_H
#define SERVE_AUTHCACHE_H

#include <stdint.h>

enum { AUTHCACHE_MAX = 256 }; /* as many as there may be users, each with one password */

#define AUTHCACHE_US (10 * 60 * 1000000LL) /* then the password is checked anew */

struct authcache {
    unsigned count;
    struct {
        uint64_t hash;
        int64_t until; /* us */
    } entry[AUTHCACHE_MAX];
};

/* 1 when the hash was put there less than AUTHCACHE_US before now (us, CLOCK_MONOTONIC). Being
 * asked for does not make it last longer. */
int authcache_has(const struct authcache *cache, uint64_t hash, int64_t now);

/* Remembers it from now on; in a full table it takes the place of the oldest. */
void authcache_put(struct authcache *cache, uint64_t hash, int64_t now);

/* Forgets all. */
void authcache_clear(struct authcache *cache);

#endif
