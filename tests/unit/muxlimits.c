/* The muxer at its limits: long groups, large groups, many groups, many slices, many sets. */
#include "mux/muxer.h"
#include "tests/tap.h"
#include "tests/unit/muxrun.h"

enum { FRAGS = 10000 };

static struct fragment frag[FRAGS];
static const struct mux_options to_pipe = {.mode = MUX_AU};
static const struct mux_options to_file = {.mode = MUX_GOP, .patchable = 1};

/* An IDR picture and n - 1 that follow, one every `step` microseconds. */
static struct result long_gop(unsigned n, uint64_t step, size_t bytes)
{
    struct stream s = {.more = bytes};
    for (unsigned i = 0; i < n; i++) {
        s.us = 1000000 + i * step;
        add_line(&s, i ? "ATP" : "ASpTI");
    }
    struct result r = run_mux(&s, s.len, &to_file, 0);
    free(s.p);
    return r;
}

/* Whether the fragments follow each other without a gap, only the first is a sync sample, and each
 * but the last has `samples`. */
static int is_parted(const struct result *r, unsigned want, uint32_t samples)
{
    unsigned n = read_fragments(r, frag, FRAGS);
    int good = n == want;
    for (unsigned i = 0; i < n; i++) {
        good &= i + 1 == n || frag[i].samples == samples;
        good &= i == 0 || frag[i].tfdt == frag[i - 1].tfdt + fragment_ticks(&frag[i - 1]);
        good &= sample_is_sync(&frag[i], 0) == (i == 0) && (i == 0) == (frag[i].utc_us != 0);
    }
    long tfra = find_box(r->p, r->len, "tfra", 0);
    return good && tfra > 0 && get_u32(r->p + tfra + 20) == 1;
}

static void long_gops(void)
{
    struct result r = long_gop(1000, 40000, 10);
    ok(is_parted(&r, 4, GOP_TICKS_MAX / 3600 + 1), "a GOP of 40 s: in parts of 10 s");
    free(r.p);
    r = long_gop(10000, 500, 1);
    ok(is_parted(&r, 3, GOP_SAMPLES_MAX), "10000 pictures in 5 s: in parts of %d", GOP_SAMPLES_MAX);
    free(r.p);
    r = long_gop(14, 40000, 5 << 20);
    ok(is_parted(&r, 3, 6), "14 pictures of 5 MiB: in parts of at most 32 MiB");
    free(r.p);
    r = long_gop(4, 40000, AU_BYTES_MAX - 200);
    ok(is_parted(&r, 2, 2), "4 pictures of nearly 16 MiB: two at a time");
    free(r.p);
}

static void tfra_thinning(void)
{
    enum { UNITS = 2 * TFRA_MAX + 3 };
    static struct au_framer framer;
    static uint64_t moofs[UNITS];
    struct mux *m = calloc(1, sizeof *m);
    struct mux_options opt = {.mode = MUX_GOP, .patchable = 1, .base = 77, .rate = {100, 1}};
    struct stream s = {.more = 1};
    struct au au;
    uint64_t at = 77;
    uint8_t window[512];
    if (!m)
        _exit(99);
    add_line(&s, "SpI");
    au_init(&framer);
    if (s.len > sizeof window || au_next(&framer, s.p, s.len, 1, &au) != AU_READY)
        _exit(98);
    mux_init(m, &opt);
    for (unsigned i = 0; i <= UNITS; i++) {
        memcpy(window, s.p, s.len);
        unsigned n = i < UNITS ? mux_add(m, window, &au, 0, 0) : mux_end(m);
        if (i)
            moofs[i - 1] = at;
        for (unsigned k = 0; k < n && i < UNITS; k++)
            at += m->iov[k].iov_len;
        if (i == UNITS) { /* the last fragment, mfra */
            const uint8_t *mfra = m->iov[n - 1].iov_base;
            uint32_t entries = get_u32(mfra + 8 + 20);
            int even = 1, right = 1;
            for (uint32_t k = 0; k < entries; k++) {
                uint64_t time = get_u64(mfra + 32 + 19 * k), moof = get_u64(mfra + 40 + 19 * k);
                even &= time == (uint64_t)k * 4 * 900;
                right &= moof == moofs[4 * k] || 4 * k >= UNITS;
            }
            ok(entries == (UNITS + 3) / 4, "%d keyframes: %u of them in tfra", UNITS, entries);
            ok(even, "evenly spread");
            ok(right, "at the right places");
            ok(get_u32(mfra) == m->iov[n - 1].iov_len &&
                   get_u32(mfra + get_u32(mfra) - 4) == get_u32(mfra),
               "mfra is as long as it says");
        }
    }
    free(s.p);
    free(m);
}

