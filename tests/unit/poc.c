/* Picture order count against the standard's own arithmetic (8.2.1), and what is made of it. */
#include <string.h>

#include "capture/poc.h"
#include "mux/reorder.h"
#include "tests/tap.h"

enum { PICTURES_MAX = 16 };

struct picture {
    uint32_t frame_num, lsb;
    uint8_t idr, ref, field, bottom, reset;
    int32_t delta[2];
};

static void order_of(const struct sps *sps, const struct picture *pictures, int n, int64_t *out)
{
    struct poc poc;
    memset(&poc, 0, sizeof poc);
    for (int i = 0; i < n; i++) {
        const struct picture *p = &pictures[i];
        struct slice s = {.known = 1,
                          .frame_num = p->frame_num,
                          .poc_lsb = p->lsb,
                          .idr = p->idr,
                          .nal_ref_idc = p->ref,
                          .field = p->field,
                          .bottom = p->bottom,
                          .delta_poc = {p->delta[0], p->delta[1]}};
        out[i] = poc_order(&poc, sps, &s, p->reset);
    }
}

/* The pictures, by decoding order, must be shown as `want` says: want[i] is the place of picture i.
 */
static void check(const char *what, const struct sps *sps, const struct picture *pictures, int n,
                  const int *want)
{
    int64_t order[PICTURES_MAX];
    int good = 1;
    order_of(sps, pictures, n, order);
    for (int i = 0; i < n; i++) {
        int place = 0;
        for (int k = 0; k < n; k++)
            place += order[k] < order[i];
        good &= place == want[i];
    }
    ok(good, "%s", what);
}

static void type_0(void)
{
    const struct sps sps = {
        .valid = 1, .frame_mbs_only = 1, .log2_max_frame_num = 4, .log2_max_poc_lsb = 4};
    const struct picture ibbp[] = {
        {0, 0, .idr = 1, .ref = 1}, {1, 6, .ref = 1}, {2, 2, .ref = 0},  {2, 4, .ref = 0},
        {2, 12, .ref = 1},          {3, 8, .ref = 0}, {3, 10, .ref = 0},
    };
    check("I B B P B B P", &sps, ibbp, 7, (int[]){0, 3, 1, 2, 6, 4, 5});
    const struct picture wraps[] = {
        {0, 0, .idr = 1, .ref = 1}, {1, 8, .ref = 1}, {2, 0, .ref = 1},
        {3, 8, .ref = 1},           {4, 4, .ref = 0},
    };
    check("the low bits wrap", &sps, wraps, 5, (int[]){0, 1, 2, 4, 3});
    const struct picture negative[] = {
        {0, 4, .idr = 1, .ref = 1}, {1, 0, .ref = 0}, {1, 2, .ref = 0},
        {1, 10, .ref = 1},          {2, 8, .ref = 0},
    };
    check("pictures shown before their IDR", &sps, negative, 5, (int[]){2, 0, 1, 4, 3});
    const struct picture below[] = {
        {0, 0, .idr = 1, .ref = 1}, {1, 14, .ref = 0}, {1, 12, .ref = 0}, {1, 2, .ref = 1}};
    check("and counts below zero", &sps, below, 4, (int[]){2, 1, 0, 3});
    const struct picture idrs[] = {
        {0, 0, .idr = 1, .ref = 1},
        {1, 8, .ref = 1},
        {0, 0, .idr = 1, .ref = 1},
        {1, 2, .ref = 1},
    };
    check("an IDR begins anew", &sps, idrs, 4, (int[]){0, 1, 2, 3});
    const struct picture reset[] = {
        {0, 0, .idr = 1, .ref = 1},    {1, 8, .ref = 1}, {2, 6, .ref = 0},
        {2, 10, .ref = 1, .reset = 1}, {1, 2, .ref = 1}, {2, 1, .ref = 0},
    };
    check("so does a picture that resets", &sps, reset, 6, (int[]){0, 2, 1, 3, 5, 4});
}

