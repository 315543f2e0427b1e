/* Slice headers, and each clause that makes two of them two pictures (7.4.1.2.4). */
#include "capture/slice.h"
#include "tests/tap.h"
#include "tests/unit/h264.h"

enum { ROOM = 512 };

static struct sps sps[SPS_IDS];
static struct pps pps[PPS_IDS];
static uint8_t *edge;

static int parse(const uint8_t *nal, size_t len, struct slice *out)
{
    memcpy(edge - len, nal, len);
    return slice_parse(edge - len, len, sps, pps, out);
}

static void use(struct sps_plan *s, struct pps_plan *p)
{
    uint8_t nal[SET_MAX];
    memset(sps, 0, sizeof sps);
    memset(pps, 0, sizeof pps);
    sps_parse(nal, make_sps(nal, s), &sps[s->id]);
    pps_parse(nal, make_pps(nal, p), &pps[p->id]);
}

/* Every combination of what makes the header longer. */
static void there_and_back(void)
{
    int good = 1, cut = 1, runs = 0;
    for (unsigned bits = 0; bits < 384; bits++) {
        struct sps_plan s = {.profile = 244,
                             .chroma = 3,
                             .separate = bits & 1,
                             .interlaced = bits >> 1 & 1,
                             .poc_type = bits / 128,
                             .always_zero = bits >> 2 & 1,
                             .frame_num_bits = 16,
                             .poc_bits = 16,
                             .id = 31};
        struct pps_plan p = {
            .id = 255, .sps = 31, .bottom = bits >> 3 & 1, .redundant = bits >> 4 & 1};
        struct slice_plan h = {.first_mb = 36863,
                               .type = 9,
                               .pps = 255,
                               .plane = 2,
                               .frame_num = 65535,
                               .field = bits >> 1 & bits >> 5 & 1,
                               .bottom = 1,
                               .idr = bits >> 6 & 1,
                               .idr_pic_id = 65535,
                               .poc_lsb = 65534,
                               .delta = {-2147483647, 2147483647},
                               .redundant = 127};
        uint8_t nal[ROOM];
        struct slice got;
        int field = (int)h.field, both = p.bottom && !field;
        int type1 = s.poc_type == 1 && !s.always_zero;
        use(&s, &p);
        size_t len = make_slice(nal, sizeof nal, &s, &p, &h, 100);
        size_t bare = make_slice(nal, sizeof nal, &s, &p, &h, 0);
        runs++;
        good &= bare <= SLICE_HEADER_MAX && parse(nal, len, &got) == 0 && got.known;
        good &= got.first_mb == 36863 && got.type == 4 && got.pps_id == 255 && got.sps_id == 31;
        good &= got.colour_plane == (s.separate ? 2 : 0) && got.frame_num == 65535;
        good &= got.field == field && got.bottom == field && got.idr == h.idr;
        good &= got.idr_pic_id == (h.idr ? 65535u : 0) && got.redundant == (p.redundant ? 127u : 0);
        good &= got.poc_lsb == (s.poc_type == 0 ? 65534u : 0);
        good &= got.delta_poc[0] == ((s.poc_type == 0 ? both : type1) ? -2147483647 : 0);
        good &= got.delta_poc[1] == (type1 && both ? 2147483647 : 0);
        for (size_t n = 0; n + 1 < bare; n++)
            cut &= parse(nal, n, &got) < 0 && !got.known;
    }
    ok(good, "%d shapes of header at their longest, within SLICE_HEADER_MAX", runs);
    ok(cut, "no cut of them is read");
}

static void unreadable(void)
{
    struct sps_plan s = {0};
    struct pps_plan p = {0};
    uint8_t nal[ROOM];
    struct slice got;
    use(&s, &p);
    size_t len = make_slice(nal, ROOM, &s, &p, &(struct slice_plan){.type = 10}, 10);
    ok(parse(nal, len, &got) < 0, "slice_type 10");
    len = make_slice(nal, ROOM, &s, &p, &(struct slice_plan){.pps = 256}, 10);
    ok(parse(nal, len, &got) < 0, "PPS 256");
    len =
        make_slice(nal, ROOM, &s, &p, &(struct slice_plan){.pps = 7, .first_mb = 5, .type = 2}, 10);
    ok(parse(nal, len, &got) == 0 && !got.known && got.first_mb == 5 && got.type == 2,
       "a PPS that is not there: what can be known without it");
    sps[0].valid = 0;
    len = make_slice(nal, ROOM, &s, &p, &(struct slice_plan){.first_mb = 5}, 10);
    ok(parse(nal, len, &got) == 0 && !got.known, "an SPS that is not there");
    ok(parse(nal, 1, &got) < 0 && parse(nal, 0, &got) < 0, "no header at all");
}

