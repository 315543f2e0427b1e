/* The bit reader and writer: codes there and back, emulation prevention, ends. */
#include "capture/bits.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t out[1 << 16];

/* A copy of p that ends where an unreadable page begins. */
static const uint8_t *at_edge(const uint8_t *p, size_t len)
{
    static uint8_t *map;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (!map) {
        map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE))
            _exit(99);
    }
    memcpy(map + page - len, p, len);
    return map + page - len;
}

static void known_codes(void)
{
    static const struct {
        uint32_t value;
        uint8_t bytes[2]; /* the code and rbsp_trailing_bits() */
        size_t len;
    } ue[] = {{0, {0xc0}, 1}, {1, {0x50}, 1}, {2, {0x70}, 1},       {3, {0x24}, 1},
              {7, {0x11}, 1}, {8, {0x13}, 1}, {15, {0x08, 0x40}, 2}};
    static const int32_t se[] = {0, 1, -1, 2, -2, 3, -3};

    for (size_t i = 0; i < sizeof ue / sizeof *ue; i++) {
        struct bitwriter w;
        struct bits b;
        bitw_init(&w, out, sizeof out);
        bitw_ue(&w, ue[i].value);
        bitw_trailing(&w);
        bits_init(&b, ue[i].bytes, ue[i].len);
        ok(w.len == ue[i].len && !memcmp(out, ue[i].bytes, w.len), "ue %u written", ue[i].value);
        ok(bits_ue(&b) == ue[i].value && !bits_more(&b) && !b.bad, "ue %u read", ue[i].value);
    }
    for (uint32_t k = 0; k < 7; k++) {
        struct bitwriter w;
        struct bits b;
        bitw_init(&w, out, sizeof out);
        bitw_ue(&w, k);
        bitw_se(&w, se[k]);
        bitw_trailing(&w);
        bits_init(&b, out, w.len);
        int32_t value = bits_se(&b);
        ok(value == se[k] && bits_ue(&b) == k, "se %d is code %u (Table 9-3)", se[k], k);
    }
}

static void extremes(void)
{
    struct bitwriter w;
    struct bits b;

    bitw_init(&w, out, sizeof out);
    bitw_u(&w, 3, 5);
    bitw_ue(&w, UINT32_MAX - 1);
    bitw_se(&w, INT32_MAX);
    bitw_se(&w, -INT32_MAX);
    bitw_u(&w, 32, UINT32_MAX);
    bitw_u(&w, 32, 0);
    bitw_u(&w, 5, 0xffffffe1);
    bitw_trailing(&w);
    bits_init(&b, at_edge(out, w.len), w.len);
    ok(bits_u(&b, 3) == 5 && bits_ue(&b) == UINT32_MAX - 1, "the largest ue");
    ok(bits_se(&b) == INT32_MAX && bits_se(&b) == -INT32_MAX, "the largest se");
    ok(bits_u(&b, 32) == UINT32_MAX && bits_u(&b, 32) == 0, "32 bits at once");
    ok(bits_u(&b, 0) == 0 && bits_u(&b, 5) == 1, "a value too large is cut to its bits");
    ok(!bits_more(&b) && !b.bad, "nothing more, nothing bad");

    static const uint8_t zeros[] = {0, 0, 3, 0, 0, 3, 0, 0x80, 0};
    bits_init(&b, zeros, sizeof zeros);
    ok(bits_ue(&b) == 0 && b.bad, "a code of 32 zeros is bad");
    ok(bits_u(&b, 8) == 0 && bits_se(&b) == 0 && !bits_more(&b), "and it stays so");
}

