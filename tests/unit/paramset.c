/* Parameter sets made field by field: every branch, every cut, the limits of the standard. */
#include "capture/paramset.h"
#include "tests/tap.h"
#include "tests/unit/h264.h"

static uint8_t *edge;

/* At the unreadable page, so that reading on is a crash. */
static int parse_sps(const uint8_t *nal, size_t len, struct sps *out)
{
    memcpy(edge - len, nal, len);
    return sps_parse(edge - len, len, out);
}

static int parse_pps(const uint8_t *nal, size_t len, struct pps *out)
{
    memcpy(edge - len, nal, len);
    return pps_parse(edge - len, len, out);
}

static int sps_of(const struct sps_plan *plan, struct sps *out)
{
    uint8_t nal[SET_MAX];
    return parse_sps(nal, make_sps(nal, plan), out);
}

static void plain(void)
{
    struct sps s;
    int good = sps_of(&(struct sps_plan){.constraints = 0xc0,
                                         .level = 31,
                                         .id = 31,
                                         .frame_num_bits = 16,
                                         .poc_type = 2,
                                         .mbs = 39,
                                         .map_units = 29},
                      &s);
    ok(good == 0 && s.valid && s.id == 31, "baseline, id 31");
    ok(s.profile_idc == 66 && s.constraint_flags == 0xc0 && s.level_idc == 31, "profile and level");
    ok(s.width == 640 && s.height == 480 && s.frame_mbs_only, "640x480 frames");
    ok(s.chroma_format_idc == 1 && s.bit_depth_luma == 8 && s.bit_depth_chroma == 8,
       "4:2:0, 8 bits");
    ok(s.log2_max_frame_num == 16 && s.poc_type == 2, "frame_num of 16 bits, order count type 2");
    ok(s.sar_width == 0 && !s.has_colour && s.time_scale == 0, "nothing said in a VUI");
}

