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
    size_t len = frag_write(out, sizeof out, 5, 90000, s, n);
    ok(unit_next(out, len + n, &u, &why) == UNIT_READY, "a fragment of %u", n);
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
    static const int32_t key[] = {3000, 9000, 0, 0}, later[] = {9000, 0, 0};
    int32_t shift = 0;
    struct elastic_step step = fragment(4, even, key, 1);
    step.duration = 12000;
    bend_head(out, &step, &shift);
    struct moof_info m = read_again(4);
    ok(m.tfdt == step.tfdt && get_u32(out + m.sequence_at) == 77 && m.sync, "time, number, sync");
    ok(shift == 3000 && offsets_are(&m, (int32_t[]){0, 6000, -3000, -3000}),
       "at their own speed, offsets from the keyframe's on");
    ok(out[m.trun_version_at] == 1, "which are signed");
    int sync = 1;
    for (unsigned i = 0; i < m.flags.n; i++)
        sync &= get_u32(out + m.flags.at + i * m.flags.step) == SAMPLE_SYNC;
    ok(sync && m.flags.n == 4, "every one a sync sample");

    step = fragment(3, even, later, 0);
    step.duration = 90;
    bend_head(out, &step, &shift);
    m = read_again(3);
    ok(durations_are(&m, (uint32_t[]){30, 30, 30}) && offsets_are(&m, (int32_t[]){60, -30, -30}),
       "squeezed, offsets as well, from the keyframe before");
}

static void extremes(void)
{
    static const uint32_t none[] = {0, 0}, one[] = {1, 1};
    static const int32_t far[] = {-2147483647, 2147483647};
    int32_t shift = 0;
    struct elastic_step step = fragment(2, none, far, 1);
    step.duration = 2;
    bend_head(out, &step, &shift);
    struct moof_info m = read_again(2);
    ok(offsets_are(&m, (int32_t[]){0, 0}) && durations_are(&m, one), "of no duration: no offsets");
    step = fragment(2, one, far, 1);
    step.duration = 1000000;
    bend_head(out, &step, &shift);
    m = read_again(2);
    ok(offsets_are(&m, (int32_t[]){0, INT32_MAX}), "beyond 32 bits: the farthest");
}

/* Without offsets, durations that differ are shared out, to the last tick. */
static void shares(void)
{
    static const uint32_t uneven[] = {1000, 2000, 4000};
    static const int32_t zero[] = {0, 0, 0};
    int32_t shift = 0;
    struct elastic_step step = fragment(3, uneven, zero, 1);
    step.duration = 703;
    bend_head(out, &step, &shift);
    struct moof_info m = read_again(3);
    ok(m.duration_ticks == 703 && durations_are(&m, (uint32_t[]){101, 201, 401}),
       "703 ticks among three, in proportion");
}

int main(void)
{
    order();
    extremes();
    shares();
    return done();
}
