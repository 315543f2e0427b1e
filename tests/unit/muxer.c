/* The muxer: what goes into its boxes, when, and that it does not matter how the bytes came. */
#include "mux/muxer.h"
#include "tests/tap.h"
#include "tests/unit/muxrun.h"

enum { FRAGS = 10000, SECOND_US = 1000000 };

static const uint64_t today = UINT64_C(1795305600123457);
static struct fragment frag[FRAGS];

static const struct mux_options to_pipe = {.mode = MUX_AU, .live = 1};
static const struct mux_options to_file = {.mode = MUX_GOP, .patchable = 1, .base = 1000};

static struct stream stream_of(const char *line)
{
    struct stream s = {.more = 90, .us = today, .sps = {.mbs = 39, .map_units = 29}};
    add_line(&s, line);
    return s;
}

static struct result mux_line(const char *line, const struct mux_options *opt)
{
    struct stream s = stream_of(line);
    struct result r = run_mux(&s, s.len, opt, 0);
    free(s.p);
    return r;
}

static void in_pieces(const char *line, const char *change)
{
    static const size_t steps[] = {1, 2, 13, 64, 1000};
    const struct mux_options ways[] = {
        to_pipe, to_file, {.mode = MUX_GOP}, {.mode = MUX_AU, .patchable = 1}};
    int good = 1;
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        struct stream s = stream_of(line);
        s.sps.mbs = 79;
        add_line(&s, change);
        struct result whole = run_mux(&s, s.len, &ways[w], today);
        good &= whole.len > 1000;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            struct result r = run_mux(&s, steps[i], &ways[w], today);
            good &= r.len == whole.len && !memcmp(r.p, whole.p, r.len);
            free(r.p);
        }
        free(whole.p);
        free(s.p);
    }
    ok(good, "four ways, in pieces of any size the same bytes: %s %s", line, change);
}

static void samples(void)
{
    char text[1000];
    struct result r = mux_line("gASpTIiii|ATPFi|0ENPQ|ASpTI|ASp!", &to_pipe);
    spell(&r, text, sizeof text);
    ok(!strcmp(text, "|SpEIIII|EPP|ENP|SpEI"),
       "to a pipe: all but delimiters, filler and end codes");
    free(r.p);
    r = mux_line("gASpTIiii|ATPFi|0ENPQ|ASpTI|ASp!", &to_file);
    spell(&r, text, sizeof text);
    ok(!strcmp(text, "|EIIII|EPP|ENP|EI"), "to a file: without the parameter sets of its avcC");
    free(r.p);
}

static void pipe_times(void)
{
    struct stream s = stream_of("ASpTI|ATP|ATP");
    s.us += 5 * SECOND_US;
    add_line(&s, "|ATP|ATP");
    s.us += 960000; /* a second: still an interval */
    add_line(&s, "|ASpTI|ATP");
    struct result r = run_mux(&s, s.len, &to_pipe, 0);
    unsigned n = read_fragments(&r, frag, FRAGS);
    ok(n == 7 && frag[0].tfdt == 0 && sample_duration(&frag[0], 0) == TICKS_NOMINAL,
       "the first sample takes the nominal interval");
    int shifted = 1;
    static const int64_t ticks[] = {0, 3600, 7200, 460800, 464400, 554400, 558000};
    for (unsigned i = 0; i < n; i++)
        shifted &=
            frag[i].tfdt + sample_duration(&frag[i], 0) == (uint64_t)ticks[i] + TICKS_NOMINAL;
    ok(shifted, "each sample ends at its time, one interval late");
    ok(n == 7 && frag[3].tfdt == 460800 + TICKS_NOMINAL - 3600 &&
           sample_duration(&frag[3], 0) == 3600,
       "five seconds are a gap, not a duration");
    ok(n == 7 && sample_duration(&frag[5], 0) == 90000 && frag[5].tfdt == frag[4].tfdt + 3600,
       "one second is a duration");
    int utc = 1;
    for (unsigned i = 0; i < n; i++)
        utc &= i == 0 || i == 5 ? frag[i].utc_time == frag[i].tfdt : frag[i].utc_us == 0;
    ok(utc && frag[0].utc_us == today && frag[5].utc_us == today + 6160000,
       "prft on keyframes: the stamp");
    free(r.p);
    s.len = 0;
    add_line(&s, "SpI|P|P|I");
    r = run_mux(&s, s.len, &to_pipe, today);
    n = read_fragments(&r, frag, FRAGS);
    ok(n == 4 && frag[0].utc_us == today && frag[3].utc_us == today + 120000,
       "without stamps: the wall clock at arrival");
    ok(n == 4 && frag[3].tfdt == 2 * 3600 + TICKS_NOMINAL, "and the times of arrival");
    free(r.p);
    free(s.p);
}

