/* Writing ISO BMFF boxes (ISO/IEC 14496-12 4.2) into a buffer of the caller's. What does not fit
 * sets `full` and is dropped, so a writer may write a whole tree and look once. */
#ifndef MUX_BOX_H
#define MUX_BOX_H

#include <stddef.h>
#include <stdint.h>

struct box {
    uint8_t *buf;
    size_t cap, len;
    int full;
};

void box_init(struct box *b, uint8_t *buf, size_t cap);

/* Begins a box and returns its place, to be given to box_close(), which fills in the size. */
size_t box_open(struct box *b, const char type[4]);
size_t box_open_full(struct box *b, const char type[4], unsigned version, uint32_t flags);
void box_close(struct box *b, size_t place);

void box_u8(struct box *b, unsigned v);
void box_u16(struct box *b, unsigned v);
void box_u32(struct box *b, uint32_t v);
void box_u64(struct box *b, uint64_t v);
void box_bytes(struct box *b, const void *p, size_t n);
void box_zeros(struct box *b, size_t n);

/* Big-endian integers anywhere. */
void put_u32(uint8_t *p, uint32_t v);
void put_u64(uint8_t *p, uint64_t v);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

#endif
