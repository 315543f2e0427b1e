/* The ring: what was put in is what is read, until the writer has gone over it; then it says so. */
#include "serve/ring.h"
#include "tests/tap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DATA = 64 << 10, ENTRIES = 64, QUARTER = DATA / 4 };

static struct ring ring;
static void *memory;
static uint8_t bytes[DATA];

static void fresh(uint32_t entries)
{
    size_t size = (ring_bytes(DATA, entries) + 4095) / 4096 * 4096;
    free(memory);
    memory = aligned_alloc(4096, size);
    memset(memory, 0, size);
    ring_format(&ring, memory, DATA, entries);
}

/* Fragment n has bytes that tell it from all others. */
static void fill(uint8_t *p, uint64_t n, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)(n * 31 + i * 7 + (i >> 8));
}

static int put(uint64_t n, size_t size, uint32_t flags)
{
    struct ring_frag f = {.dts = n * 3000,
                          .duration = 3000,
                          .flags = flags,
                          .samples = 1,
                          .tfdt_at = 8,
                          .duration_at = 16,
                          .duration_n = 1,
                          .payload_at = 32};
    fill(bytes, n, size);
    return ring_put(&ring, &f, bytes, size, 0);
}

static int is_right(uint64_t n, const struct ring_frag *f)
{
    static uint8_t want[DATA];
    fill(want, n, f->size);
    return f->dts == n * 3000 && !memcmp(ring_data(&ring, f), want, f->size);
}

static void begin(void)
{
    struct ring_frag f;
    uint8_t init[RING_INIT_BYTES + 1] = {1, 2, 3};
    fresh(ENTRIES);
    ok(ring_head(&ring) == 0 && ring_last_key(&ring) == -1, "an empty ring");
    ok(ring_get(&ring, 0, &f) < 0 && !ring_init_of(&ring, 0), "has nothing to read");
    ok(put(0, 100, RING_SYNC) < 0 && ring_head(&ring) == 0, "nothing without an init segment");
    ok(ring_put_init(&ring, init, sizeof init, 1) < 0, "an init segment that is too long");
    ok(ring_put_init(&ring, init, RING_INIT_BYTES, 90000) == 0, "the longest one");
    const struct ring_init *found = ring_init_of(&ring, 1);
    ok(found && found->size == RING_INIT_BYTES && found->timescale == 90000 &&
           !memcmp(found->bytes, init, RING_INIT_BYTES),
       "is there");
    ok(put(0, QUARTER + 1, RING_SYNC) < 0, "a fragment over a quarter of the ring");
    ok(put(0, QUARTER, RING_SYNC) == 0 && ring_head(&ring) == 1, "one of a quarter");
    ok(ring_get(&ring, 0, &f) == 0 && is_right(0, &f) && f.epoch == 1 && f.size == QUARTER,
       "can be read");
    ok(put(1, 32, 0) == 0 && ring_last_key(&ring) == 0, "the newest keyframe is 0");
    ok(put(2, 32, RING_SYNC) == 0 && ring_last_key(&ring) == 2, "then 2");
}

static void every_field(void)
{
    struct ring_frag f, in = {.dts = UINT64_MAX - 1,
                              .utc_us = 0x0123456789abcdef,
                              .duration = 0xfffffffe,
                              .flags = 0x80000001,
                              .samples = 0xfff1,
                              .moof_at = 0x0ff2,
                              .sequence_at = 0x1ff3,
                              .tfdt_at = 0x2ff4,
                              .payload_at = 0x3ff5,
                              .duration_at = 0x10f6,
                              .duration_n = 0x0017,
                              .duration_step = 0x01f8,
                              .flags_at = 0x10f9,
                              .flags_n = 0x01fa,
                              .flags_step = 0x0016,
                              .first_flags_at = 0x3e0c,
                              .offset_at = 0x10fa,
                              .offset_n = 0x0048,
                              .offset_step = 0x0025,
                              .trun_version_at = 0x3f0d};
    fresh(ENTRIES);
    ring_put_init(&ring, bytes, 10, 1);
    ring_put_init(&ring, bytes, 10, 1);
    ring_put(&ring, &in, bytes, QUARTER, 0);
    memset(&f, 0, sizeof f);
    ok(ring_get(&ring, 0, &f) == 0 && f.size == QUARTER && f.epoch == 2,
       "size and epoch are filled in");
    ok(!memcmp(&f, &in, sizeof f), "every field comes back");
}

/* Random sizes, many times around: all that is said to be readable is right, and it is most of it.
 */
static void around(uint32_t entries, size_t largest)
{
    uint64_t random = 88172645463325252, oldest = 0, span_least = UINT64_MAX;
    int right = 1, pieces = 1, ends = 1, safe = 1;
    fresh(entries);
    ring_put_init(&ring, bytes, 10, 1);
    for (uint64_t n = 0; n < 5000; n++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        right &= put(n, 32 + (size_t)(random % (largest - 31)), n % 30 == 0 ? RING_SYNC : 0) == 0;
        uint64_t span = 0, first = UINT64_MAX;
        struct ring_frag f;
        for (uint64_t i = oldest; i <= n; i++) {
            if (ring_get(&ring, i, &f) < 0) {
                ends &= first == UINT64_MAX; /* nothing is missing in the middle */
                oldest = i + 1;
                continue;
            }
            first = first < i ? first : i;
            span += f.size;
            right &= is_right(i, &f) && ring_whole(&ring, &f);
            pieces &= f.pos % DATA + f.size <= DATA;
            safe &= !ring_safe(&ring, &f) || i + 1 >= n || f.pos >= atomic_load(&ring.header->tail);
        }
        if (n > 1000 && span < span_least)
            span_least = span;
        ends &= ring_get(&ring, n, &f) == 0 && ring_get(&ring, n + 1, &f) < 0;
        right &= ring_last_key(&ring) == (int64_t)(n / 30 * 30);
    }
    ok(right, "%u entries, up to %zu bytes: whatever is readable is right", entries, largest);
    ok(pieces && ends && safe, "in one piece, without a hole, the newest always");
    if (largest * entries > 4 * DATA)
        ok(span_least >= DATA / 2, "at least half of the ring is readable: %u",
           (unsigned)span_least);
}

