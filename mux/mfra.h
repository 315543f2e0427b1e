/* The index at the end of a fragmented file: where a player may begin, for those that seek from the
 * end (14496-12 8.8.9 to 8.8.11). One track, with one traf and trun in a moof. */
#ifndef MUX_MFRA_H
#define MUX_MFRA_H

#include <stddef.h>
#include <stdint.h>

enum {
    TFRA_MAX = 65536, /* entries; beyond, every second one is dropped */
    TFRA_ENTRY_BYTES = 19,
    MFRA_FIXED = 48,
    MFRA_BYTES_MAX = TFRA_MAX * TFRA_ENTRY_BYTES + MFRA_FIXED,
};

/* All zero when there is none yet. */
struct mfra {
    uint32_t count, phase;
    unsigned halved; /* how often every second entry was dropped */
    struct mfra_entry {
        uint64_t time, moof;
    } entry[TFRA_MAX];
};

/* Notes a fragment that begins with a sync sample. time: ticks, of its being shown; moof: offset in
 * the file. Both rise. */
void mfra_add(struct mfra *m, uint64_t time, uint64_t moof);

/* Writes the box; returns its length, or 0 when cap is too small (MFRA_BYTES_MAX never is). */
size_t mfra_write(const struct mfra *m, uint8_t *out, size_t cap);

#endif
