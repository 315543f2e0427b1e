/* The muxer on pictures that are shown in another order than they are decoded in, on fields, and
 * on streams that can be begun at recovery points only. */
#include "mux/muxer.h"
#include "tests/tap.h"
#include "tests/unit/muxrun.h"

enum { FRAGS = 1000, FRAME_US = 40000, FRAME = FRAME_US * 9 / 100 };

static const uint64_t today = UINT64_C(1795305600123456);
static struct fragment frag[FRAGS];
static uint64_t shown[FRAGS], decoded[FRAGS];

static const struct mux_options to_pipe = {.mode = MUX_AU, .live = 1};
static const struct mux_options to_file = {.mode = MUX_GOP, .patchable = 1};

static struct stream begin(int interlaced)
{
    struct stream s = {.more = 90,
                       .us = today,
                       .sps = {.profile = 77,
                               .mbs = 39,
                               .map_units = 14,
                               .interlaced = (unsigned)interlaced,
                               .poc_bits = 8,
                               .has = REORDER | HRD | TIMING,
                               .units = 1,
                               .scale = 50,
                               .bitrate = 4000000,
                               .cpb = 640000,
                               .reorder_frames = 1}};
    add_line(&s, "Sp");
    return s;
}

/* A picture that is shown at its count / 2. */
static void add_frame(struct stream *s, unsigned count, unsigned idr, unsigned reference,
                      int stamped)
{
    s->us = today + count * FRAME_US / 2;
    if (stamped)
        add_line(s, "T");
    s->last.header = (reference ? 0x60u : 0) | (idr ? 5u : 1u);
    s->last.idr = idr;
    s->last.idr_pic_id += idr;
    s->last.type = idr ? 7 : reference ? 5 : 6;
    s->last.frame_num = idr ? 0 : (s->last.frame_num + reference) & 15;
    s->last.poc_lsb = count & 255;
    add_slice(s);
}

/* Decode times and times of being shown of all samples; how many. */
static unsigned times(const struct result *r)
{
    unsigned n = read_fragments(r, frag, FRAGS), at = 0;
    for (unsigned i = 0; i < n; i++) {
        uint64_t time = frag[i].tfdt;
        for (uint32_t k = 0; k < frag[i].samples && at < FRAGS; k++, at++) {
            decoded[at] = time;
            shown[at] = time + (uint64_t)(int64_t)sample_offset(&frag[i], k);
            time += sample_duration(&frag[i], k);
        }
    }
    return at;
}

static const unsigned ibbp[] = {0, 6, 2, 4, 12, 8, 10, 18, 14, 16};

static void b_frames(const struct mux_options *opt, const char *way, int stamped)
{
    struct stream s = begin(0);
    for (unsigned i = 0; i < 10; i++)
        add_frame(&s, ibbp[i], i == 0, i == 0 || ibbp[i] % 6 == 0, stamped);
    struct result r = run_mux(&s, s.len, opt, 0);
    unsigned n = times(&r), wrong = 0, back = 0, with = 0;
    for (unsigned i = 0; i < n; i++) {
        wrong += shown[i] != ibbp[i] / 2 * FRAME;
        back += i && decoded[i] <= decoded[i - 1];
    }
    for (unsigned i = 0; opt->mode == MUX_AU && i < n; i++)
        with += frag[i].step == 16;
    ok(n == 10 && !wrong && !back, "I B B P to a %s, %s: each shown in its place", way,
       stamped ? "with capture times" : "without");
    ok(opt->mode != MUX_AU || with == 10, "and to a pipe every fragment says so");
    free(r.p);
    free(s.p);
}

/* Stamps that are not even: what is shown is shown by them, to a tick. */
static void uneven_stamps(const struct mux_options *opt, const char *way)
{
    static const int off_us[10] = {0, 9000, -11000, 5000, -3000, 12000, 7000, 0, -9000, 4000};
    struct stream s = begin(0);
    unsigned wrong = 0;
    for (unsigned i = 0; i < 10; i++) {
        s.us = today + ibbp[i] * FRAME_US / 2 + (uint64_t)off_us[i];
        add_line(&s, "T");
        add_frame(&s, ibbp[i], i == 0, i == 0 || ibbp[i] % 6 == 0, 0);
    }
    struct result r = run_mux(&s, s.len, opt, 0);
    unsigned n = times(&r);
    for (unsigned i = 0; i < n; i++) {
        int64_t want = ((int64_t)ibbp[i] * FRAME_US / 2 + off_us[i]) * 9 / 100;
        wrong += llabs((int64_t)shown[i] - want) > 1;
    }
    ok(n == 10 && !wrong, "uneven capture times to a %s: shown by them, but for %u", way, wrong);
    free(r.p);
    free(s.p);
}

