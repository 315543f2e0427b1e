#include "serve/failures.h"

#include <string.h>

enum { NETWORK_BYTES = 8 }; /* of a /64 */

int failures_same(const struct in6_addr *a, const struct in6_addr *b)
{
    size_t n = IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4MAPPED(b) ? sizeof *a : NETWORK_BYTES;
    return memcmp(a, b, n) == 0;
}

/* One more failure would be more than may be owed at once. */
static int is_over(int64_t until, int64_t now)
{
    return until - now > (FAILURES_BURST - 1) * FAILURES_EACH_US;
}

static int64_t one_more(int64_t until, int64_t now)
{
    return (until > now ? until : now) + FAILURES_EACH_US;
}

int failures_blocked(const struct failures *f, const struct in6_addr *addr, int64_t now)
{
    for (unsigned i = 0; i < f->count; i++)
        if (failures_same(&f->entry[i].addr, addr))
            return is_over(f->entry[i].until, now);
    return f->count == FAILURES_MAX && is_over(f->others, now);
}

/* Drops those who have paid; returns the place of addr, or f->count when it has none. */
static unsigned find(struct failures *f, const struct in6_addr *addr, int64_t now)
{
    unsigned place = FAILURES_MAX;
    for (unsigned i = 0; i < f->count;) {
        if (f->entry[i].until <= now) {
            f->entry[i] = f->entry[--f->count];
            continue;
        }
        if (failures_same(&f->entry[i].addr, addr))
            place = i;
        i++;
    }
    return place < f->count ? place : f->count;
}

void failures_add(struct failures *f, const struct in6_addr *addr, int64_t now)
{
    unsigned place = find(f, addr, now);
    if (place == FAILURES_MAX) {
        f->others = one_more(f->others, now);
        return;
    }
    if (place == f->count) {
        f->entry[place].addr = *addr;
        f->entry[place].until = now;
        f->count++;
    }
    f->entry[place].until = one_more(f->entry[place].until, now);
}
