/* Reading and writing the bits of an RBSP (ISO/IEC 14496-10 7.2, 9.1).
 *
 * The reader takes a NAL unit's payload with its emulation prevention bytes and steps over them
 * (7.4.1). It never reads past the end: it returns zeros and sets `bad` instead, so a parser may
 * read a whole structure and look once. The writer is the mirror image; it emits emulation
 * prevention bytes as it goes. */
#ifndef CAPTURE_BITS_H
#define CAPTURE_BITS_H

#include <stddef.h>
#include <stdint.h>

struct bits {
    const uint8_t *p, *end;
    unsigned left;  /* bits of `byte` not yet read */
    unsigned zeros; /* zero bytes just read, for emulation prevention */
    uint8_t byte;
    int bad; /* a read went past the end, or a code was too long */
};

void bits_init(struct bits *b, const uint8_t *p, size_t len);
uint32_t bits_u(struct bits *b, unsigned n); /* u(n), n <= 32 */
uint32_t bits_ue(struct bits *b);            /* ue(v); over 32 bits long is bad */
int32_t bits_se(struct bits *b);             /* se(v) */
int bits_more(const struct bits *b);         /* more_rbsp_data() */

/* Writer. `out` holds `cap` bytes; what does not fit sets `full` and is dropped. */
struct bitwriter {
    uint8_t *out;
    size_t cap, len;
    uint64_t acc; /* bits not yet written out, the newest lowest */
    unsigned n;   /* how many, 0 to 7 between calls */
    unsigned zeros;
    int full;
};

void bitw_init(struct bitwriter *w, uint8_t *out, size_t cap);
void bitw_u(struct bitwriter *w, unsigned n, uint32_t value); /* n <= 32 */
void bitw_ue(struct bitwriter *w, uint32_t value);            /* value <= 2^32 - 2 */
void bitw_se(struct bitwriter *w, int32_t value);             /* |value| < 2^31 */
void bitw_align(struct bitwriter *w);                         /* zero bits up to a byte boundary */
void bitw_raw(struct bitwriter *w, const uint8_t *p, size_t n); /* whole bytes, only when aligned */
void bitw_trailing(struct bitwriter *w);                        /* rbsp_trailing_bits() */

#endif
