#include "mux/frag.h"

#include "mux/box.h"
#include "mux/init.h"

enum {
    TFHD_BASE_IS_MOOF = 0x20000,
    TRUN_DATA_OFFSET = 1,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_COMPOSITION = 0x800,
};

/* Seconds from 1900, the epoch of NTP, to 1970. */
static const uint64_t ntp_unix = 2208988800u;

static int is_reordered(const struct frag_sample *samples, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (samples[i].shown)
            return 1;
    return 0;
}

size_t frag_write(uint8_t *out, size_t cap, uint32_t sequence, uint64_t tfdt,
                  const struct frag_sample *samples, uint32_t n, int offsets)
{
    struct box b;
    uint32_t bytes = 0;
    box_init(&b, out, cap);
    size_t moof = box_open(&b, "moof");
    size_t mfhd = box_open_full(&b, "mfhd", 0, 0);
    box_u32(&b, sequence);
    box_close(&b, mfhd);
    size_t traf = box_open(&b, "traf");
    size_t tfhd = box_open_full(&b, "tfhd", 0, TFHD_BASE_IS_MOOF);
    box_u32(&b, TRACK_ID);
    box_close(&b, tfhd);
    size_t time = box_open_full(&b, "tfdt", 1, 0);
    box_u64(&b, tfdt);
    box_close(&b, time);
    int reordered = offsets || is_reordered(samples, n);
    uint32_t fields = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS;
    /* Version 1: the composition offsets are signed. */
    size_t trun = reordered ? box_open_full(&b, "trun", 1, fields | TRUN_COMPOSITION)
                            : box_open_full(&b, "trun", 0, fields);
    box_u32(&b, n);
    size_t data_offset = b.len;
    box_u32(&b, 0);
    for (uint32_t i = 0; i < n; i++) {
        box_u32(&b, samples[i].duration);
        box_u32(&b, samples[i].size);
        box_u32(&b, samples[i].flags);
        if (reordered)
            box_u32(&b, (uint32_t)samples[i].shown);
        bytes += samples[i].size;
    }
    box_close(&b, trun);
    box_close(&b, traf);
    box_close(&b, moof);
    size_t mdat = box_open(&b, "mdat");
    if (b.full)
        return 0;
    put_u32(out + data_offset, (uint32_t)b.len);
    put_u32(out + mdat, 8 + bytes);
    return b.len;
}

void frag_write_prft(uint8_t out[PRFT_BYTES], uint64_t utc_us, uint64_t media_time)
{
    struct box b;
    box_init(&b, out, PRFT_BYTES);
    size_t prft = box_open_full(&b, "prft", 1, 24);
    box_u32(&b, TRACK_ID);
    box_u32(&b, (uint32_t)(utc_us / 1000000 + ntp_unix));
    box_u32(&b, (uint32_t)(((utc_us % 1000000) << 32) / 1000000));
    box_u64(&b, media_time);
    box_close(&b, prft);
}
