/* The index at the end of a file: its bytes, and what is left of more entries than it holds. */
#include "mux/mfra.h"
#include "mux/box.h"
#include "tests/tap.h"

#include <string.h>

static struct mfra mfra;
static uint8_t out[MFRA_BYTES_MAX];

int main(void)
{
    size_t n = mfra_write(&mfra, out, sizeof out);
    ok(n == MFRA_FIXED && get_u32(out) == n && memcmp(out + 4, "mfra", 4) == 0, "an empty one");
    mfra_add(&mfra, 7, 1000);
    mfra_add(&mfra, 90007, 70000);
    n = mfra_write(&mfra, out, sizeof out);
    ok(n == MFRA_FIXED + 2 * TFRA_ENTRY_BYTES && get_u32(out + n - 4) == n,
       "two entries; its last bytes say its size");
    ok(get_u32(out + 28) == 2 && get_u64(out + 32) == 7 && get_u64(out + 40) == 1000 &&
           get_u64(out + 51) == 90007 && get_u64(out + 59) == 70000,
       "their times and places");
    ok(mfra_write(&mfra, out, n) == n && mfra_write(&mfra, out, n - 1) == 0, "in just its room");
    for (uint64_t i = 2; i < TFRA_MAX; i++)
        mfra_add(&mfra, i, i);
    ok(mfra.count == TFRA_MAX && mfra_write(&mfra, out, sizeof out) == sizeof out, "full");
    for (uint64_t i = 0; i < TFRA_MAX; i++)
        mfra_add(&mfra, TFRA_MAX + i, i);
    ok(mfra.count == TFRA_MAX && mfra.entry[TFRA_MAX - 1].time == 2 * TFRA_MAX - 2 &&
           mfra.entry[1].time == 2,
       "of twice as many every second one");
    return done();
}
