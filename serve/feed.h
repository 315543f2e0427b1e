/* A byte stream of fragmented MP4 into a ring: fragments are cut out of it and published whole.
 *
 * The ring's time goes on whatever happens in front of it: when the stream begins anew (the muxer
 * was restarted, or the ring's writer), its first fragment is put behind the newest one, by as much
 * as has gone by since. Fragments are numbered through for the same reason. */
#ifndef SERVE_FEED_H
#define SERVE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "mux/boxread.h"
#include "serve/cut.h"
#include "serve/ring.h"

enum {
    FEED_READ_MAX = 256 << 10,
    FEED_TRUST_S = 1, /* seconds by which capture times may differ from those of arrival */
};

struct feed {
    struct ring *ring;
    struct cut cut;
    size_t from, to;       /* what is in the window */
    uint64_t bytes;        /* of the stream, taken */
    const char *why;       /* what is wrong with it, at `bytes` */
    struct init_info info; /* of the newest init segment of this stream */
    int placed;            /* `offset` has been found */
    uint64_t offset;       /* ticks: added to the stream's times, modulo 2^64 */
    int ended;             /* the stream is at its end */
    uint8_t window[FRAG_BYTES_MAX + FRAG_HEAD_MAX + FEED_READ_MAX];
};

enum feed_result {
    FEED_NOTHING, /* no whole fragment */
    FEED_FRAG,    /* at least one was published */
    FEED_END,
    FEED_BAD,    /* feed.why says what is wrong */
    FEED_FAILED, /* errno */
};

/* f: all zero. segment_ms: how long HLS segments are to be; see cut_init(). */
void feed_init(struct feed *f, struct ring *ring, uint32_t segment_ms);

/* Reads once from `fd` and publishes what is whole. now: CLOCK_MONOTONIC in microseconds. */
enum feed_result feed_read(struct feed *f, int fd, int64_t now);

#endif
