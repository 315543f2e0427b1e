/* The init segment: ftyp and moov of one H.264 track (14496-12 4.3, 8.2; 14496-15 5.3.3, 5.4.2). */
#ifndef MUX_INIT_H
#define MUX_INIT_H

#include <stddef.h>
#include <stdint.h>

#include "mux/paramstore.h"

enum {
    TRACK_ID = 1,
    INIT_BYTES_MAX = 128 << 10, /* with a full store of the longest sets; 700 bytes as a rule */
};

struct init_place {
    size_t entry_type; /* offset of the sample entry's four characters, avc1 */
    size_t length;     /* offset of mehd's 8 bytes of duration, in ticks; 0 without one */
};

/* Writes ftyp and moov and returns their length, or 0 when there is no usable parameter set or no
 * room. sps_id: the SPS the first picture uses; it comes first in the avcC and gives the size.
 * rotate: degrees clockwise a player is to turn the picture, 0, 90, 180 or 270. Marks what the
 * avcC holds in the store. file: with an mehd (8.8.2) of 0, which is to be kept up to date: without
 * one Firefox takes a file to end where it has read to. */
size_t init_write(uint8_t *out, size_t cap, struct paramstore *store, unsigned sps_id,
                  unsigned rotate, int file, struct init_place *place);

#endif
