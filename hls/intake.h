/* A byte stream of fragmented MP4, from a descriptor, cut into init segments and fragments. */
#ifndef HLS_INTAKE_H
#define HLS_INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include "mux/boxread.h"

enum { INTAKE_READ_MAX = 256 << 10 };

struct intake {
    size_t from, to; /* what is in the window */
    size_t taken;    /* bytes of the unit that was returned last */
    uint64_t bytes;  /* of the stream, in front of the window's `from` */
    int ended;       /* the stream is at its end */
    const char *why; /* what is wrong with it, at `bytes` */
    uint8_t window[FRAG_BYTES_MAX + FRAG_HEAD_MAX + INTAKE_READ_MAX];
};

/* Begins another stream. */
void intake_init(struct intake *in);

/* Reads once. Returns how many bytes came, 0 at the end, or -1 with errno. To be called after
 * intake_next() had no more. */
long intake_read(struct intake *in, int fd);

enum intake_result { INTAKE_UNIT, INTAKE_MORE, INTAKE_END, INTAKE_BAD };

/* The next init segment or fragment; *p is where it begins, valid until the next call. INTAKE_END:
 * the stream has ended between two; INTAKE_BAD: it is damaged, or ended inside one, and stays so.
 */
enum intake_result intake_next(struct intake *in, struct unit *unit, const uint8_t **p);

#endif
