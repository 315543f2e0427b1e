#include "mux/init.h"

#include "mux/box.h"
#include "mux/timing.h"

/* 8.2.2, 8.3.2: a row-major 3 x 3 matrix, 16.16 but for the last column's 2.30. */
static void matrix(struct box *b, int32_t a, int32_t bb, int32_t c, int32_t d, uint32_t x,
                   uint32_t y)
{
    const uint32_t one = 0x10000, unit = 0x40000000;
    box_u32(b, (uint32_t)a * one);
    box_u32(b, (uint32_t)bb * one);
    box_u32(b, 0);
    box_u32(b, (uint32_t)c * one);
    box_u32(b, (uint32_t)d * one);
    box_u32(b, 0);
    box_u32(b, x * one);
    box_u32(b, y * one);
    box_u32(b, unit);
}

/* The turned picture is moved back into the positive quadrant. */
static void rotation(struct box *b, unsigned degrees, uint32_t width, uint32_t height)
{
    switch (degrees) {
    case 90:
        matrix(b, 0, 1, -1, 0, height, 0);
        break;
    case 180:
        matrix(b, -1, 0, 0, -1, width, height);
        break;
    case 270:
        matrix(b, 0, -1, 1, 0, 0, width);
        break;
    default:
        matrix(b, 1, 0, 0, 1, 0, 0);
    }
}

static void write_ftyp(struct box *b)
{
    size_t ftyp = box_open(b, "ftyp");
    box_bytes(b, "iso6", 4);
    box_u32(b, 0x200);
    box_bytes(b, "iso6isommp41", 12);
    box_close(b, ftyp);
}

static void write_mvhd(struct box *b)
{
    size_t mvhd = box_open_full(b, "mvhd", 0, 0);
    box_zeros(b, 8); /* creation, modification: not said */
    box_u32(b, TIMESCALE);
    box_u32(b, 0); /* duration: the fragments' */
    box_u32(b, 0x10000);
    box_u16(b, 0x100);
    box_zeros(b, 10);
    matrix(b, 1, 0, 0, 1, 0, 0);
    box_zeros(b, 24);
    box_u32(b, TRACK_ID + 1); /* next_track_ID */
    box_close(b, mvhd);
}

/* Width scaled by the sample aspect ratio, 16.16 (8.3.2: the presentation size). */
static uint32_t presentation_width(const struct sps *s)
{
    uint64_t w = (uint64_t)s->width << 16;
    if (s->sar_width && s->sar_height)
        w = w * s->sar_width / s->sar_height;
    return w > UINT32_MAX ? (uint32_t)s->width << 16 : (uint32_t)w;
}

static void write_tkhd(struct box *b, const struct sps *s, unsigned rotate)
{
    uint32_t width = presentation_width(s), height = (uint32_t)s->height << 16;
    size_t tkhd = box_open_full(b, "tkhd", 0, 3); /* enabled, in the movie */
    box_zeros(b, 8);
    box_u32(b, TRACK_ID);
    box_zeros(b, 4 + 4 + 8 + 2 + 2 + 2 + 2);
    rotation(b, rotate, width >> 16, height >> 16);
    box_u32(b, width);
    box_u32(b, height);
    box_close(b, tkhd);
}

static void write_sets(struct box *b, struct raw_set *set)
{
    box_u16(b, set->len);
    box_bytes(b, set->bytes, set->len);
    set->in_config = 1;
}

/* 14496-15 5.3.3.1.2. The first picture's SPS first; the level is the highest of all; a PPS whose
 * SPS is not there would make the whole record unreadable to some. */
static void write_avcc(struct box *b, struct paramstore *store, const struct sps *active)
{
    size_t avcc = box_open(b, "avcC");
    unsigned level = active->level_idc, pps_count = 0;
    for (unsigned i = 0; i < store->sps_count; i++)
        if (store->parsed[store->sps[i].id].level_idc > level)
            level = store->parsed[store->sps[i].id].level_idc;
    box_u8(b, 1);
    box_u8(b, active->profile_idc);
    box_u8(b, active->constraint_flags);
    box_u8(b, level);
    box_u8(b, 0xfc | 3); /* lengths of 4 bytes */
    box_u8(b, 0xe0 | store->sps_count);
    for (unsigned i = 0; i < store->sps_count; i++)
        if (store->sps[i].id == active->id)
            write_sets(b, &store->sps[i]);
    for (unsigned i = 0; i < store->sps_count; i++)
        if (store->sps[i].id != active->id)
            write_sets(b, &store->sps[i]);
    for (unsigned i = 0; i < store->pps_count; i++)
        pps_count += store->parsed[store->parsed_pps[store->pps[i].id].sps_id].valid;
    box_u8(b, pps_count);
    for (unsigned i = 0; i < store->pps_count; i++)
        if (store->parsed[store->parsed_pps[store->pps[i].id].sps_id].valid)
            write_sets(b, &store->pps[i]);
    unsigned p = active->profile_idc;
    if (p != 66 && p != 77 && p != 88) {
        box_u8(b, 0xfc | active->chroma_format_idc);
        box_u8(b, 0xf8 | (active->bit_depth_luma - 8u));
        box_u8(b, 0xf8 | (active->bit_depth_chroma - 8u));
        box_u8(b, 0); /* SPS extensions */
    }
    box_close(b, avcc);
}

