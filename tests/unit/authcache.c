/* Who was let in: how long it lasts, and what a full table does. */
#include "serve/authcache.h"
#include "tests/tap.h"

static struct authcache cache;

int main(void)
{
    int all = 1, none = 0;
    ok(!authcache_has(&cache, 0, 0) && !authcache_has(&cache, 7, 0), "an empty one has nobody");
    authcache_put(&cache, 7, 1000);
    ok(authcache_has(&cache, 7, 1000) && authcache_has(&cache, 7, 999 + AUTHCACHE_US),
       "known from then on");
    ok(!authcache_has(&cache, 7, 1000 + AUTHCACHE_US), "until its time has passed");
    ok(!authcache_has(&cache, 8, 1000) && !authcache_has(&cache, 0, 1000), "others are not");
    authcache_put(&cache, 7, 2000);
    ok(cache.count == 1 && authcache_has(&cache, 7, 1500 + AUTHCACHE_US), "put again, it is anew");
    authcache_put(&cache, 0, 2000);
    ok(cache.count == 2 && authcache_has(&cache, 0, 2000), "zero is a hash like others");

    authcache_clear(&cache);
    ok(!authcache_has(&cache, 7, 2000) && !authcache_has(&cache, 0, 2000), "cleared");

    for (uint64_t i = 0; i < AUTHCACHE_MAX; i++)
        authcache_put(&cache, i + 100, 5000 + (int64_t)(i == 40 ? 0 : i + 1));
    for (uint64_t i = 0; i < AUTHCACHE_MAX; i++)
        all &= authcache_has(&cache, i + 100, 6000);
    ok(all, "as many as it holds");
    authcache_put(&cache, 1, 6000);
    all = authcache_has(&cache, 1, 6000);
    for (uint64_t i = 0; i < AUTHCACHE_MAX; i++)
        none += !authcache_has(&cache, i + 100, 6000);
    ok(all && none == 1 && !authcache_has(&cache, 140, 6000), "one more takes the oldest's place");
    authcache_put(&cache, 100, 7000);
    ok(cache.count == AUTHCACHE_MAX && authcache_has(&cache, 101, 7000) &&
           authcache_has(&cache, 100, 6999 + AUTHCACHE_US),
       "one that is there takes its own");
    return done();
}