static void emulation(void)
{
    static const uint8_t plain[] = {0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0};
    static const uint8_t nal[] = {0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 3,
                                  2, 0, 0, 3, 3, 0, 0, 4, 0, 0, 0x80};
    struct bitwriter w;
    struct bits b;
    int good = 1;

    bitw_init(&w, out, sizeof out);
    bitw_raw(&w, plain, sizeof plain);
    bitw_trailing(&w);
    ok(w.len == sizeof nal && !memcmp(out, nal, w.len), "emulation prevention written");
    bits_init(&b, nal, sizeof nal);
    for (size_t i = 0; i < sizeof plain; i++)
        good &= bits_u(&b, 8) == plain[i];
    ok(good && !b.bad && !bits_more(&b), "and stepped over");
    for (unsigned shift = 1; shift < 8; shift++) {
        good = 1;
        bitw_init(&w, out, sizeof out);
        bitw_u(&w, shift, 0);
        for (size_t i = 0; i < sizeof plain; i++)
            bitw_u(&w, 8, plain[i]);
        bitw_trailing(&w);
        for (size_t i = 2; i < w.len; i++)
            good &= out[i - 2] || out[i - 1] || out[i] > 2;
        bits_init(&b, at_edge(out, w.len), w.len);
        bits_u(&b, shift);
        for (size_t i = 0; i < sizeof plain; i++)
            good &= bits_u(&b, 8) == plain[i];
        ok(good && !b.bad && !bits_more(&b), "no start code inside, %u bits shifted", shift);
    }
}

static void more(void)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
        unsigned skip;
        int more;
        const char *what;
    } t[] = {
        {{0}, 0, 0, 0, "an empty payload"},
        {{0x80}, 1, 0, 0, "only the stop bit"},
        {{0xc0}, 1, 0, 1, "one bit, then the stop bit"},
        {{0xc0}, 1, 1, 0, "at the stop bit"},
        {{0xff, 0x80}, 2, 7, 1, "the last bit of a byte"},
        {{0xff, 0x80}, 2, 8, 0, "at a stop bit of its own byte"},
        {{0x40, 0x80}, 2, 1, 1, "a one that is not the last"},
        {{0x80, 0, 0, 3, 0, 0, 3}, 7, 0, 0, "cabac_zero_words"},
        {{0xff, 0x80, 0, 0, 3, 0, 0, 3}, 8, 0, 1, "data before cabac_zero_words"},
        {{0, 0, 3, 0x80}, 4, 16, 0, "the stop bit after an emulation prevention byte"},
        {{0, 0, 3, 1, 0x80}, 5, 16, 1, "data after an emulation prevention byte"},
        {{0, 0, 3}, 3, 16, 0, "the payload ends in an emulation prevention byte"},
        {{0, 0, 0}, 3, 3, 0, "zeros without a stop bit"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct bits b;
        bits_init(&b, at_edge(t[i].bytes, t[i].len), t[i].len);
        bits_u(&b, t[i].skip);
        ok(bits_more(&b) == t[i].more && !b.bad, "more: %s", t[i].what);
    }
}

static void ends(void)
{
    static const uint8_t three[] = {0, 0, 3, 1};
    struct bitwriter w;
    struct bits b;

    for (size_t len = 0; len <= sizeof three; len++) {
        bits_init(&b, at_edge(three, len), len);
        uint32_t value = bits_u(&b, 24);
        ok(len == 4 ? value == 1 && !b.bad : value == 0 && b.bad, "24 bits of %zu bytes", len);
    }
    bits_init(&b, at_edge(out, 0), 0);
    ok(bits_ue(&b) == 0 && b.bad, "ue of nothing");
    for (size_t cap = 0; cap <= 5; cap++) {
        memset(out, 0xaa, 8);
        bitw_init(&w, out, cap);
        bitw_u(&w, 32, 1);
        ok(w.len <= cap && out[cap] == 0xaa && w.full == (cap < 5), "a buffer of %zu bytes", cap);
    }
    bitw_init(&w, out, 2);
    bitw_align(&w);
    bitw_u(&w, 1, 1);
    bitw_align(&w);
    bitw_align(&w);
    ok(w.len == 1 && out[0] == 0x80, "aligning twice is aligning once");
}

int main(void)
{
    known_codes();
    extremes();
    emulation();
    more();
    ends();
    return done();
}
