/* Access units out of an Annex-B byte stream (ISO/IEC 14496-10 B.1, 7.4.1.2.3, 7.4.1.2.4).
 *
 * The framer looks at a window the caller owns: the bytes from the start of the current access
 * unit up to what has arrived. It copies nothing and remembers only offsets into that window, so
 * the caller may append to the window and move it, but not change what it holds, until an access
 * unit has been handed out.
 *
 * An access unit ends where the next one's first NAL unit begins. With an access unit delimiter
 * behind every picture, as v4l2cap and testcard write it, that is known when the delimiter's header
 * byte is there; without, when the next slice's header can be read.
 *
 * What the standard forbids and cameras send all the same is taken as meant: SEI, parameter sets or
 * prefix NAL units between the slices of one picture stay inside it; a second slice with macroblock
 * 0 begins a picture even where every header field is equal (encoders that never change
 * idr_pic_id).
 *
 * What it hands out depends on the bytes alone, not on how they arrive: never more than
 * AU_BYTES_MAX bytes of the window are looked at, and of a slice only its first SLICE_HEADER_MAX.
 */
#ifndef CAPTURE_AU_H
#define CAPTURE_AU_H

#include <stddef.h>
#include <stdint.h>

#include "capture/paramset.h"
#include "capture/slice.h"

enum {
    AU_BYTES_MAX = 16 << 20, /* of one access unit; level 6.2 at its worst is below */
    AU_NALS_MAX = 16384,     /* a 1080p picture with a slice per macroblock has 8160 */
};

struct au_nal {
    uint32_t at;  /* offset of the header byte in the window */
    uint32_t len; /* without trailing_zero_8bits; at least 1 */
    uint8_t header;
    uint8_t lead; /* bytes of start code in front of it, 3 or 4: the caller may overwrite them */
};

struct au {
    const struct au_nal *nal; /* valid until the next au_next() */
    unsigned count;
    size_t size;        /* bytes of the window that are this access unit's, from its start */
    struct slice first; /* the first slice of the primary coded picture */
    uint8_t idr;
    uint8_t intra; /* every slice is I or SI */
};

struct au_framer {
    struct sps sps[SPS_IDS];
    struct pps pps[PPS_IDS];
    struct au_nal nal[AU_NALS_MAX];
    unsigned count;    /* NAL units found in the window; the last may still be open */
    unsigned taken;    /* of them, how many the last access unit took */
    size_t taken_size; /* and its bytes */
    size_t scan;       /* where the search for the next start code goes on */
    int open;          /* the last NAL unit's end has not been seen */
    unsigned judged;   /* NAL units whose place has been decided */
    unsigned opener;   /* the first since the last slice that may open an access unit, or NONE */
    int pictures;      /* a slice of the current picture has been seen */
    int damaged;       /* the current picture's front was dropped: the rest is to follow it */
    int has_mb0;       /* the current picture has its macroblock 0 */
    uint8_t idr, intra;
    struct slice first;
};

enum au_result {
    AU_READY, /* *out holds an access unit */
    AU_MORE,  /* all of the window is looked at; at the end of the stream: nothing is left */
    AU_BAD,   /* over a limit; out->size bytes, at least 1, are to be dropped. What is left of that
                 picture comes as further AU_BAD, so that the next AU_READY is whole */
};

void au_init(struct au_framer *f);

/* Takes window[0, len), which begins where the previous access unit (or dropped piece) ended:
 * the caller must have stepped over out->size bytes after AU_READY and AU_BAD. `end` is set when
 * no byte will follow. Bytes in front of the first start code belong to the first access unit and
 * to none of its NAL units. */
enum au_result au_next(struct au_framer *f, const uint8_t *window, size_t len, int end,
                       struct au *out);

#endif
