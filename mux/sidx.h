/* The index at the beginning of a fragmented file, with which a player knows its length and its
 * places without reading it all (14496-12 8.16.3). One track, no index of indexes.
 *
 * How long it gets is known at the end only, so a free box (8.1.2) of SIDX_ROOM bytes keeps its
 * place. What is left of that stands in front of the index, and the first fragment directly behind
 * it: with anything between, Chromium reads the whole file all the same.
 *
 * Every fragment has its entry, begins with a sync sample, and lies directly behind the one before,
 * without a prft between. Else there is no index: ffmpeg and Chromium read a moof that is in none
 * once more when they come back, and Chromium then shows another picture than it was sent to; in a
 * fragment without a sync sample they do not look for one further ahead. */
#ifndef MUX_SIDX_H
#define MUX_SIDX_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIDX_ROOM = 64 << 10, /* bytes, with what is left of the free box */
    SIDX_FIXED = 40,
    SIDX_ENTRY_BYTES = 12,
    SIDX_MAX = 5457, /* entries: an hour and a half of fragments of a second */
};

_Static_assert(SIDX_FIXED + SIDX_MAX * SIDX_ENTRY_BYTES + 8 <= SIDX_ROOM,
               "and room for a free box");

/* How a fragment begins (Annex I): its SAP_type, 0 when nothing is said. */
enum sidx_sap {
    SIDX_SAP_NONE = 0,
    SIDX_SAP_CLOSED = 1, /* from its first picture on everything can be decoded */
    SIDX_SAP_OPEN = 3,   /* but for some that are shown before it */
};

/* All zero when there is none yet. */
struct sidx {
    uint32_t count;
    int none; /* there can be no index */
    struct sidx_entry {
        uint64_t time, at;
        enum sidx_sap sap;
    } entry[SIDX_MAX];
};

/* Notes a fragment. time: ticks, when the earliest of its pictures is shown; at: offset in the file
 * of its first byte. Both rise. */
void sidx_add(struct sidx *s, uint64_t time, uint64_t at, enum sidx_sap sap);

/* Writes the free box; returns its length, SIDX_ROOM, or 0 when cap is less. */
size_t sidx_reserve(uint8_t *out, size_t cap);

/* Writes what belongs in its place, SIDX_ROOM bytes: once the first eight are there, and not
 * before, the free box is shorter and the index stands behind it. place: the offset in the file of
 * that; end: that behind the last fragment; length: ticks, when the last picture ends. Returns 0,
 * and the free box is to stay, where there are no entries, or one is too large (2^31 bytes) or too
 * long (2^32 ticks) for its field, or cap is less than SIDX_ROOM. */
size_t sidx_write(const struct sidx *s, uint64_t place, uint64_t end, uint64_t length, uint8_t *out,
                  size_t cap);

#endif
