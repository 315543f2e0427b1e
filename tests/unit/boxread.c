/* Reading fragmented MP4: our own fragments and other people's layouts, cut anywhere, and what must
 * be refused. */
#include "mux/boxread.h"
#include "mux/box.h"
#include "mux/frag.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 1 << 17 };

static uint8_t *edge; /* an unreadable page begins here */
static uint8_t out[ROOM];

static void make_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 2 * ROOM;
    uint8_t *map =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE))
        _exit(99);
    edge = map + room;
}

static enum unit_result read_at_edge(const uint8_t *p, size_t len, struct unit *u, const char **why)
{
    *why = "";
    memcpy(edge - len, p, len);
    return unit_next(edge - len, len, u, why);
}

/* out[0, len) is refused, with a reason and an offset inside it. */
static void refused(size_t len, const char *what)
{
    struct unit u;
    const char *why;
    enum unit_result r = read_at_edge(out, len, &u, &why);
    ok(r == UNIT_BAD && *why && u.size < len, "refused, %s: %s", what, why);
}

/* Every cut wants more; whole it is this kind, all of it. */
static int reads_as(const uint8_t *p, size_t len, enum unit_kind kind, struct unit *u)
{
    const char *why;
    for (size_t cut = 0; cut < len; cut++)
        if (read_at_edge(p, cut, u, &why) != UNIT_MORE)
            return 0;
    return read_at_edge(p, len, u, &why) == UNIT_READY && u->kind == kind && u->size == len;
}

static size_t ours(uint32_t n, uint64_t tfdt)
{
    struct frag_sample s[40];
    size_t at = PRFT_BYTES;
    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct frag_sample){
            .duration = 3000 + i, .size = 10 + i, .flags = i ? SAMPLE_NON_SYNC : SAMPLE_SYNC};
    frag_write_prft(out, UINT64_C(1795305600123456), tfdt);
    at += frag_write(out + at, sizeof out - at, 77, tfdt, s, n, 0);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < s[i].size; k++)
            out[at++] = (uint8_t)k;
    return at;
}

static void our_fragments(void)
{
    static const uint64_t times[] = {0, UINT64_C(1) << 32, UINT64_MAX};
    for (uint32_t n = 1; n <= 40; n += 13) {
        uint64_t tfdt = times[n % 3];
        size_t len = ours(n, tfdt);
        struct unit u;
        const struct moof_info *m = &u.moof;
        ok(reads_as(out, len, UNIT_FRAG, &u), "a fragment of %u samples, and every cut of it", n);
        ok(m->samples == n && m->tfdt == tfdt && m->sync && m->moof_at == PRFT_BYTES &&
               m->duration_ticks == n * 3000 + n * (n - 1) / 2,
           "samples, time, duration");
        ok(m->utc_us == UINT64_C(1795305600123456) && m->utc_time == tfdt, "capture time");
        ok(get_u32(out + m->sequence_at) == 77 && get_u64(out + m->tfdt_at) == tfdt,
           "sequence and tfdt lie where it says");
        int right = m->duration.n == n && m->flags.n == n && !m->first_flags_at;
        for (uint32_t i = 0; i < n; i++)
            right &= get_u32(out + m->duration.at + i * m->duration.step) == 3000 + i &&
                     get_u32(out + m->flags.at + i * m->flags.step) ==
                         (i ? SAMPLE_NON_SYNC : SAMPLE_SYNC);
        ok(right && !memcmp(out + m->payload_at - 4, "mdat", 4) && out[m->payload_at + 1] == 1,
           "so do durations, flags and payload");
    }
}

/* Somebody else's moof, with what is asked for. */
struct layout {
    uint32_t tfhd, trun; /* flags */
    uint32_t n;
    uint32_t first_flags, default_flags;
    unsigned tfdt_version, extra_traf, extra_trun, no_mdat, free_between;
};

static void write_trun(struct box *b, const struct layout *l)
{
    size_t trun = box_open_full(b, "trun", 1, l->trun);
    box_u32(b, l->n);
    if (l->trun & 1)
        box_u32(b, 100);
    if (l->trun & 4)
        box_u32(b, l->first_flags);
    for (uint32_t i = 0; i < l->n && i < 1000; i++)
        for (uint32_t f = 0x100; f <= 0x800; f <<= 1)
            if (l->trun & f)
                box_u32(b, f == 0x100 ? 500 + i : f == 0x400 ? (i ? 0x10000 : 0) : 7);
    box_close(b, trun);
}

