/* A ring of pictures, each a fragment of its own, of which only the index matters. */
#ifndef TESTS_UNIT_PICTURES_H
#define TESTS_UNIT_PICTURES_H

#include "serve/ring.h"

#include <stdlib.h>
#include <string.h>

/* Makes an empty ring with an init segment in *memory, which was NULL or is freed.
 * data_bytes, entries: as in ring_format(). timescale: ticks a second. */
static inline void make_ring(struct ring *ring, void **memory, uint64_t data_bytes,
                             uint32_t entries, uint32_t timescale)
{
    static const uint8_t init[100];
    size_t all = (ring_bytes(data_bytes, entries) + 4095) / 4096 * 4096;
    free(*memory);
    *memory = aligned_alloc(4096, all);
    memset(*memory, 0, all);
    ring_format(ring, *memory, data_bytes, entries);
    ring_put_init(ring, init, sizeof init, timescale);
}

/* For ring_put(). Times in ticks. */
static inline struct ring_frag picture(uint64_t dts, uint32_t duration, int sync)
{
    return (struct ring_frag){.dts = dts,
                              .duration = duration,
                              .samples = 1,
                              .tfdt_at = 8,
                              .duration_at = 16,
                              .duration_n = 1,
                              .payload_at = 32,
                              .flags = sync ? RING_SYNC : 0};
}

#endif