static void profiles(void)
{
    static const uint8_t with[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    static const uint8_t without[] = {66, 77, 88};
    int good = 1;
    struct sps s;
    for (size_t i = 0; i < sizeof with; i++)
        for (unsigned chroma = 0; chroma < 4; chroma++)
            for (int scaling = 0; scaling < 3; scaling++) {
                struct sps_plan p = {.profile = with[i], .chroma = chroma, .scaling = scaling};
                p.separate = chroma == 3 && scaling == 1;
                p.depth_luma = 6;
                p.depth_chroma = 2;
                p.mbs = 7;
                good &= sps_of(&p, &s) == 0 && s.width == 128 && s.height == 16 &&
                        s.chroma_format_idc == chroma && s.bit_depth_luma == 14 &&
                        s.bit_depth_chroma == 10 && s.separate_colour_plane == p.separate;
            }
    ok(good, "%zu profiles with a chroma format, all formats and scaling lists", sizeof with);
    for (size_t i = 0; i < sizeof without; i++)
        good &= sps_of(&(struct sps_plan){.profile = without[i], .mbs = 7}, &s) == 0 &&
                s.width == 128 && s.profile_idc == without[i];
    ok(good, "three profiles without");
}

static void order_counts(void)
{
    struct sps s;
    int good = 1;
    for (unsigned bits = 4; bits <= 16; bits++)
        good &= sps_of(&(struct sps_plan){.poc_bits = bits, .mbs = 2}, &s) == 0 && s.width == 48 &&
                s.poc_type == 0 && s.log2_max_poc_lsb == bits;
    ok(good, "type 0 with 4 to 16 bits");
    for (unsigned cycle = 0; cycle <= 255; cycle += 51)
        good &= sps_of(
                    &(struct sps_plan){
                        .poc_type = 1, .cycle = cycle, .always_zero = cycle & 1, .mbs = 2},
                    &s) == 0 &&
                s.width == 48 && s.poc_type == 1 && s.delta_pic_order_always_zero == (cycle & 1);
    ok(good, "type 1 with cycles to 255");
}

/* chroma_format_idc, fields, cropping in its units; what is left of 160x160. */
static const struct {
    const char *what;
    unsigned chroma, separate, interlaced, crop[4], width, height;
} crops[] = {
    {"4:2:0", 1, 0, 0, {1, 2, 3, 4}, 154, 146},
    {"4:2:0 fields", 1, 0, 1, {1, 2, 3, 4}, 154, 132},
    {"4:2:2", 2, 0, 0, {1, 2, 3, 4}, 154, 153},
    {"4:2:2 fields", 2, 0, 1, {1, 2, 3, 4}, 154, 146},
    {"4:4:4", 3, 0, 0, {1, 2, 3, 4}, 157, 153},
    {"4:4:4 fields", 3, 0, 1, {1, 2, 3, 4}, 157, 146},
    {"4:4:4, separate planes", 3, 1, 0, {1, 2, 3, 4}, 157, 153},
    {"monochrome", 0, 0, 0, {1, 2, 3, 4}, 157, 153},
    {"monochrome fields", 0, 0, 1, {1, 2, 3, 4}, 157, 146},
    {"to the last two samples", 1, 0, 0, {40, 39, 79, 0}, 2, 2},
    {"nothing left across", 1, 0, 0, {40, 40, 0, 0}, 0, 0},
    {"nothing left down", 1, 0, 0, {0, 0, 0, 80}, 0, 0},
    {"more than there is", 1, 0, 0, {0, 0, 81, 0}, 0, 0},
    {"a sum that wraps", 3, 0, 0, {4294967294u, 4294967294u, 0, 0}, 0, 0},
    {"a product that wraps", 1, 0, 0, {2147483648u, 0, 0, 0}, 0, 0},
};

static void cropping(void)
{
    for (size_t i = 0; i < sizeof crops / sizeof crops[0]; i++) {
        struct sps_plan p = {.profile = 244, .chroma = crops[i].chroma, .mbs = 9, .has = CROP};
        struct sps s;
        p.separate = crops[i].separate;
        p.interlaced = crops[i].interlaced;
        p.map_units = p.interlaced ? 4 : 9;
        memcpy(p.crop, crops[i].crop, sizeof p.crop);
        int r = sps_of(&p, &s);
        if (crops[i].width)
            ok(r == 0 && s.width == crops[i].width && s.height == crops[i].height,
               "cropped, %s: %ux%u", crops[i].what, s.width, s.height);
        else
            ok(r < 0 && !s.valid, "cropped, %s: refused", crops[i].what);
    }
}

static void vui(void)
{
    static const unsigned ratio[17][2] = {
        {0, 0},   {1, 1},   {12, 11}, {10, 11}, {16, 11},  {40, 33}, {24, 11}, {20, 11}, {32, 11},
        {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1}};
    struct sps s;
    int good = 1;
    for (unsigned i = 0; i < 17; i++)
        good &= sps_of(&(struct sps_plan){.has = ASPECT, .aspect = i}, &s) == 0 &&
                s.sar_width == ratio[i][0] && s.sar_height == ratio[i][1];
    ok(good, "the sample aspect ratios of table E-1");
    good = sps_of(&(struct sps_plan){.has = ASPECT, .aspect = 17, .sar_width = 1}, &s) == 0;
    ok(good && s.sar_width == 0 && s.sar_height == 0, "a reserved one is none");
    struct sps_plan all = {.has = ASPECT | COLOUR | TIMING,
                           .aspect = 255,
                           .sar_width = 65535,
                           .sar_height = 2,
                           .colour = {1, 9, 16, 8},
                           .units = 1001,
                           .scale = 60000};
    good = sps_of(&all, &s) == 0;
    ok(good && s.sar_width == 65535 && s.sar_height == 2, "one spelt out");
    ok(s.has_colour && s.full_range && s.colour_primaries == 9 && s.transfer == 16 && s.matrix == 8,
       "colour");
    ok(s.num_units_in_tick == 1001 && s.time_scale == 60000, "timing");
    all.units = all.scale = UINT32_MAX;
    ok(sps_of(&all, &s) == 0 && s.num_units_in_tick == UINT32_MAX && s.time_scale == UINT32_MAX,
       "timing of 32 bits");
    ok(sps_of(&(struct sps_plan){.has = VUI}, &s) == 0 && !s.has_colour && s.reorder_frames == -1 &&
           s.max_bitrate == 0,
       "a VUI that says nothing");
    all.has |= HRD | REORDER;
    all.bitrate = 4000000;
    all.cpb = 640000;
    all.reorder_frames = 16;
    ok(sps_of(&all, &s) == 0 && s.max_bitrate == 4000000 && s.cpb_bits == 640000,
       "the NAL HRD: the schedule of the highest rate, whatever the other HRD says");
    ok(s.reorder_frames == 16, "max_num_reorder_frames");
    all.reorder_frames = 17;
    ok(sps_of(&all, &s) == 0 && s.reorder_frames == -1 && s.max_bitrate == 0 && s.time_scale,
       "more than there can be: what is said of buffering is lost, the timing is not");
    all = (struct sps_plan){.has = HRD, .bitrate = 0xffffffc0, .cpb = 384};
    ok(sps_of(&all, &s) == 0 && s.max_bitrate == 0xffffffc0 && s.cpb_bits == 384,
       "the largest rate that 32 bits hold");
    ok(sps_of(&(struct sps_plan){.poc_type = 2}, &s) == 0 && s.reorder_frames == 0,
       "order count type 2: nothing is reordered");
    ok(sps_of(&(struct sps_plan){.profile = 110, .chroma = 1, .constraints = 0x10}, &s) == 0 &&
           s.reorder_frames == 0,
       "nor in an intra profile");
}

/* What is in front of the VUI must be whole; without the VUI the rest stands. */
static void cut_sps(const struct sps_plan *plan, const char *what)
{
    uint8_t nal[SET_MAX];
    struct sps_plan bare = *plan;
    struct sps whole, s;
    bare.has &= CROP;
    size_t front = make_sps(nal, &bare), len = make_sps(nal, plan);
    int good = parse_sps(nal, len, &whole) == 0 && whole.valid;
    for (size_t cut = 0; cut < len; cut++) {
        int r = parse_sps(nal, cut, &s);
        good &= r == 0 ? s.valid && s.width == whole.width && s.height == whole.height : !s.valid;
        good &= r < 0 || cut + 1 >= front;
        good &= r < 0 || s.time_scale == 0 || s.time_scale == whole.time_scale;
        good &= r < 0 || s.reorder_frames == -1 || s.reorder_frames == whole.reorder_frames;
        good &= r == 0 || cut < front;
        good &= r < 0 || s.has_colour == 0 || s.time_scale == whole.time_scale;
    }
    ok(good, "%s: no cut of it is taken for more than it is", what);
}

static void limits(void)
{
    static const struct sps_plan bad[] = {
        {.id = 32},
        {.id = 4294967294u},
        {.profile = 100, .chroma = 4},
        {.profile = 100, .chroma = 1, .depth_luma = 7},
        {.profile = 100, .chroma = 1, .depth_chroma = 7},
        {.profile = 100, .chroma = 1, .scaling = 3},
        {.frame_num_bits = 17},
        {.poc_bits = 17},
        {.poc_type = 3},
        {.poc_type = 1, .cycle = 256},
        {.mbs = 1024},
        {.mbs = 4294967294u},
        {.map_units = 1024},
        {.map_units = 512, .interlaced = 1},
        {.map_units = 4294967294u, .interlaced = 1},
    };
    struct sps s;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ok(sps_of(&bad[i], &s) < 0 && !s.valid, "SPS beyond limit %zu", i);
    /* + 4 makes 2 of 2^32 - 2 where it wraps. */
    ok(sps_of(&(struct sps_plan){.frame_num_bits = 2}, &s) < 0, "log2_max_frame_num that wraps");
    ok(sps_of(&(struct sps_plan){.poc_bits = 2}, &s) < 0, "log2_max_pic_order_cnt_lsb that wraps");
    ok(sps_of(&(struct sps_plan){.mbs = 1023, .map_units = 1023}, &s) == 0 && s.width == 16384 &&
           s.height == 16384,
       "16384x16384 is taken");
    ok(sps_of(&(struct sps_plan){.map_units = 511, .interlaced = 1, .mbaff = 1}, &s) == 0 &&
           s.height == 16384 && s.mb_adaptive_frame_field && !s.frame_mbs_only,
       "16384 lines of fields too");
}

static void picture_sets(void)
{
    uint8_t nal[SET_MAX];
    struct pps p;
    for (int groups = 0; groups <= 7; groups++) {
        struct pps_plan plan = {255, 31, groups & 1, 1, groups};
        size_t len = make_pps(nal, &plan);
        int good = parse_pps(nal, len, &p) == 0 && p.valid && p.id == 255 && p.sps_id == 31 &&
                   p.bottom_field_pic_order == (groups & 1) && p.redundant_pic_cnt_present;
        for (size_t cut = 0; cut < len; cut++)
            good &= parse_pps(nal, cut, &p) < 0 && !p.valid;
        ok(good, "PPS with slice groups of kind %d, and no cut of it", groups - 1);
    }
    size_t len = make_pps(nal, &(struct pps_plan){.id = 3});
    ok(parse_pps(nal, len, &p) == 0 && p.id == 3 && !p.redundant_pic_cnt_present &&
           !p.bottom_field_pic_order,
       "a plain PPS");
    len = make_pps(nal, &(struct pps_plan){.id = 256});
    ok(parse_pps(nal, len, &p) < 0, "id 256");
    len = make_pps(nal, &(struct pps_plan){.sps = 32});
    ok(parse_pps(nal, len, &p) < 0, "of SPS 32");
    len = make_pps(nal, &(struct pps_plan){.groups = 8});
    ok(parse_pps(nal, len, &p) < 0, "slice groups of kind 7");
    static const uint8_t nine[] = {0x68, 0xc4, 0x2f, 0xff}; /* nine slice groups */
    ok(parse_pps(nine, sizeof nine, &p) < 0, "nine slice groups");
    /* Type 6 with 2^32 - 1 units: as long as the data, not as long as it says. */
    struct bitwriter w;
    bitw_init(&w, nal, sizeof nal);
    bitw_u(&w, 8, 0x68);
    bitw_u(&w, 4, 0xc);
    bitw_ue(&w, 1);
    bitw_ue(&w, 6);
    bitw_ue(&w, 4294967294u);
    bitw_trailing(&w);
    ok(parse_pps(nal, w.len, &p) < 0, "a slice group map without end");
}

int main(void)
{
    edge = edge_of(SET_MAX);
    plain();
    profiles();
    order_counts();
    cropping();
    vui();
    cut_sps(&(struct sps_plan){.mbs = 39, .map_units = 29}, "baseline");
    cut_sps(&(struct sps_plan){.has = CROP | ASPECT | COLOUR | TIMING,
                               .crop = {0, 0, 0, 1},
                               .map_units = 3,
                               .aspect = 255,
                               .sar_width = 4,
                               .sar_height = 3,
                               .units = 1,
                               .scale = 60},
            "with a VUI");
    cut_sps(&(struct sps_plan){.profile = 100,
                               .chroma = 1,
                               .scaling = 2,
                               .poc_type = 1,
                               .cycle = 255,
                               .has = CROP | TIMING,
                               .units = 1,
                               .scale = 50},
            "with scaling lists and 255 offsets");
    limits();
    picture_sets();
    return done();
}