static void slow(void)
{
    struct mux_options opt = to_pipe;
    opt.rate = (struct rate){1, 10};
    struct result r = mux_line("SpI|P|P|I", &opt);
    unsigned n = read_fragments(&r, frag, FRAGS);
    int good = n == 4;
    for (unsigned i = 0; i < n; i++)
        good &= frag[i].tfdt == i * 900000u && sample_duration(&frag[i], 0) == 900000;
    ok(good, "a frame in 10 s: no gaps");
    free(r.p);
    opt.rate = (struct rate){7, 10};
    r = mux_line("SpI|P|P|P|P|P|P|P|P", &opt);
    n = read_fragments(&r, frag, FRAGS);
    for (unsigned i = 1; i < n; i++)
        good &= frag[i].tfdt == frag[i - 1].tfdt + sample_duration(&frag[i - 1], 0);
    ok(n == 9 && good, "0.7 a second, no whole number of ticks: no gaps");
    free(r.p);
    struct stream s = {.us = today, .sps = {.has = TIMING, .units = 5, .scale = 1}};
    add_line(&s, "SpTI|TP");
    s.us += 3000000;
    add_line(&s, "|TP|TP");
    r = run_mux(&s, s.len, &to_pipe, 0);
    n = read_fragments(&r, frag, FRAGS);
    ok(n == 4 && frag[1].tfdt == 90000 && frag[2].tfdt == 90000 + 3600 + 270000 &&
           frag[3].tfdt == frag[2].tfdt + 3600,
       "an SPS that says 10 s, stamps that say 40 ms and 3 s: the first takes a second");
    free(r.p);
    free(s.p);
}

static void file_times(void)
{
    struct stream s = stream_of("ASpTI|ATP|ATP|ASpTI|ATP");
    s.us += 86400ull / 2 * SECOND_US;
    add_line(&s, "|ATP");
    struct result r = run_mux(&s, s.len, &to_file, 0);
    unsigned n = read_fragments(&r, frag, FRAGS);
    const uint64_t night = 43200ull * TIMESCALE;
    ok(n == 3 && frag[0].samples == 3 && frag[1].samples == 2, "a fragment per GOP");
    ok(n == 3 && frag[1].tfdt == 10800 && frag[2].tfdt == night + 18000 && frag[2].samples == 1 &&
           !sample_is_sync(&frag[2], 0),
       "and a new one after a gap, with its true time");
    ok(n == 3 && fragment_ticks(&frag[0]) == 10800 && sample_duration(&frag[1], 1) == night + 3600,
       "every sample lasts to the next");
    ok(n == 3 && frag[0].utc_us == today && frag[1].utc_us == today + 120000 && frag[2].utc_us == 0,
       "prft where it begins with a keyframe");
    long tfra = find_box(r.p, r.len, "tfra", 0), mfro = find_box(r.p, r.len, "mfro", 0);
    ok(tfra > 0 && get_u32(r.p + tfra + 20) == 2 && get_u64(r.p + tfra + 24 + 19) == 10800 &&
           get_u64(r.p + tfra + 32 + 19) == frag[1].moof + 1000,
       "tfra: the keyframes, counted from the file's first byte");
    ok(mfro > 0 && get_u32(r.p + mfro + 12) == r.len - (size_t)find_box(r.p, r.len, "mfra", 0),
       "mfro: as long as the mfra");
    free(r.p);
    s.len = 0;
    add_line(&s, "SpI");
    r = run_mux(&s, s.len, &to_file, 0);
    n = read_fragments(&r, frag, FRAGS);
    ok(n == 1 && sample_duration(&frag[0], 0) == 3600 && frag[0].utc_us == 0 &&
           r.notes == MUX_NOTE_RATE_GUESSED,
       "one frame, no times: a 25th of a second, and it is noted");
    free(r.p);
    free(s.p);
}

