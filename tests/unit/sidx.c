/* The index at the beginning of a file: its bytes, and when there is none. */
#include "mux/sidx.h"
#include "mux/box.h"
#include "tests/tap.h"

#include <string.h>

enum { PLACE = 687, FIRST = PLACE + SIDX_ROOM };

static struct sidx sidx;
static uint8_t out[SIDX_ROOM];

/* The index, which stands behind what is left of the free box. */
static const uint8_t *box(void)
{
    return out + get_u32(out);
}

static const uint8_t *entry(uint32_t i)
{
    return box() + SIDX_FIXED + i * SIDX_ENTRY_BYTES;
}

/* The sum of a field of all entries. */
static uint64_t sum(uint32_t n, unsigned field)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += get_u32(entry(i) + field);
    return all;
}

static void room(void)
{
    ok(sidx_reserve(out, sizeof out) == SIDX_ROOM && get_u32(out) == SIDX_ROOM &&
           memcmp(out + 4, "free", 5) == 0,
       "room is a free box");
    ok(sidx_reserve(out, sizeof out - 1) == 0, "which needs its room");
    ok(sidx_write(&sidx, PLACE, FIRST, 0, out, sizeof out) == 0, "no entry, no index");
}

static void three(void)
{
    const uint32_t size = SIDX_FIXED + 3 * SIDX_ENTRY_BYTES;
    sidx_add(&sidx, 7, FIRST, SIDX_SAP_CLOSED);
    sidx_add(&sidx, 90007, FIRST + 1000, SIDX_SAP_OPEN);
    sidx_add(&sidx, 190007, FIRST + 3000, SIDX_SAP_NONE);
    size_t n = sidx_write(&sidx, PLACE, FIRST + 7000, 200007, out, sizeof out);
    ok(n == SIDX_ROOM && get_u32(out) == SIDX_ROOM - size && memcmp(out + 4, "free", 5) == 0,
       "three: a free box in the rest of the room");
    ok(get_u32(box()) == size && memcmp(box() + 4, "sidx\1\0\0", 8) == 0,
       "and version 1 behind it");
    ok(get_u32(box() + 12) == 1 && get_u32(box() + 16) == 90000 && get_u64(box() + 20) == 7 &&
           get_u64(box() + 28) == 0 && get_u32(box() + 36) == 3,
       "track, timescale, first time, and the first place is what follows");
    ok(get_u32(entry(0)) == 1000 && get_u32(entry(1)) == 2000 && get_u32(entry(2)) == 4000,
       "sizes: up to the next, and to the end");
    ok(get_u32(entry(0) + 4) == 90000 && get_u32(entry(1) + 4) == 100000 &&
           get_u32(entry(2) + 4) == 10000,
       "and so are the durations");
    ok(get_u32(entry(0) + 8) == 0x90000000 && get_u32(entry(1) + 8) == 0xb0000000 &&
           get_u32(entry(2) + 8) == 0,
       "how they begin: SAP types 1 and 3, and nothing said");
    ok(sidx_write(&sidx, PLACE, FIRST + 7000, 200007, out, sizeof out - 1) == 0,
       "it needs its room");
}

static void limits(void)
{
    const uint64_t at = FIRST + 3000, time = 190007;
    ok(sidx_write(&sidx, PLACE, at + INT32_MAX, time, out, sizeof out) == SIDX_ROOM &&
           get_u32(entry(2)) == INT32_MAX,
       "a subsegment of 2^31 - 1 bytes");
    ok(sidx_write(&sidx, PLACE, at + INT32_MAX + 1, time, out, sizeof out) == 0,
       "one more: no index");
    ok(sidx_write(&sidx, PLACE, at, time + UINT32_MAX, out, sizeof out) == SIDX_ROOM &&
           sidx_write(&sidx, PLACE, at, time + UINT32_MAX + 1, out, sizeof out) == 0,
       "of 2^32 - 1 ticks, and one more");
}

/* Entries of 10 bytes and 100 ticks. */
static void many(void)
{
    memset(&sidx, 0, sizeof sidx);
    uint64_t n = 0;
    for (; n < SIDX_MAX; n++)
        sidx_add(&sidx, n * 100, FIRST + n * 10, SIDX_SAP_CLOSED);
    ok(sidx_write(&sidx, PLACE, FIRST + n * 10, n * 100, out, sizeof out) == SIDX_ROOM &&
           get_u32(box() + 36) == SIDX_MAX && sum(SIDX_MAX, 0) == n * 10 &&
           sum(SIDX_MAX, 4) == n * 100,
       "full");
    sidx_add(&sidx, n * 100, FIRST + n * 10, SIDX_SAP_CLOSED);
    ok(sidx_write(&sidx, PLACE, FIRST + n * 10 + 10, n * 100 + 100, out, sizeof out) == 0,
       "one more: no index");
}

int main(void)
{
    room();
    three();
    limits();
    many();
    return done();
}
