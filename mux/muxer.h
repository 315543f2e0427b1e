/* Access units in, fragmented MP4 out: the whole of h264fmp4 but for reading and writing.
 *
 * Nothing is copied on the way to a pipe: the muxer answers with an iovec list that points into its
 * own headers and into the caller's window, where it has overwritten 4-byte start codes with NAL
 * unit lengths.
 *
 * To a pipe (MUX_AU) each access unit is a fragment the moment it is there. Its duration cannot be
 * known yet, so sample n takes the interval from n - 1 to n: nothing is guessed, nothing is held
 * back, all is one interval late in media time. An interval of over a second (of over the given
 * one, at less than a frame a second) is a gap in tfdt. Where pictures may be reordered, every
 * fragment says when its own is shown. A field waits for its opposite, without which it cannot be
 * shown: a sample is a frame, or a field that has none.
 * To a file (MUX_GOP) each group of pictures is a fragment with its true times; mfra at the end.
 * It has room for an index in front of its fragments, which is written at the end. */
#ifndef MUX_MUXER_H
#define MUX_MUXER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "capture/au.h"
#include "capture/poc.h"
#include "mux/frag.h"
#include "mux/init.h"
#include "mux/mfra.h"
#include "mux/paramstore.h"
#include "mux/present.h"
#include "mux/sidx.h"
#include "mux/timing.h"

enum mux_mode { MUX_AU, MUX_GOP };

enum {
    GOP_SAMPLES_MAX = 4000, /* the moof then stays below FRAG_HEAD_MAX of boxread.h */
    GOP_BYTES_MAX = 32 << 20,
    GOP_TICKS_MAX = 10 * TIMESCALE, /* a kill costs no more than this */
    MUX_IOV_MAX = 2 * AU_NALS_MAX + 8,
};

/* What the caller may want to tell, as bits of mux.notes; the caller clears them. */
enum mux_note {
    MUX_NOTE_RATE_GUESSED = 1, /* no time stamps and no rate: 25 a second */
    MUX_NOTE_BAD_PARAMSET = 2, /* a damaged parameter set was dropped */
    MUX_NOTE_SKIPPED = 4,      /* access units before the first that decodes alone were dropped */
};

struct mux_options {
    enum mux_mode mode;
    int patchable;   /* the output is a file: what is in it can be changed afterwards */
    int live;        /* the input is a pipe or a device */
    uint64_t base;   /* bytes in front of ours in that file */
    unsigned rotate; /* degrees clockwise: 0, 90, 180, 270 */
    struct rate rate;
};

struct mux {
    struct mux_options opt;
    struct paramstore store;
    struct timing timing;
    unsigned notes;
    int started;         /* an access unit that decodes alone has been seen */
    unsigned recoveries; /* recovery points without an IDR picture between them */
    uint64_t written;    /* bytes handed out so far */
    uint32_t sequence;   /* of the last fragment */
    int64_t tick;        /* time of the last access unit */
    uint32_t duration;   /* of the last sample */
    uint64_t patch_at;   /* where the sample entry's type lies in the output */
    int patch;           /* the caller is to write MUX_PATCH there, once, and clear this */
    uint64_t length_at;  /* where a file's length lies in the output; 0: nowhere */
    uint64_t length;     /* ticks up to the end of the last fragment handed out: the caller is to
                          * write it there, 8 bytes, big-endian, behind the fragment */
    uint64_t utc_zero;   /* microseconds from 1970 at tick 0, as the last prft says */
    uint64_t index_at;   /* where room for an index lies in the output; 0: nowhere */
    size_t index_bytes;  /* after mux_end(), of the index that the caller is to write there; or 0 */
    int in_band;         /* the output says avc3 already */
    int stale;           /* parameter sets came that the output's moov does not have */
    struct sps announced; /* the SPS that gave the moov its size */
    struct iovec iov[MUX_IOV_MAX];
    unsigned iovs;
    uint8_t lengths[AU_NALS_MAX][4];
    uint8_t init[INIT_BYTES_MAX];
    uint8_t head[PRFT_BYTES + FRAG_FIXED + FRAG_PER_SAMPLE * GOP_SAMPLES_MAX];
    size_t heads; /* bytes of it in use */
    struct poc poc;
    int64_t last_order;
    struct present present;
    struct slice field; /* the last sample is this field, and its opposite may come; or all zero */
    /* What is being gathered: the group of MUX_GOP; of MUX_AU, a field that waits. */
    uint8_t gop[2][GOP_BYTES_MAX]; /* one is being gathered while the other is written */
    unsigned gathering;
    size_t gop_bytes;
    struct frag_sample sample[GOP_SAMPLES_MAX];
    int64_t order[GOP_SAMPLES_MAX]; /* of being shown */
    uint32_t samples;
    uint64_t held_tfdt, held_utc; /* MUX_AU: the field's */
    /* MUX_GOP: the group. */
    uint32_t shown[GOP_SAMPLES_MAX];
    int64_t gop_tick; /* of its first sample */
    uint64_t gop_utc; /* or 0 */
    int gop_sync;     /* its first sample is a sync sample */
    struct mfra mfra;
    uint8_t mfra_bytes[MFRA_BYTES_MAX];
    struct sidx sidx;
    uint8_t index[SIDX_ROOM];
};

#define MUX_PATCH "avc3"

/* `m` is static or from calloc: all zero. */
void mux_init(struct mux *m, const struct mux_options *opt);

/* Takes one access unit, whose window it may change, and returns how many of m->iov are to be
 * written, in order, before the next call; 0 when there is nothing yet.
 * arrival_us: CLOCK_MONOTONIC when it was complete; utc_us: the wall clock then, or 0 (a file). */
unsigned mux_add(struct mux *m, uint8_t *window, const struct au *au, int64_t arrival_us,
                 uint64_t utc_us);

/* The end of the stream: the last fragment and mfra, as mux_add(); then m->index. */
unsigned mux_end(struct mux *m);

#endif
