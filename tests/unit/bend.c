/* A fragment's head on another timeline: what is in it then, read again by the box reader. */
#include <string.h>

#include "mux/box.h"
#include "mux/boxread.h"
#include "mux/frag.h"
#include "serve/bend.h"
#include "tests/tap.h"

static uint8_t out[4096];

/* A fragment of n samples with these durations and composition offsets, as the ring describes it.
 */
static struct elastic_step fragment(uint32_t n, const uint32_t *durations, const int32_t *offsets,
                                    int sync)
{
    struct frag_sample s[8];
    struct unit u;
    const char *why;
    memset(s, 0, sizeof s);
    memset(out, 0, sizeof out);
    for (uint32_t i = 0; i < n; i++)
        s[i] = (struct frag_sample){.duration = durations[i],
                                    .size = 1,
                                    .flags = sync && !i ? SAMPLE_SYNC : SAMPLE_NON_SYNC,
                                    .shown = offsets[i]};
    size_t len = frag_write(out, sizeof out, 5, 90000, s, n, 0);
    if (unit_next(out, len + n, &u, &why) != UNIT_READY)
        ok(0, "a fragment of %u", n);
    const struct moof_info *m = &u.moof;
    return (struct elastic_step){
        .frag = {.moof_at = m->moof_at,
                 .payload_at = m->payload_at,
                 .sequence_at = m->sequence_at,
                 .tfdt_at = m->tfdt_at,
                 .samples = m->samples,
                 .duration = (uint32_t)m->duration_ticks,
                 .duration_at = m->duration.at,
                 .duration_n = m->duration.n,
                 .duration_step = m->duration.step,
                 .flags_at = m->flags.at,
                 .flags_n = m->flags.n,
                 .flags_step = m->flags.step,
                 .first_flags_at = m->first_flags_at,
                 .offset_at = m->offset.at,
                 .offset_n = m->offset.n,
                 .offset_step = m->offset.step,
                 .trun_version_at = m->trun_version_at,
                 .flags = m->sync ? RING_SYNC : 0},
        .tfdt = UINT64_C(0x123456789a),
        .sequence = 77,
    };
}

static struct moof_info read_again(uint32_t n)
{
    struct unit u = {0};
    const char *why;
    unit_next(out, sizeof out - n, &u, &why);
    return u.moof;
}

static int offsets_are(const struct moof_info *m, const int32_t *want)
{
    for (unsigned i = 0; i < m->offset.n; i++)
        if ((int32_t)get_u32(out + m->offset.at + i * m->offset.step) != want[i])
            return 0;
    return m->offset.n == m->samples;
}

static int durations_are(const struct moof_info *m, const uint32_t *want)
{
    for (unsigned i = 0; i < m->duration.n; i++)
        if (get_u32(out + m->duration.at + i * m->duration.step) != want[i])
            return 0;
    return 1;
}

static void order(void)
{
    static const uint32_t even[] = {3000, 3000, 3000, 3000};
    static const int32_t key[] = {3000, 9000, 0, 0};
    struct bend b = {0};
    struct elastic_step step = fragment(4, even, key, 1);
    step.duration = 12000;
    bend_head(&b, out, &step);
    struct moof_info m = read_again(4);
    ok(m.tfdt == step.tfdt && get_u32(out + m.sequence_at) == 77 && m.sync, "time, number, sync");
    ok(offsets_are(&m, (int32_t[]){0, 6000, -3000, -3000}),
       "at their own speed: offsets from the keyframe's on");
    ok(out[m.trun_version_at] == 1, "which are signed");
    int sync = 1;
    for (unsigned i = 0; i < m.flags.n; i++)
        sync &= get_u32(out + m.flags.at + i * m.flags.step) == SAMPLE_SYNC;
    ok(sync && m.flags.n == 4, "every one a sync sample");
    memset(&b, 0, sizeof b);
    for (int again = 0; again < 2; again++) {
        step = fragment(4, even, key, 1);
        step.duration = 120;
        bend_head(&b, out, &step);
        m = read_again(4);
        ok(durations_are(&m, (uint32_t[]){30, 30, 30, 30}) &&
               offsets_are(&m, (int32_t[]){0, 60, -30, -30}),
           "squeezed: offsets as well, %s", again ? "and again" : "once");
    }
}