static void type_0_fields(void)
{
    const struct sps sps = {.valid = 1, .log2_max_frame_num = 4, .log2_max_poc_lsb = 4};
    const struct picture fields[] = {
        {0, 0, .idr = 1, .ref = 1, .field = 1},
        {0, 1, .ref = 1, .field = 1, .bottom = 1},
        {1, 6, .ref = 1, .field = 1},
        {1, 7, .ref = 1, .field = 1, .bottom = 1},
        {2, 2, .field = 1},
        {2, 3, .field = 1, .bottom = 1},
    };
    check("fields", &sps, fields, 6, (int[]){0, 1, 4, 5, 2, 3});
    const struct picture delta[] = {
        {0, 2, .idr = 1, .ref = 1, .delta = {-2, 0}},
        {1, 1, .ref = 0},
        {1, 4, .ref = 1},
    };
    check("a frame is shown with its earlier field", &sps, delta, 3, (int[]){0, 1, 2});
}

static void type_1(void)
{
    const struct sps sps = {.valid = 1,
                            .frame_mbs_only = 1,
                            .log2_max_frame_num = 4,
                            .poc_type = 1,
                            .offset_for_non_ref_pic = -3,
                            .poc_cycle_length = 2,
                            .offset_for_ref_frame = {4, 6}};
    /* Expected counts: frame_num 1 -> 4, 2 -> 10, 3 -> 14; a non-reference picture counts from one
     * less and gets -3. */
    const struct picture pictures[] = {
        {0, 0, .idr = 1, .ref = 1}, {1, 0, .ref = 1}, {2, 0, .ref = 0},
        {2, 0, .ref = 1},           {3, 0, .ref = 0},
    };
    int64_t order[5];
    order_of(&sps, pictures, 5, order);
    ok(order[1] - order[0] == 4 && order[2] - order[0] == 1 && order[3] - order[0] == 10 &&
           order[4] - order[0] == 7,
       "type 1: the cycle, and non-reference pictures");
    const struct picture delta[] = {{0, 0, .idr = 1, .ref = 1}, {1, 0, .ref = 1, .delta = {-2, 0}}};
    order_of(&sps, delta, 2, order);
    ok(order[1] - order[0] == 2, "type 1: delta_pic_order_cnt");
}

static void type_2(void)
{
    const struct sps sps = {
        .valid = 1, .frame_mbs_only = 1, .log2_max_frame_num = 4, .poc_type = 2};
    struct picture pictures[PICTURES_MAX] = {{0, 0, .idr = 1, .ref = 1}};
    int64_t order[PICTURES_MAX];
    int rising = 1;
    for (uint32_t i = 1; i < PICTURES_MAX; i++)
        pictures[i] = (struct picture){.frame_num = (i * 3) % 16, .ref = 1};
    order_of(&sps, pictures, PICTURES_MAX, order);
    for (int i = 1; i < PICTURES_MAX; i++)
        rising &= order[i] > order[i - 1];
    ok(rising, "type 2: output order is decoding order, however frame_num wraps");
}

static void forever(void)
{
    const struct sps sps = {
        .valid = 1, .frame_mbs_only = 1, .log2_max_frame_num = 4, .log2_max_poc_lsb = 4};
    struct poc poc = {.sequence = UINT32_MAX - 2};
    struct slice idr = {.known = 1, .idr = 1, .nal_ref_idc = 1};
    int positive = 1;
    for (int i = 0; i < 8; i++)
        positive &= poc_order(&poc, &sps, &idr, 0) >= 0;
    ok(positive, "no number of sequences overflows");
}

static void reordering(void)
{
    const int64_t order[] = {10, 40, 20, 30, 50};
    struct frag_sample s[5] = {
        {3000, 1, 0, 0}, {2000, 1, 0, 0}, {4000, 1, 0, 0}, {1000, 1, 0, 0}, {3000, 1, 0, 0}};
    uint32_t scratch[5];
    int64_t decoded[5], shown[5], t = 0;
    reorder_samples(s, order, scratch, 5);
    for (int i = 0; i < 5; i++) {
        decoded[i] = t;
        shown[i] = t + s[i].shown;
        t += s[i].duration;
    }
    ok(shown[0] == decoded[0] && shown[2] == decoded[1] && shown[3] == decoded[2] &&
           shown[1] == decoded[3] && shown[4] == decoded[4],
       "each picture is shown at the time its place in order has");
    const int64_t same[] = {1, 1, 2, 2, 3};
    reorder_samples(s, same, scratch, 5);
    ok(!s[0].shown && !s[1].shown && !s[2].shown && !s[3].shown && !s[4].shown,
       "what is in order stays, and equals too");
}

int main(void)
{
    type_0();
    type_0_fields();
    type_1();
    type_2();
    forever();
    reordering();
    return done();
}