static void many_slices(unsigned n, unsigned lead, const char *what)
{
    char *text = malloc(3 * (size_t)n + 100);
    struct stream s = {.more = 3, .lead = lead, .sps = {.mbs = 119, .map_units = 67}};
    if (!text)
        _exit(99);
    add_line(&s, "SpI");
    for (unsigned i = 1; i < n; i++)
        add_letter(&s, 'i');
    add_line(&s, "P|P");
    struct result r = run_mux(&s, s.len, &to_pipe, 0);
    spell(&r, text, 3 * (size_t)n + 100);
    ok(!strncmp(text, "|SpII", 5) && strspn(text + 3, "I") == n && !strcmp(text + 3 + n, "|P|P"),
       "%s", what);
    ok(r.most_iovs <= MUX_IOV_MAX && (lead == 4 ? r.most_iovs <= 4 : r.most_iovs > 2 * n),
       "in %u pieces, at most %d", r.most_iovs, MUX_IOV_MAX);
    int content = read_fragments(&r, frag, FRAGS) == 3;
    size_t at = frag[0].payload;
    for (unsigned i = 0; i < n + 2; i++) { /* behind the header are 80 81 82 */
        const uint8_t *end = r.p + at + 4 + get_u32(r.p + at);
        content &= i < 2 || (end[-3] == 0x80 && end[-2] == 0x81 && end[-1] == 0x82);
        at += 4 + get_u32(r.p + at);
    }
    ok(content, "their bytes as they were");
    free(r.p);
    free(s.p);
    free(text);
}

static void many_sets(void)
{
    static struct paramstore store;
    uint8_t nal[SET_MAX] = {0};
    struct pps_plan pps = {0};
    int good = paramstore_empty(&store);
    for (unsigned id = 0; id < 32; id++) {
        size_t n = make_sps(nal, &(struct sps_plan){.id = id});
        good &= paramstore_put(&store, nal, n) == (id < STORE_SPS_MAX ? STORE_NEW : STORE_BAD);
    }
    ok(good && paramstore_empty(&store), "31 SPSs, and the 32nd is refused");
    for (pps.id = 0; pps.id < 256; pps.id++) {
        size_t n = make_pps(nal, &pps);
        good &= paramstore_put(&store, nal, n) == (pps.id < STORE_PPS_MAX ? STORE_NEW : STORE_BAD);
        good &= paramstore_put(&store, nal, n) == (pps.id < STORE_PPS_MAX ? STORE_SAME : STORE_BAD);
    }
    ok(good && !paramstore_empty(&store), "64 PPSs, and more are refused; twice is the same");
    pps.id = 7;
    pps.sps = 3;
    size_t n = make_pps(nal, &pps);
    ok(paramstore_put(&store, nal, n) == STORE_CHANGED && store.parsed_pps[7].sps_id == 3,
       "other bytes under one id are a change");
    ok(paramstore_put(&store, nal, 2) == STORE_BAD && store.parsed_pps[7].sps_id == 3,
       "damaged: as before");
    n = make_sps(nal, &(struct sps_plan){.id = 2});
    ok(paramstore_put(&store, nal, PARAMSET_BYTES_MAX + 1) == STORE_BAD, "too long: refused");
    ok(paramstore_put(&store, nal, PARAMSET_BYTES_MAX) == STORE_CHANGED, "just not too long");

    static uint8_t init[INIT_BYTES_MAX];
    struct init_place place;
    for (unsigned id = 0; id < STORE_SPS_MAX; id++) {
        make_sps(nal, &(struct sps_plan){.id = id});
        paramstore_put(&store, nal, PARAMSET_BYTES_MAX);
    }
    for (pps.id = 0; pps.id < STORE_PPS_MAX; pps.id++) {
        memset(nal, 0x55, sizeof nal);
        make_pps(nal, &pps);
        paramstore_put(&store, nal, PARAMSET_BYTES_MAX);
    }
    size_t len = init_write(init, sizeof init, &store, 5, 0, 0, &place);
    ok(len > (STORE_SPS_MAX + STORE_PPS_MAX) * PARAMSET_BYTES_MAX,
       "a full store fits the moov: %zu", len);
    ok(!memcmp(init + place.entry_type, "avc1", 4), "the sample entry is where it is said to be");
    good = 1;
    for (size_t cap = 0; cap < len; cap += 97)
        good &= init_write(init, cap, &store, 5, 0, 0, &place) == 0;
    ok(good, "no smaller buffer does");
    ok(init_write(init, sizeof init, &store, 31, 0, 0, &place) == 0,
       "an SPS that is not there: none");
}

int main(void)
{
    long_gops();
    tfra_thinning();
    many_slices(8160, 3, "8160 slices behind 3-byte codes");
    many_slices(8160, 4, "8160 slices behind 4-byte codes");
    many_slices(AU_NALS_MAX - 4, 3, "as many slices as an access unit may have");
    many_sets();
    return done();
}
