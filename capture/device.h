/* A V4L2 capture device: opening, negotiating, and its memory-mapped buffers, single-planar or
 * multi-planar with one plane. Ioctls and nothing else: every function returns 0, or -1 with errno
 * and the name of the failed call in device.call; nothing is printed. */
#ifndef CAPTURE_DEVICE_H
#define CAPTURE_DEVICE_H

#include <linux/videodev2.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/rate.h"

enum {
    DEVICE_BUFFERS = 8,      /* asked for; a quarter of a second at 30 a second */
    DEVICE_BUFFERS_MAX = 32, /* what a driver may give instead */
    DEVICE_FOURCC = 5,       /* bytes of a four-character code as text */
};

enum device_kind {
    DEVICE_CAMERA,
    DEVICE_LIBCAMERA, /* a bare sensor's receiver: raw Bayer for libcamera, no H.264 */
    DEVICE_UNFED,     /* a v4l2loopback nobody writes to */
    DEVICE_CODEC,     /* memory to memory: an encoder, decoder or scaler */
    DEVICE_NO_VIDEO,  /* metadata, output, radio... */
    DEVICE_NO_STREAMING,
};

struct device {
    int fd; /* -1: closed; non-blocking, close-on-exec */
    const char *call;
    struct v4l2_capability cap;
    enum device_kind kind;
    uint32_t type; /* of its buffers: V4L2_BUF_TYPE_VIDEO_CAPTURE or _MPLANE */
    /* What was negotiated, read back from the driver. */
    uint32_t fourcc, width, height;
    struct rate rate; /* 0/0: the driver does not say */
    struct {
        uint8_t *start;
        size_t len;
        int queued; /* the driver's */
    } buffer[DEVICE_BUFFERS_MAX];
    unsigned buffers;
};

struct device_frame {
    unsigned index; /* for device_give() */
    const uint8_t *bytes;
    size_t len, room; /* bytes used, bytes of the buffer */
    uint32_t sequence;
    int error;     /* the driver knows it to be damaged */
    int monotonic; /* time_us is CLOCK_MONOTONIC; otherwise it means nothing */
    uint64_t time_us;
};

/* After a failed open or query the device is closed. */
int device_open(struct device *d, const char *path);
void device_close(struct device *d); /* stops, unmaps; safe on a closed one */

/* The i-th format; -1 with EINVAL behind the last. */
int device_format(struct device *d, unsigned i, struct v4l2_fmtdesc *format);

/* Both set, then read back: drivers substitute without a word. Format before rate: uvcvideo falls
 * back to its default rate on every format set. device_rate(): ENOTTY where there is no rate to
 * set. */
int device_negotiate(struct device *d, uint32_t fourcc, uint32_t width, uint32_t height);
int device_rate(struct device *d, struct rate rate);

int device_start(struct device *d);
/* Stops and starts again; the buffer `held` (-1: none) is still being read and stays out. */
int device_restart(struct device *d, int held);

/* The oldest filled buffer; EAGAIN: none yet. */
int device_take(struct device *d, struct device_frame *frame);
int device_give(struct device *d, unsigned index);

/* The next picture is to be a keyframe. EINVAL: no control for that. */
int device_keyframe(struct device *d);

/* By the driver's name and the capabilities of this node (V4L2_CAP_...). Pure. */
enum device_kind device_kind(const char *driver, uint32_t caps);

/* "H264", NUL-terminated; what is no printable character becomes '.'. */
void device_fourcc_text(uint32_t fourcc, char out[DEVICE_FOURCC]);

/* An ioctl that waits out signals and notes its name. */
int device_ioctl(struct device *d, unsigned long request, const char *name, void *argument);
#define DEVICE_IOCTL(d, request, argument) device_ioctl(d, request, #request, argument)

#endif
