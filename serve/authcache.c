#include "serve/authcache.h"

#include <string.h>

int authcache_has(const struct authcache *cache, uint64_t hash, int64_t now)
{
    for (unsigned i = 0; i < cache->count; i++)
        if (cache->entry[i].hash == hash)
            return now < cache->entry[i].until;
    return 0;
}

void authcache_put(struct authcache *cache, uint64_t hash, int64_t now)
{
    unsigned place = 0;
    for (unsigned i = 0; i < cache->count; i++) {
        if (cache->entry[i].hash == hash) {
            place = i;
            break;
        }
        if (cache->entry[i].until < cache->entry[place].until)
            place = i;
    }
    if (!cache->count || (cache->entry[place].hash != hash && cache->count < AUTHCACHE_MAX))
        place = cache->count++;
    cache->entry[place].hash = hash;
    cache->entry[place].until = now + AUTHCACHE_US;
}

void authcache_clear(struct authcache *cache)
{
    explicit_bzero(cache, sizeof *cache);
}