/* Two slices that differ in one thing; whether they are of two pictures. */
static const struct {
    const char *what;
    int apart;
    struct sps_plan sps;
    struct pps_plan pps;
    struct slice_plan a, b;
} clauses[] = {
    {"nothing", 0, {0}, {0}, {0}, {0}},
    {"first_mb_in_slice", 0, {0}, {0}, {0}, {.first_mb = 1}},
    {"slice_type", 0, {0}, {0}, {.type = 0}, {.type = 2}},
    {"frame_num", 1, {0}, {0}, {.frame_num = 1}, {.frame_num = 2}},
    {"pic_parameter_set_id", 1, {0}, {0}, {.pps = 0}, {.pps = 1}},
    {"field_pic_flag", 1, {.interlaced = 1}, {0}, {.field = 0}, {.field = 1}},
    {"bottom_field_flag", 1, {.interlaced = 1}, {0}, {.field = 1}, {.field = 1, .bottom = 1}},
    {"nal_ref_idc, one of them 0", 1, {0}, {0}, {.header = 0x61}, {.header = 0x01}},
    {"nal_ref_idc, none of them 0", 0, {0}, {0}, {.header = 0x61}, {.header = 0x21}},
    {"pic_order_cnt_lsb", 1, {0}, {0}, {.poc_lsb = 2}, {.poc_lsb = 4}},
    {"delta_pic_order_cnt_bottom", 1, {0}, {.bottom = 1}, {.delta = {1, 0}}, {.delta = {-1, 0}}},
    {"delta_pic_order_cnt[0]", 1, {.poc_type = 1}, {0}, {.delta = {1, 0}}, {.delta = {2, 0}}},
    {"delta_pic_order_cnt[1]",
     1,
     {.poc_type = 1},
     {.bottom = 1},
     {.delta = {0, 1}},
     {.delta = {0, 2}}},
    {"IdrPicFlag", 1, {0}, {0}, {.idr = 1}, {.idr = 0, .header = 0x65 & 0x61}},
    {"idr_pic_id", 1, {0}, {0}, {.idr = 1, .idr_pic_id = 1}, {.idr = 1, .idr_pic_id = 2}},
    {"colour_plane_id", 0, {.profile = 244, .chroma = 3, .separate = 1}, {0}, {0}, {.plane = 1}},
    {"redundant_pic_cnt", 0, {0}, {.redundant = 1}, {0}, {.redundant = 1}},
    {"type 2: no order count", 0, {.poc_type = 2}, {0}, {.poc_lsb = 1}, {.poc_lsb = 2}},
};

static void pictures(void)
{
    for (size_t i = 0; i < sizeof clauses / sizeof clauses[0]; i++) {
        struct sps_plan s = clauses[i].sps;
        struct pps_plan p = clauses[i].pps;
        struct slice a, b;
        uint8_t nal[ROOM];
        use(&s, &p);
        pps[1] = pps[0];
        int read = parse(nal, make_slice(nal, ROOM, &s, &p, &clauses[i].a, 20), &a) == 0;
        read &= parse(nal, make_slice(nal, ROOM, &s, &p, &clauses[i].b, 20), &b) == 0;
        ok(read && a.known && b.known && slice_new_picture(&a, &b) == clauses[i].apart &&
               (clauses[i].apart ? slice_new_picture(&b, &a) : 1),
           "%s differs: %s", clauses[i].what, clauses[i].apart ? "two pictures" : "one");
    }
    struct slice known = {.known = 1, .frame_num = 3}, unknown = {.first_mb = 0};
    ok(slice_new_picture(&known, &unknown) && slice_new_picture(&unknown, &unknown),
       "not known: macroblock 0 begins a picture");
    unknown.first_mb = 7;
    ok(!slice_new_picture(&known, &unknown), "and no other does");
    /* PPSs of two SPSs under one id, one after the other. */
    struct slice other = known;
    other.sps_id = 1;
    ok(slice_new_picture(&known, &other), "seq_parameter_set_id differs: two pictures");
}

int main(void)
{
    edge = edge_of(ROOM);
    there_and_back();
    unreadable();
    pictures();
    return done();
}
