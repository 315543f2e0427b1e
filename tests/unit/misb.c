/* Capture time in an SEI message: there and back, cut anywhere, among strangers. */
#include "capture/misb.h"
#include "capture/bits.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char stamp_uuid[] = "MISPmicrosectime";
static uint8_t *edge; /* an unreadable page begins here */

static void make_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE))
        _exit(99);
    edge = map + page;
}

static int read_at_edge(const uint8_t *nal, size_t len, struct misb_stamp *stamp)
{
    memcpy(edge - len, nal, len);
    return misb_read(edge - len, len, stamp);
}

static int there_and_back(uint64_t us, uint8_t status)
{
    struct misb_stamp in = {us, status}, back = {0};
    uint8_t nal[MISB_NAL_MAX];
    size_t len = misb_write(nal, &in);
    int good = len <= MISB_NAL_MAX && nal[len - 1] == 0x80;

    for (size_t i = 2; i < len; i++) /* 7.4.1: what a NAL unit may not contain */
        good &= nal[i - 2] || nal[i - 1] || nal[i] > 3 || (nal[i] == 3 && nal[i + 1] <= 3);
    good &= read_at_edge(nal, len, &back) && back.us == us && back.status == status;
    for (size_t cut = 0; cut < len; cut++)
        good &= !read_at_edge(nal, cut, &back);
    return good;
}

static void values(void)
{
    static const uint64_t us[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  0xff,
                                  0x100,
                                  0x10000,
                                  0x20000,
                                  0x30000,
                                  0xffffffff,
                                  UINT64_C(1) << 32,
                                  UINT64_C(3) << 48,
                                  UINT64_C(0x0000000300000003),
                                  UINT64_C(0x0001000000020003),
                                  UINT64_C(1795305600000000),
                                  UINT64_MAX};
    uint64_t random = 88172645463325252;
    int good = 1;

    for (size_t i = 0; i < sizeof us / sizeof *us; i++)
        ok(there_and_back(us[i], MISB_STATUS), "%016llx and every cut of it",
           (unsigned long long)us[i]);
    ok(there_and_back(3, 0) && there_and_back(3, MISB_STATUS | MISB_DISCONTINUITY), "any status");
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        /* Zeroes half of the bytes, so that emulation prevention is everywhere. */
        uint64_t mask = 0;
        for (unsigned k = 0; k < 8; k++)
            mask |= (random >> (56 + k) & 1 ? UINT64_C(0x03) : 0) << 8 * k;
        good &= there_and_back(i & 1 ? random : random & mask, MISB_STATUS);
    }
    ok(good, "20000 random values and every cut of them");
}

static void known_bytes(void)
{
    static const uint8_t want[] = {0x06, 5,   28,  'M', 'I', 'S', 'P',  'm',  'i',  'c',  'r',
                                   'o',  's', 'e', 'c', 't', 'i', 'm',  'e',  0x9f, 0x01, 0x02,
                                   0xff, 3,   4,   255, 5,   6,   0xff, 0x07, 0x08, 0x80};
    uint8_t nal[MISB_NAL_MAX];
    size_t len = misb_write(nal, &(struct misb_stamp){UINT64_C(0x0102030405060708), 0x9f});

    ok(len == sizeof want && !memcmp(nal, want, len), "the bytes of ST 0604");
}

static void message(struct bitwriter *w, unsigned type, size_t size, const uint8_t *payload)
{
    bitw_u(w, 8, type);
    for (size_t s = size;; s -= 255) {
        bitw_u(w, 8, s >= 255 ? 255 : (uint32_t)s);
        if (s < 255)
            break;
    }
    bitw_raw(w, payload, size);
}

/* An SEI NAL unit: a picture timing message, one of `size` bytes with this UUID, a real stamp. */
static size_t three_messages(uint8_t *out, size_t cap, const char *uuid, size_t size, int real)
{
    static const uint8_t stamp[] = {0x9f, 0, 0, 0xff, 0, 0, 0xff, 0, 3, 0xff, 0, 1};
    static uint8_t big[2000];
    uint8_t payload[28];
    struct bitwriter w;

    memset(big, 0, sizeof big);
    memcpy(big, uuid, 16);
    memcpy(payload, stamp_uuid, 16);
    memcpy(payload + 16, stamp, sizeof stamp);
    bitw_init(&w, out, cap);
    bitw_u(&w, 8, 6);
    message(&w, 1, 3, (const uint8_t *)"abc");
    message(&w, 5, size, big);
    if (real)
        message(&w, 5, sizeof payload, payload);
    bitw_trailing(&w);
    return w.len;
}

static void among_strangers(void)
{
    static const size_t sizes[] = {0, 16, 27, 28, 29, 254, 255, 256, 510, 600, 1999};
    uint8_t nal[3200];
    struct misb_stamp stamp;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = three_messages(nal, sizeof nal, "0123456789abcdef", sizes[i], 1);
        stamp.us = 0;
        ok(read_at_edge(nal, len, &stamp) && stamp.us == 0x30001,
           "after a foreign message of %zu bytes", sizes[i]);
        int cut = 0;
        for (size_t n = 0; n < len; n++)
            cut |= read_at_edge(nal, n, &stamp);
        ok(!cut, "and no cut of it is read");
        len = three_messages(nal, sizeof nal, "0123456789abcdef", sizes[i], 0);
        ok(!read_at_edge(nal, len, &stamp), "a foreign message of %zu bytes alone", sizes[i]);
    }
    size_t len = three_messages(nal, sizeof nal, stamp_uuid, 28, 1);
    ok(read_at_edge(nal, len, &stamp) && stamp.us == 0x30001, "after one without its ff bytes");
    len = three_messages(nal, sizeof nal, stamp_uuid, 27, 0);
    ok(!read_at_edge(nal, len, &stamp), "one that is a byte too short is none");
}

static void no_stamp(void)
{
    uint8_t nal[MISB_NAL_MAX];
    struct misb_stamp stamp = {7, 7};
    size_t len = misb_write(nal, &(struct misb_stamp){1, MISB_STATUS});

    nal[0] = 0x67;
    ok(!misb_read(nal, len, &stamp) && stamp.us == 7, "not in an SEI NAL unit, stamp untouched");
    static const uint8_t endless[64] = {6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    ok(!read_at_edge(endless, 8, &stamp), "a type that never ends");
    static const uint8_t huge[] = {6, 5, 0xff, 0xff, 0xff, 0xff, 0, 0x80};
    ok(!read_at_edge(huge, sizeof huge, &stamp), "a size beyond the end");
    ok(!read_at_edge(huge, 0, &stamp), "nothing at all");
}

int main(void)
{
    make_edge();
    known_bytes();
    values();
    among_strangers();
    no_stamp();
    return done();
}