/* 14496-15 5.4.2.1 and 14496-12 12.1.3: VisualSampleEntry, btrt, pasp, colr. */
static void write_stsd(struct box *b, struct paramstore *store, const struct sps *s,
                       struct init_place *place)
{
    size_t stsd = box_open_full(b, "stsd", 0, 0);
    box_u32(b, 1);
    place->entry_type = b->len + 4;
    size_t avc1 = box_open(b, "avc1");
    box_zeros(b, 6);
    box_u16(b, 1); /* data_reference_index */
    box_zeros(b, 16);
    box_u16(b, s->width);
    box_u16(b, s->height);
    box_u32(b, 0x480000); /* 72 dpi */
    box_u32(b, 0x480000);
    box_zeros(b, 4);
    box_u16(b, 1); /* frame_count */
    box_zeros(b, 32);
    box_u16(b, 0x18);
    box_u16(b, 0xffff);
    write_avcc(b, store, s);
    if (s->max_bitrate) {
        size_t btrt = box_open(b, "btrt");
        box_u32(b, s->cpb_bits / 8);
        box_u32(b, s->max_bitrate);
        box_u32(b, s->max_bitrate); /* the average is not known, but not higher */
        box_close(b, btrt);
    }
    if (s->sar_width && s->sar_height && s->sar_width != s->sar_height) {
        size_t pasp = box_open(b, "pasp");
        box_u32(b, s->sar_width);
        box_u32(b, s->sar_height);
        box_close(b, pasp);
    }
    if (s->has_colour) {
        size_t colr = box_open(b, "colr");
        box_bytes(b, "nclx", 4);
        box_u16(b, s->colour_primaries);
        box_u16(b, s->transfer);
        box_u16(b, s->matrix);
        box_u8(b, s->full_range ? 0x80 : 0);
        box_close(b, colr);
    }
    box_close(b, avc1);
    box_close(b, stsd);
}

/* A fragmented file's sample tables are there and empty (8.8). */
static void write_stbl(struct box *b, struct paramstore *store, const struct sps *s,
                       struct init_place *place)
{
    size_t stbl = box_open(b, "stbl");
    write_stsd(b, store, s, place);
    static const char empty[3][5] = {"stts", "stsc", "stco"};
    for (int i = 0; i < 3; i++) {
        size_t table = box_open_full(b, empty[i], 0, 0);
        box_u32(b, 0);
        box_close(b, table);
    }
    size_t stsz = box_open_full(b, "stsz", 0, 0);
    box_u32(b, 0);
    box_u32(b, 0);
    box_close(b, stsz);
    box_close(b, stbl);
}

static void write_minf(struct box *b, struct paramstore *store, const struct sps *s,
                       struct init_place *place)
{
    size_t minf = box_open(b, "minf");
    size_t vmhd = box_open_full(b, "vmhd", 0, 1);
    box_zeros(b, 8);
    box_close(b, vmhd);
    size_t dinf = box_open(b, "dinf");
    size_t dref = box_open_full(b, "dref", 0, 0);
    box_u32(b, 1);
    size_t url = box_open_full(b, "url ", 0, 1); /* the media is in this file */
    box_close(b, url);
    box_close(b, dref);
    box_close(b, dinf);
    write_stbl(b, store, s, place);
    box_close(b, minf);
}

static void write_mdia(struct box *b, struct paramstore *store, const struct sps *s,
                       struct init_place *place)
{
    size_t mdia = box_open(b, "mdia");
    size_t mdhd = box_open_full(b, "mdhd", 0, 0);
    box_zeros(b, 8);
    box_u32(b, TIMESCALE);
    box_u32(b, 0);
    box_u16(b, 0x55c4); /* und */
    box_u16(b, 0);
    box_close(b, mdhd);
    size_t hdlr = box_open_full(b, "hdlr", 0, 0);
    box_u32(b, 0);
    box_bytes(b, "vide", 4);
    box_zeros(b, 12);
    box_u8(b, 0); /* an empty name */
    box_close(b, hdlr);
    write_minf(b, store, s, place);
    box_close(b, mdia);
}

size_t init_write(uint8_t *out, size_t cap, struct paramstore *store, unsigned sps_id,
                  unsigned rotate, int file, struct init_place *place)
{
    const struct sps *s = &store->parsed[sps_id];
    struct box b;
    if (!s->valid || paramstore_empty(store))
        return 0;
    box_init(&b, out, cap);
    write_ftyp(&b);
    size_t moov = box_open(&b, "moov");
    write_mvhd(&b);
    size_t trak = box_open(&b, "trak");
    write_tkhd(&b, s, rotate);
    write_mdia(&b, store, s, place);
    box_close(&b, trak);
    size_t mvex = box_open(&b, "mvex");
    place->length = 0;
    if (file) {
        size_t mehd = box_open_full(&b, "mehd", 1, 0);
        place->length = b.len;
        box_u64(&b, 0);
        box_close(&b, mehd);
    }
    size_t trex = box_open_full(&b, "trex", 0, 0);
    box_u32(&b, TRACK_ID);
    box_u32(&b, 1); /* default_sample_description_index */
    box_zeros(&b, 12);
    box_close(&b, trex);
    box_close(&b, mvex);
    box_close(&b, moov);
    return b.full ? 0 : b.len;
}