static void add_field(struct stream *s, unsigned frame, unsigned bottom, unsigned idr)
{
    s->last.field = 1;
    s->last.bottom = bottom;
    s->last.header = idr ? 0x65 : 0x41;
    s->last.idr = idr;
    s->last.idr_pic_id += idr;
    s->last.type = idr ? 7 : 5;
    s->last.frame_num = frame & 15;
    s->last.poc_lsb = (2 * frame + bottom) & 255;
    add_slice(s);
}

/* `what`: letters of frames: B both fields, T and M top or bottom alone. */
static void fields(const struct mux_options *opt, const char *way, const char *what)
{
    struct stream s = begin(1);
    char text[200];
    unsigned n = 0;
    for (const char *c = what; *c; c++, n++) {
        s.us = today + n * FRAME_US;
        add_line(&s, "T");
        if (*c != 'M')
            add_field(&s, n, 0, n == 0);
        if (*c == 'B')
            add_line(&s, "E");
        if (*c != 'T')
            add_field(&s, n, 1, 0);
    }
    struct result r = run_mux(&s, s.len, opt, 0);
    unsigned got = times(&r), wrong = 0;
    for (unsigned i = 0; i < got; i++)
        wrong += decoded[i] != i * FRAME || shown[i] != decoded[i];
    char want[200] = "";
    size_t len = 0;
    for (unsigned i = 0; what[i]; i++)
        len += (size_t)snprintf(want + len, sizeof want - len, "|%sE%s%s",
                                i == 0 && opt->mode == MUX_AU ? "Sp" : "", i == 0 ? "I" : "P",
                                what[i] == 'B' ? "EP" : "");
    spell(&r, text, sizeof text);
    ok(got == n && !wrong && !strcmp(text, want), "fields %s to a %s: a sample each frame: %s",
       what, way, text);
    for (size_t step = 1; step < 60; step += 7) {
        struct result again = run_mux(&s, step, opt, 0);
        wrong += again.len != r.len || memcmp(again.p, r.p, r.len);
        free(again.p);
    }
    ok(!wrong, "and however the bytes come");
    free(r.p);
    free(s.p);
}

/* 8 KiB of picture in each field and more fields than would fit a group: none is lost. */
static void recovery(void)
{
    static const struct {
        const char *line, *sync;
    } cases[] = {
        {"TI|TP|RTP|TP|RTP|TP|RTP", "1000101"},
        {"TI|TP|RTP|TI|RTP|TI|RTP", "1001010"},
        {"TI|RTK|TP|RTK|TP", "10010"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stream s = {.more = 90, .us = today, .sps = {.mbs = 39, .map_units = 29}};
        char sync[20] = "";
        add_line(&s, "Sp");
        add_line(&s, cases[i].line);
        struct result r = run_mux(&s, s.len, &to_pipe, 0);
        unsigned n = read_fragments(&r, frag, FRAGS), depends = 0;
        for (unsigned k = 0; k < n && k < 19; k++) {
            uint32_t flags = get_u32(frag[k].table + 8);
            sync[k] = sample_is_sync(&frag[k], 0) ? '1' : '0';
            depends += flags == SAMPLE_RECOVERY;
        }
        ok(!strcmp(sync, cases[i].sync), "%s: sync %s", cases[i].line, sync);
        ok(depends == (i == 0 ? 2 : 0), "%u of them of slices that refer to others", depends);
        free(r.p);
        free(s.p);
    }
}

static void rates(void)
{
    struct stream s = begin(0);
    add_frame(&s, 0, 1, 1, 1);
    struct result r = run_mux(&s, s.len, &to_pipe, 0);
    long at = find_box(r.p, r.len, "btrt", 0);
    ok(at > 0 && get_u32(r.p + at + 8) == 80000 && get_u32(r.p + at + 12) == 4000000,
       "btrt: bytes of the buffer and bits a second, from the HRD");
    free(r.p);
    free(s.p);
}

int main(void)
{
    for (int stamped = 0; stamped < 2; stamped++) {
        b_frames(&to_pipe, "pipe", stamped);
        b_frames(&to_file, "file", stamped);
    }
    uneven_stamps(&to_pipe, "pipe");
    uneven_stamps(&to_file, "file");
    static const char *const mixes[] = {"BBBBB", "BTBMB", "TTT", "BBT"};
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        fields(&to_pipe, "pipe", mixes[i]);
        fields(&to_file, "file", mixes[i]);
    }
    recovery();
    rates();
    return done();
}