/* A reader in the middle of a fragment that the writer goes over. */
static void lapped(void)
{
    struct ring_frag f;
    fresh(1024);
    ring_put_init(&ring, bytes, 10, 1);
    put(0, 1000, RING_SYNC);
    ring_get(&ring, 0, &f);
    uint64_t n = 1, unsafe = 0, gone = 0;
    for (; n < 200 && !gone; n++) {
        put(n, 1000, 0);
        if (!unsafe && !ring_safe(&ring, &f))
            unsafe = n;
        if (ring_whole(&ring, &f) != is_right(0, &f))
            break;
        if (!ring_whole(&ring, &f))
            gone = n;
    }
    ok(gone == 65, "lapped by fragment %d, and told so exactly then", (int)gone);
    ok(unsafe && gone - unsafe <= 9 && ring_get(&ring, 0, &f) < 0, "unsafe before that: %d",
       (int)unsafe);
    fresh(16);
    ring_put_init(&ring, bytes, 10, 1);
    for (n = 0; n < 15; n++)
        put(n, 40, 0);
    ok(ring_get(&ring, 0, &f) == 0, "15 fragments in 16 entries: the first is there");
    put(15, 10, 0);
    ok(ring_get(&ring, 0, &f) < 0 && ring_get(&ring, 1, &f) == 0, "the 16th costs it its place");
}

static void epochs(void)
{
    int kept = 1, gone = 1, after = 1;
    fresh(ENTRIES);
    for (uint32_t e = 1; e <= 100; e++) {
        uint8_t init[8] = {(uint8_t)e};
        struct ring_frag f;
        ring_put_init(&ring, init, sizeof init, e);
        put(e, 50, RING_SYNC);
        after &= ring_get(&ring, e - 1, &f) == 0 && f.epoch == e;
        for (uint32_t k = 1; k <= e; k++) {
            const struct ring_init *i = ring_init_of(&ring, k);
            kept &= k + RING_INIT_SLOTS <= e || (i && i->bytes[0] == k && i->timescale == k);
            gone &= k + RING_INIT_SLOTS > e || !i;
        }
    }
    ok(after, "a fragment belongs to the newest epoch");
    ok(kept && gone, "the newest %d init segments are kept, older ones are known to be gone",
       RING_INIT_SLOTS);
}

/* A reader in a thread of its own, as fast as it can, while the writer goes round. Bytes are copied
 * while they may be written over, which is a race by design; what counts is that it is noticed. */
static atomic_int writing;
static int plain; /* a race is planted, for ThreadSanitizer to find: bytes are read as they lie */

static void *read_all(void *nothing)
{
    static uint8_t copy[DATA], want[DATA];
    static unsigned long seen[3]; /* good, lapped and told, torn and not told */
    static struct ring_init init;
    (void)nothing;
    memset(seen, 0, sizeof seen);
    for (uint64_t back = 0; atomic_load(&writing); back = (back + 7) % ENTRIES) {
        uint64_t head = ring_head(&ring);
        struct ring_frag f;
        if (head <= back || ring_get(&ring, head - 1 - back, &f) < 0)
            continue;
        if (plain)
            memcpy(copy, ring_data(&ring, &f), f.size);
        else
            ring_read(&ring, &f, copy);
        if (!ring_whole(&ring, &f)) {
            seen[1]++;
            continue;
        }
        if (ring_copy_init(&ring, f.epoch, &init) == 0)
            seen[2] += init.timescale != f.epoch || init.size != 10 + f.epoch % 7 ||
                       init.bytes[0] != (uint8_t)f.epoch || init.bytes[9] != (uint8_t)f.epoch;
        fill(want, f.dts / 3000, f.size);
        seen[f.dts / 3000 != head - 1 - back || memcmp(copy, want, f.size) ? 2 : 0]++;
    }
    return seen;
}

static void threads(void)
{
    pthread_t reader;
    void *result;
    uint8_t init[17];
    fresh(ENTRIES);
    ring_put_init(&ring, memset(init, 1, sizeof init), 11, 1);
    atomic_store(&writing, 1);
    if (!ok(pthread_create(&reader, NULL, read_all, NULL) == 0, "a reader in a thread"))
        return;
    for (uint64_t n = 0, end = tap_often(100000); n < end; n++) {
        uint32_t epoch = (uint32_t)(n / 100 + 2);
        if (n % 100 == 0)
            ring_put_init(&ring, memset(init, (int)(epoch & 0xff), sizeof init), 10 + epoch % 7,
                          epoch);
        put(n, 500 + (size_t)(n * 131 % 3000), n % 30 == 0);
    }
    atomic_store(&writing, 0);
    pthread_join(reader, &result);
    const unsigned long *seen = result;
    ok(seen[0] > 100 && seen[2] == 0, "%lu whole, %lu lapped and told so, %lu torn unnoticed",
       seen[0], seen[1], seen[2]);
}

/* "threads" runs no more than that; "plain" too, and with a race. */
int main(int argc, char **argv)
{
    plain = argc > 1 && strcmp(argv[1], "plain") == 0;
    if (argc == 1) {
        begin();
        every_field();
        around(ENTRIES, 100);
        around(ENTRIES, QUARTER);
        around(4096, 1000);
        around(4096, 40);
        lapped();
        epochs();
    }
    threads();
    return done();
}