static void write_traf(struct box *b, const struct layout *l)
{
    size_t traf = box_open(b, "traf"), tfhd = box_open_full(b, "tfhd", 0, l->tfhd);
    box_u32(b, 1);
    box_zeros(b, l->tfhd & 1 ? 8 : 0);
    box_zeros(b, l->tfhd & 2 ? 4 : 0);
    if (l->tfhd & 8)
        box_u32(b, 900);
    box_zeros(b, l->tfhd & 16 ? 4 : 0);
    if (l->tfhd & 32)
        box_u32(b, l->default_flags);
    box_close(b, tfhd);
    size_t tfdt = box_open_full(b, "tfdt", l->tfdt_version, 0);
    box_u64(b, 123456);
    box_close(b, tfdt);
    for (unsigned i = 0; i <= l->extra_trun; i++)
        write_trun(b, l);
    box_close(b, traf);
}

static size_t foreign(const struct layout *l)
{
    struct box b;
    box_init(&b, out, sizeof out);
    size_t styp = box_open(&b, "styp");
    box_bytes(&b, "msdh\0\0\0\0", 8);
    box_close(&b, styp);
    size_t moof = box_open(&b, "moof"), mfhd = box_open_full(&b, "mfhd", 0, 0);
    box_u32(&b, 5);
    box_close(&b, mfhd);
    for (unsigned i = 0; i <= l->extra_traf; i++)
        write_traf(&b, l);
    box_close(&b, moof);
    if (l->free_between)
        box_close(&b, box_open(&b, "free"));
    size_t mdat = box_open(&b, l->no_mdat ? "styp" : "mdat");
    box_zeros(&b, 50);
    box_close(&b, mdat);
    return b.len;
}

static void other_layouts(void)
{
    static const struct {
        const char *what;
        struct layout l;
        unsigned durations, flags, sync;
        uint64_t ticks;
    } table[] = {
        {"one frame, all in tfhd",
         {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 1},
         1,
         1,
         1,
         900},
        {"tfhd defaults, first_sample_flags",
         {.tfhd = 0x2003a, .trun = 0x205, .n = 30, .default_flags = 0x10000, .tfdt_version = 1},
         1,
         1,
         1,
         27000},
        {"first_sample_flags of no sync sample",
         {.tfhd = 0x20038, .trun = 5, .n = 2, .first_flags = 0x10000, .tfdt_version = 1},
         1,
         1,
         0,
         1800},
        {"durations, sizes, flags, offsets in the trun",
         {.tfhd = 0x20000, .trun = 0xf01, .n = 4, .tfdt_version = 1},
         4,
         4,
         1,
         2006},
        {"the trun wins over the tfhd",
         {.tfhd = 0x20038, .trun = 0x501, .n = 3, .default_flags = 0x10000, .tfdt_version = 1},
         3,
         3,
         1,
         1503},
        {"no flags anywhere",
         {.tfhd = 0x20008, .trun = 1, .n = 1, .tfdt_version = 1},
         1,
         0,
         0,
         900},
        {"a free box in front of the mdat",
         {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 1, .free_between = 1},
         1,
         1,
         1,
         900},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct unit u;
        size_t len = foreign(&table[i].l);
        ok(reads_as(out, len, UNIT_FRAG, &u) && u.moof.tfdt == 123456 &&
               u.moof.duration.n == table[i].durations && u.moof.flags.n == table[i].flags &&
               u.moof.sync == table[i].sync && u.moof.duration_ticks == table[i].ticks &&
               u.moof.samples == table[i].l.n,
           "%s", table[i].what);
        ok(!(table[i].l.trun & 4) || get_u32(out + u.moof.first_flags_at) == table[i].l.first_flags,
           "where the first sample's flags lie");
        int right = out[u.moof.trun_version_at] == 1;
        for (uint32_t n = 0; n < u.moof.offset.n; n++)
            right &= get_u32(out + u.moof.offset.at + n * u.moof.offset.step) == 7;
        ok(right && u.moof.offset.n == (table[i].l.trun & 0x800 ? table[i].l.n : 0),
           "where its composition offsets lie");
    }
}