enum { PICTURES = 3000, FRAME = 3000 };

/* Pictures in coding order, each a fragment, every one at another speed: a reference picture in
 * front of `most` B pictures at most, a keyframe now and then, and at some of them a jump, or one
 * back to pictures that were sent before. */
static void speeds(unsigned most, unsigned slowest)
{
    static uint64_t shown[PICTURES + 8];
    static const uint32_t even[] = {FRAME};
    struct bend b = {0};
    uint64_t tfdt = 0, from = PICTURES * (uint64_t)FRAME, decoded = 0;
    uint32_t random = 1, sequence = 0;
    unsigned displayed = 0, wrong = 0;
    for (unsigned n = 0; n < PICTURES;) {
        random = random * 1664525 + 1013904223;
        unsigned bs = (random >> 8) % (most + 1), key = (random >> 16) % 8 == 0 || !n;
        if (key)
            bs = 0;
        if (key && (random >> 20) % 3 == 0)
            from += 17 * FRAME; /* left out */
        else if (key && n && (random >> 20) % 3 == 1)
            from -= (1 + (random >> 12) % 16) * FRAME; /* shown again */
        for (unsigned i = 0; i <= bs; i++, n++) {
            unsigned at = i ? displayed + i - 1 : displayed + bs;
            int64_t offset = ((int64_t)at + 2 - (int64_t)n) * FRAME;
            struct elastic_step step = fragment(1, even, (int32_t[]){(int32_t)offset}, (int)key);
            random = random * 1664525 + 1013904223;
            step.frag.dts = decoded + from;
            step.tfdt = tfdt;
            step.sequence = ++sequence;
            step.duration = 30 + (random >> 8) % slowest;
            bend_head(&b, out, &step);
            struct moof_info m = read_again(1);
            shown[at] = tfdt + FRAME * 100u + (uint64_t)(int32_t)get_u32(out + m.offset.at);
            tfdt += step.duration;
            decoded += FRAME;
        }
        displayed += bs + 1;
    }
    for (unsigned i = 1; i < displayed; i++)
        wrong += shown[i] <= shown[i - 1];
    ok(displayed >= PICTURES && !wrong,
       "up to %u B pictures, up to %u ticks each: %u of %u shown "
       "too early",
       most, slowest, wrong, displayed);
}

/* Nothing in a ring makes it look elsewhere than in the head. */
static void extremes(void)
{
    static const uint32_t none[] = {0, 0}, one[] = {1, 1};
    static const int32_t far[] = {-2147483647, 2147483647};
    struct bend b = {0};
    struct elastic_step step = fragment(2, none, far, 1);
    step.duration = 2;
    bend_head(&b, out, &step);
    struct moof_info m = read_again(2);
    ok(durations_are(&m, one), "of no duration");
    step = fragment(2, one, far, 1);
    step.sequence++;
    step.frag.dts = UINT64_MAX - 1;
    step.duration = UINT32_MAX;
    bend_head(&b, out, &step);
    step = fragment(2, one, far, 0);
    step.sequence += 2;
    step.frag.dts = 0;
    step.frag.duration_n = 1;
    bend_head(&b, out, &step);
    m = read_again(2);
    ok(m.trun_version_at && out[m.trun_version_at] == 1, "of the longest, at the end of time");
}

/* Without offsets, durations that differ are shared out, to the last tick. */
static void shares(void)
{
    static const uint32_t uneven[] = {1000, 2000, 4000};
    static const int32_t zero[] = {0, 0, 0};
    struct bend b = {0};
    struct elastic_step step = fragment(3, uneven, zero, 1);
    step.duration = 703;
    bend_head(&b, out, &step);
    struct moof_info m = read_again(3);
    ok(m.duration_ticks == 703 && durations_are(&m, (uint32_t[]){101, 201, 401}),
       "703 ticks among three, in proportion");
}

int main(void)
{
    order();
    speeds(2, 1);
    speeds(3, 4000);
    extremes();
    shares();
    return done();
}
