/* One movie fragment: [prft] moof and the header of its mdat (14496-12 8.8, 8.16.5). */
#ifndef MUX_FRAG_H
#define MUX_FRAG_H

#include <stddef.h>
#include <stdint.h>

enum {
    SAMPLE_SYNC = 0x02000000,     /* depends on no other (8.8.3.1) */
    SAMPLE_RECOVERY = 0x01000000, /* depends on others, but to begin there is what there is */
    SAMPLE_NON_SYNC = 0x01010000, /* depends on others, is not a sync sample */
    FRAG_FIXED = 100,             /* bytes of moof and mdat header but for the samples, and slack */
    FRAG_PER_SAMPLE = 16,
    PRFT_BYTES = 32,
};

struct frag_sample {
    uint32_t duration; /* ticks */
    uint32_t size;     /* bytes */
    uint32_t flags;    /* one of SAMPLE_ */
    int32_t shown;     /* ticks from its decode time to when it is shown (8.6.1.3), may be < 0 */
};

/* Writes moof and mdat header for samples laid end to end behind them, and returns the length, or 0
 * when `cap` is too small (PRFT_BYTES + FRAG_FIXED + n * FRAG_PER_SAMPLE always does).
 * sequence: mfhd's number, rising; tfdt: decode time of the first sample, ticks; offsets: whether
 * the samples' times of being shown are written though they all be 0. */
size_t frag_write(uint8_t *out, size_t cap, uint32_t sequence, uint64_t tfdt,
                  const struct frag_sample *samples, uint32_t n, int offsets);

/* Writes a prft box (version 1, flags 24: the time is that of capture) saying that media time
 * `media_time` (ticks) was utc_us microseconds after 1970; PRFT_BYTES long. */
void frag_write_prft(uint8_t out[PRFT_BYTES], uint64_t utc_us, uint64_t media_time);

#endif