static void refused_layouts(void)
{
    static const struct {
        const char *what;
        struct layout l;
    } table[] = {
        {"base data offset", {.tfhd = 0x39, .trun = 1, .n = 1, .tfdt_version = 1}},
        {"32-bit tfdt", {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 0}},
        {"no duration", {.tfhd = 0x20030, .trun = 1, .n = 1, .tfdt_version = 1}},
        {"no samples", {.tfhd = 0x20038, .trun = 1, .n = 0, .tfdt_version = 1}},
        {"more samples than there is room for",
         {.tfhd = 0x20038, .trun = 0x101, .n = 1001, .tfdt_version = 1}},
        {"65536 samples", {.tfhd = 0x20038, .trun = 1, .n = 65536, .tfdt_version = 1}},
        {"2^32 - 1 samples", {.tfhd = 0x20038, .trun = 0xf01, .n = UINT32_MAX, .tfdt_version = 1}},
        {"two tracks", {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 1, .extra_traf = 1}},
        {"two runs", {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 1, .extra_trun = 1}},
        {"no mdat", {.tfhd = 0x20038, .trun = 1, .n = 1, .tfdt_version = 1, .no_mdat = 1}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = foreign(&table[i].l);
        refused(len, table[i].what);
    }
}

/* Any size in any box: never a byte beyond the window, never a unit beyond it. */
static void hostile_sizes(void)
{
    static const uint32_t sizes[] = {0, 1, 7, 8, 9, 0x7fffffff, 0x80000000, 0xffffffff};
    size_t len = ours(3, 0);
    static uint8_t copy[ROOM];
    int inside = 1;
    memcpy(copy, out, len);
    for (size_t at = 0; at + 4 <= len; at++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct unit u;
            const char *why;
            put_u32(copy + at, sizes[i]);
            enum unit_result r = read_at_edge(copy, len, &u, &why);
            inside &= r != UNIT_READY || (u.size <= len && u.moof.payload_at <= u.size);
            memcpy(copy + at, out + at, 4);
        }
    ok(inside, "every 32 bits of a fragment replaced by %zu hostile values",
       sizeof sizes / sizeof *sizes);
}

static void tops(void)
{
    static const struct {
        const char *what;
        uint8_t bytes[12];
        enum unit_result want;
    } table[] = {
        {"a 64-bit size", {0, 0, 0, 1, 'm', 'd', 'a', 't'}, UNIT_BAD},
        {"a box to the end", {0, 0, 0, 0, 'm', 'd', 'a', 't'}, UNIT_BAD},
        {"an mdat alone", {0, 0, 0, 9, 'm', 'd', 'a', 't', 1}, UNIT_BAD},
        {"a start code", {0, 0, 0, 1, 9, 0xf0, 0, 0}, UNIT_BAD},
        {"text", "GET / HTTP/1", UNIT_BAD},
        {"a huge moof", {0, 1, 0, 0, 'm', 'o', 'o', 'f'}, UNIT_BAD},
        {"a huge moov", {1, 0, 0, 0, 'm', 'o', 'o', 'v'}, UNIT_BAD},
        {"a huge box of another kind", {0x7f, 0, 0, 0, 'f', 'r', 'e', 'e'}, UNIT_BAD},
        {"a box to step over", {0, 0, 0, 12, 'f', 'r', 'e', 'e'}, UNIT_READY},
        {"an empty moov", {0, 0, 0, 8, 'm', 'o', 'o', 'v'}, UNIT_BAD},
        {"an empty moof", {0, 0, 0, 8, 'm', 'o', 'o', 'f'}, UNIT_BAD},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct unit u;
        const char *why;
        enum unit_result r = read_at_edge(table[i].bytes, 12, &u, &why);
        ok(r == table[i].want, "%s: %s", table[i].what, why);
    }
}

/* An init segment, its mdhd of this version. */
static size_t init_segment(unsigned version, uint32_t timescale, const char *entry, unsigned tracks)
{
    static const uint8_t avcc[] = {1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0};
    struct box b;
    box_init(&b, out, sizeof out);
    size_t ftyp = box_open(&b, "ftyp");
    box_bytes(&b, "iso6\0\0\0\0", 8);
    box_close(&b, ftyp);
    size_t moov = box_open(&b, "moov");
    for (unsigned i = 0; i < tracks; i++) {
        size_t trak = box_open(&b, "trak"), mdia = box_open(&b, "mdia");
        size_t mdhd = box_open_full(&b, "mdhd", version, 0);
        box_zeros(&b, version ? 16 : 8);
        box_u32(&b, timescale);
        box_zeros(&b, version ? 8 : 4);
        box_u32(&b, 0x55c40000);
        box_close(&b, mdhd);
        size_t minf = box_open(&b, "minf"), stbl = box_open(&b, "stbl");
        size_t stsd = box_open_full(&b, "stsd", 0, 0);
        box_u32(&b, 1);
        size_t avc1 = box_open(&b, entry);
        box_zeros(&b, 24);
        box_u32(&b, 640 << 16 | 480);
        box_zeros(&b, 50);
        size_t c = box_open(&b, "avcC");
        box_bytes(&b, avcc, sizeof avcc);
        box_close(&b, c);
        box_close(&b, avc1);
        box_close(&b, stsd);
        box_close(&b, stbl);
        box_close(&b, minf);
        box_close(&b, mdia);
        box_close(&b, trak);
    }
    size_t mvex = box_open(&b, "mvex");
    box_zeros(&b, 32);
    box_close(&b, mvex);
    box_close(&b, moov);
    return b.len;
}

static void inits(void)
{
    static uint8_t endless[ROOM], again[ROOM];
    struct unit u;
    for (unsigned version = 0; version < 2; version++) {
        size_t len = init_segment(version, 90000, "avc1", 1);
        ok(reads_as(out, len, UNIT_INIT, &u) && u.init.timescale == 90000 && u.init.width == 640 &&
               u.init.height == 480 && !strcmp(u.init.codec, "avc1.42C01E"),
           "an init segment with mdhd version %u, and every cut of it", version);
        size_t n = init_make_endless(endless, sizeof endless, out, len);
        ok(n == len + (version ? 0 : 12), "endless: %zu bytes", n);
        uint8_t *mdhd = memmem(endless, n, "mdhd", 4);
        ok(mdhd && get_u32(mdhd + 4) == 1u << 24 && get_u32(mdhd + 24) == 90000 &&
               get_u64(mdhd + 28) == UINT64_C(316224000) * 90000 &&
               get_u32(mdhd + 36) == 0x55c40000,
           "ten years, version 1, the language kept");
        ok(reads_as(endless, n, UNIT_INIT, &u) && u.init.timescale == 90000 && u.init.height == 480,
           "is an init segment again");
        ok(init_make_endless(again, sizeof again, endless, n) == n && !memcmp(endless, again, n),
           "and of itself no other");
        int small = 1, cut = 1;
        for (size_t cap = 0; cap < n; cap++)
            small &= init_make_endless(again, cap, out, len) == 0;
        for (size_t part = 1; part < len; part++) {
            memcpy(edge - part, out, part);
            size_t made = init_make_endless(again, sizeof again, edge - part, part);
            cut &= made == 0 || part == 16; /* the ftyp alone is boxes too */
        }
        ok(small && cut, "no room, or cut: 0");
    }
    size_t len = init_segment(0, 0, "avc1", 1);
    refused(len, "timescale 0");
    len = init_segment(0, 90000, "hvc1", 1);
    refused(len, "not H.264");
    len = init_segment(0, 90000, "avc3", 1);
    ok(reads_as(out, len, UNIT_INIT, &u) && !strcmp(u.init.codec, "avc3.42C01E"), "avc3");
    len = init_segment(0, 90000, "avc1", 2);
    refused(len, "two tracks");
    len = init_segment(0, 90000, "avc1", 0);
    refused(len, "no track");
    len = init_segment(1, UINT32_MAX, "avc1", 1);
    size_t n = init_make_endless(endless, sizeof endless, out, len);
    uint8_t *mdhd = memmem(endless, n, "mdhd", 4);
    ok(mdhd && get_u64(mdhd + 28) == UINT64_C(316224000) * UINT32_MAX,
       "ten years at 2^32 - 1 a second");
}

int main(void)
{
    make_edge();
    our_fragments();
    other_layouts();
    refused_layouts();
    hostile_sizes();
    tops();
    inits();
    return done();
}
