/* A camera's buffer made into what goes down the pipe: a pure function of bytes, times and of what
 * was lost.
 *
 * A V4L2 buffer holds one access unit (V4L2_PIX_FMT_H264), or parameter sets alone. Of it stays
 * everything but its access unit delimiters, filler, bytes in front of the first start code and
 * zeros behind the last NAL unit; nothing of the picture is copied, the list points into the
 * buffer. Added are
 *   - parameter sets seen earlier, where a keyframe lacks them or where they never went out;
 *   - the capture time (misb.h), last before the first slice: behind any buffering period, which
 *     has to be the first SEI message (ISO/IEC 14496-10 7.4.1.2.3);
 *   - the next access unit's delimiter, so that a reader knows this one to be complete; in front of
 *     the very first access unit its own, too.
 *
 * A lost picture. What was lost is told by cook_lost(); whether pictures referred to it is read
 * from the next one's frame_num (7.4.3), the stream's own count of reference pictures: where none
 * is missing (a picture nothing refers to, one the camera skipped before it encoded) the stream
 * goes on at once. Where one is, every picture up to the next keyframe would show the damage, so
 * none goes out. Gaps in frame_num alone mean nothing: some encoders count wrongly for ever. */
#ifndef CAPTURE_COOK_H
#define CAPTURE_COOK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "capture/misb.h"
#include "capture/paramset.h"
#include "capture/slice.h"

enum {
    COOK_SETS = 16,       /* parameter sets kept; a camera sends two */
    COOK_SET_BYTES = 512, /* of one; a longer one is not kept, and stays where it is */
    COOK_PARTS = 16,      /* pieces one buffer may fall into by what is dropped between them */
    COOK_IOV = COOK_PARTS + 2 * COOK_SETS + 4,
    COOK_AUD = 6,
    COOK_WAIT_MAX = 600, /* pictures; a stream without keyframes goes on damaged, not never */
};

enum cook_result {
    COOK_WRITE,   /* iov[0, count) is to be written, all of it; then cook_written() */
    COOK_SETS_IN, /* no picture: parameter sets were kept, or nothing that matters */
    COOK_WAITING, /* not written: refers to a picture that was lost */
    COOK_GARBAGE, /* no start code, or cut into more than COOK_PARTS pieces */
    COOK_TORN,    /* the front of the picture is missing */
};

struct cook_set {
    uint8_t type, id; /* NAL_SPS or NAL_PPS */
    uint8_t here;     /* it is in the current buffer */
    uint8_t owed;     /* these bytes have not been written yet */
    uint16_t len;
    uint8_t bytes[4 + COOK_SET_BYTES]; /* start code first */
};

struct cook_part {
    size_t from, to; /* of the buffer */
};

struct cook {
    struct cook_set set[COOK_SETS];
    unsigned sets;
    struct sps sps[SPS_IDS];
    struct pps pps[PPS_IDS];
    int begun;               /* the first delimiter has been written */
    int suspect;             /* something was lost before the current picture */
    int waiting;             /* a reference was lost: nothing goes out before a keyframe */
    unsigned waited;         /* pictures that were not written for it */
    int referred;            /* last_frame_num is set */
    uint32_t last_frame_num; /* of the last reference picture that was written */
    /* Of the current buffer. */
    struct cook_part part[COOK_PARTS];
    unsigned parts, front; /* parts in front of the first slice */
    int key;               /* IDR, or a recovery point: decoding may begin here */
    int own_stamp;         /* it carries a capture time already */
    int pictured;          /* it has a slice; `first` is it */
    struct slice first;
    uint8_t stamp[4 + MISB_NAL_MAX];
    uint8_t copy[COOK_SETS][4 + COOK_SET_BYTES]; /* sets in iov: the kept ones may change before
                                                    a slow reader has taken the list */
    unsigned copies;
    struct iovec iov[COOK_IOV];
    unsigned count;
};

struct cook_time {
    struct misb_stamp stamp;
    int arrival; /* not of the driver: a capture time in the stream itself is the better one */
};

void cook_init(struct cook *c);

/* Looks at a buffer and decides. iov stays valid, and the buffer must stay unchanged, until the
 * list is written. */
enum cook_result cook_take(struct cook *c, const uint8_t *p, size_t len,
                           const struct cook_time *time);

/* The list went out, or is certain to. */
void cook_written(struct cook *c);

/* A buffer that will not be written: its parameter sets are kept, its picture is lost. Leaves iov
 * alone. */
void cook_skip(struct cook *c, const uint8_t *p, size_t len);

/* Pictures were lost that nobody has seen, or a buffer whose bytes cannot be trusted. */
void cook_lost(struct cook *c);

#endif