static void beginnings(void)
{
    char text[200];
    static const struct {
        const char *line, *want;
        unsigned notes;
        const char *sync;
    } cases[] = {
        {"TP|TP|SpTI|TP", "|SpEI|EP", MUX_NOTE_SKIPPED, "10"},
        {"SpTP|RTP|TP|RTP", "|EEP|EP|EEP", MUX_NOTE_SKIPPED, "101"},
        {"SpTK|TP|RTP|TI", "|SpEP|EP|EEP|EI", 0, "1011"},
        {"SpTI|RTP|TP|TI", "|SpEI|EEP|EP|EI", 0, "1001"},
        {"TI|TP|SpTP|TK", "|EP", MUX_NOTE_SKIPPED, "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct result r = mux_line(cases[i].line, &to_pipe);
        unsigned n = read_fragments(&r, frag, FRAGS);
        int good = n == strlen(cases[i].sync) && r.notes == cases[i].notes;
        spell(&r, text, sizeof text);
        for (unsigned k = 0; k < n && good; k++)
            good &= sample_is_sync(&frag[k], 0) == (cases[i].sync[k] == '1');
        ok(good && !strcmp(text, cases[i].want), "%s: %s, sync %s", cases[i].line, text,
           cases[i].sync);
        free(r.p);
    }
    struct result r = mux_line("STP|pTP", &to_file);
    ok(r.len == 0, "nothing that decodes alone: nothing, no mfra either");
    free(r.p);
    struct stream s = stream_of("SpTI");
    add_bytes(&s, "\0\0\1\x67\x42", 5);
    add_line(&s, "TP");
    r = run_mux(&s, s.len, &to_pipe, 0);
    spell(&r, text, sizeof text);
    ok(r.notes == MUX_NOTE_BAD_PARAMSET && count_boxes(&r, "moov") == 1,
       "a damaged SPS: noted, no new moov");
    free(r.p);
    free(s.p);
}

/* Width and height in the sample entry of the nth moov. */
static int shows(const struct result *r, unsigned nth, unsigned width, unsigned height)
{
    long at = find_box(r->p, r->len, "avc1", nth);
    return at > 0 && get_u32(r->p + at + 32) == (width << 16 | height);
}

static void changes(void)
{
    char text[200];
    struct stream s = stream_of("ASpTI|ATP");
    s.sps.mbs = 79;
    add_line(&s, "|ASpTI|ATP|ASpTI|ATP");
    struct result r = run_mux(&s, s.len, &to_pipe, 0);
    ok(count_boxes(&r, "ftyp") == 2 && shows(&r, 0, 640, 480) && shows(&r, 1, 1280, 480),
       "another size to a pipe: a second ftyp and moov, not a third");
    ok(read_fragments(&r, frag, FRAGS) == 6 &&
           find_box(r.p, r.len, "moov", 1) > (long)frag[1].moof &&
           find_box(r.p, r.len, "moov", 1) < (long)frag[2].moof,
       "in front of its first picture");
    free(r.p);
    r = run_mux(&s, s.len, &to_file, 0);
    spell(&r, text, sizeof text);
    ok(count_boxes(&r, "moov") == 1 && r.patches == 1 && count_boxes(&r, "avc3") == 1,
       "to a file: avc1 becomes avc3, once");
    ok(!strcmp(text, "|EI|EP|SpEI|EP|SpEI|EP"), "and from then on every set is in band: %s", text);
    free(r.p);
    s.len = 0;
    add_line(&s, "ASpTI|ATP|");
    s.pps.id = 1;
    add_line(&s, "ApTP|ATP|ASpTI");
    r = run_mux(&s, s.len, &to_pipe, 0);
    ok(count_boxes(&r, "moov") == 2 && read_fragments(&r, frag, FRAGS) == 5 &&
           find_box(r.p, r.len, "moov", 1) > (long)frag[3].moof,
       "a PPS between keyframes: a new moov in front of the next keyframe");
    free(r.p);
    s.len = 0;
    s.pps.id = 0;
    s.sps.mbs = 39;
    add_line(&s, "Sp");
    s.sps.id = s.pps.sps = s.pps.id = 1;
    s.sps.mbs = 9;
    add_line(&s, "Sp");
    s.pps.id = s.pps.sps = s.sps.id = 0;
    add_line(&s, "TI|TP|");
    s.last.pps = 1;
    add_line(&s, "TI|TP|");
    r = run_mux(&s, s.len, &to_pipe, 0);
    ok(count_boxes(&r, "moov") == 2 && shows(&r, 0, 640, 480) && shows(&r, 1, 160, 480),
       "a size that the avcC held already: a new moov all the same");
    free(r.p);
    r = run_mux(&s, s.len, &to_file, 0);
    ok(count_boxes(&r, "moov") == 1 && r.patches == 0, "in a file avc1 does");
    free(r.p);
    free(s.p);
}

static void turned(void)
{
    static const uint32_t one = 0x10000, minus = 0xffff0000;
    static const uint32_t want[4][9] = {
        {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000},
        {0, 0x10000, 0, 0xffff0000, 0, 0, 480 << 16, 0, 0x40000000},
        {0xffff0000, 0, 0, 0, 0xffff0000, 0, 640 << 16, 480 << 16, 0x40000000},
        {0, 0xffff0000, 0, 0x10000, 0, 0, 0, 640 << 16, 0x40000000},
    };
    for (unsigned turn = 0; turn < 4; turn++) {
        struct mux_options opt = to_pipe;
        opt.rotate = 90 * turn;
        struct result r = mux_line("ASpTI|ATP", &opt);
        const uint8_t *tkhd = r.p + find_box(r.p, r.len, "tkhd", 0);
        int good = 1;
        for (int i = 0; i < 9; i++)
            good &= get_u32(tkhd + 48 + 4 * i) == want[turn][i];
        good &= get_u32(tkhd + 84) == 640 << 16 && get_u32(tkhd + 88) == 480 << 16;
        /* Where the picture's corners go: within the turned rectangle, the top left one first. */
        ok(good && (want[turn][0] == one || want[turn][0] == minus || want[turn][0] == 0),
           "turned by %u degrees", 90 * turn);
        free(r.p);
    }
}

/* What a sample entry says beyond the size. */
static void sample_entry(void)
{
    struct stream s = {.us = today,
                       .sps = {.profile = 110,
                               .chroma = 2,
                               .depth_luma = 2,
                               .depth_chroma = 1,
                               .level = 41,
                               .constraints = 0x10,
                               .mbs = 44,
                               .map_units = 35,
                               .has = ASPECT | COLOUR,
                               .aspect = 4,
                               .colour = {1, 9, 16, 8}}};
    add_line(&s, "SpTI");
    struct result r = run_mux(&s, s.len, &to_pipe, 0);
    const uint8_t *avcc = r.p + find_box(r.p, r.len, "avcC", 0);
    size_t size = get_u32(avcc), sps = (size_t)avcc[14] << 8 | avcc[15];
    ok(!memcmp(avcc + 8, "\1\x6e\x10\x29\xff\xe1", 6) && avcc[16 + sps] == 1,
       "avcC: 6E1029, one of each");
    ok(!memcmp(avcc + size - 4, "\xfe\xfa\xf9\0", 4), "4:2:2, 10 and 9 bits");
    const uint8_t *pasp = r.p + find_box(r.p, r.len, "pasp", 0);
    const uint8_t *colr = r.p + find_box(r.p, r.len, "colr", 0);
    ok(pasp > r.p && get_u32(pasp + 8) == 16 && get_u32(pasp + 12) == 11, "pasp 16:11");
    ok(colr > r.p && !memcmp(colr + 8, "nclx\0\x9\0\x10\0\x8\x80", 11), "colr 9/16/8, full range");
    const uint8_t *tkhd = r.p + find_box(r.p, r.len, "tkhd", 0);
    ok(get_u32(tkhd + 84) == (720u * 65536 * 16 / 11), "tkhd: 720 wide by 16/11");
    free(r.p);
    free(s.p);
    r = mux_line("SpTI", &to_pipe);
    ok(find_box(r.p, r.len, "pasp", 0) < 0 && find_box(r.p, r.len, "colr", 0) < 0,
       "neither where the SPS says nothing");
    free(r.p);
}

int main(void)
{
    in_pieces("ASpTI|ATP|ATP|ASpTI|ATP", "|ASpTI|ATP|A");
    in_pieces("gSp3I4iii|3P4iNi|EP|J|P0", "SpI|P|Q");
    in_pieces("TP|P|STK|pTP|RTP", "|STI|TP|TP");
    samples();
    pipe_times();
    slow();
    file_times();
    beginnings();
    changes();
    turned();
    sample_entry();
    return done();
}
