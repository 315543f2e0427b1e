#include "capture/device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int device_ioctl(struct device *d, unsigned long request, const char *name, void *argument)
{
    int r;

    d->call = name;
    do
        r = ioctl(d->fd, request, argument);
    while (r < 0 && errno == EINTR);
    return r;
}

/* --- Opening --- */

/* Receivers of bare sensors on boards whose cameras speak libcamera. */
static int is_libcamera(const char *driver)
{
    static const char *const names[] = {"unicam", "bcm2835-isp", "rp1-cfe", "pispbe"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(driver, names[i]))
            return 1;
    return 0;
}

enum device_kind device_kind(const char *driver, uint32_t caps)
{
    if (is_libcamera(driver))
        return DEVICE_LIBCAMERA;
    if (caps & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE))
        return DEVICE_CODEC;
    if (!(caps & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)))
        return strcmp(driver, "v4l2 loopback") ? DEVICE_NO_VIDEO : DEVICE_UNFED;
    return caps & V4L2_CAP_STREAMING ? DEVICE_CAMERA : DEVICE_NO_STREAMING;
}

int device_open(struct device *d, const char *path)
{
    memset(d, 0, sizeof *d);
    d->call = "open";
    d->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (d->fd < 0)
        return -1;
    if (DEVICE_IOCTL(d, VIDIOC_QUERYCAP, &d->cap)) {
        int error = errno;
        device_close(d);
        errno = error;
        return -1;
    }
    d->cap.driver[sizeof d->cap.driver - 1] = 0;
    d->cap.card[sizeof d->cap.card - 1] = 0;
    uint32_t caps =
        d->cap.capabilities & V4L2_CAP_DEVICE_CAPS ? d->cap.device_caps : d->cap.capabilities;
    d->kind = device_kind((const char *)d->cap.driver, caps);
    d->type = caps & V4L2_CAP_VIDEO_CAPTURE ? V4L2_BUF_TYPE_VIDEO_CAPTURE
                                            : V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    return 0;
}

void device_close(struct device *d)
{
    if (d->fd < 0)
        return;
    if (d->buffers)
        DEVICE_IOCTL(d, VIDIOC_STREAMOFF, &d->type);
    for (unsigned i = 0; i < d->buffers; i++)
        if (d->buffer[i].start)
            munmap(d->buffer[i].start, d->buffer[i].len);
    d->buffers = 0;
    close(d->fd);
    d->fd = -1;
}

/* --- Negotiating --- */

int device_format(struct device *d, unsigned i, struct v4l2_fmtdesc *format)
{
    *format = (struct v4l2_fmtdesc){.index = i, .type = d->type};
    return DEVICE_IOCTL(d, VIDIOC_ENUM_FMT, format);
}

int device_negotiate(struct device *d, uint32_t fourcc, uint32_t width, uint32_t height)
{
    struct v4l2_format f = {.type = d->type};
    int planar = d->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;

    if (DEVICE_IOCTL(d, VIDIOC_G_FMT, &f)) /* colour and whatever else is the driver's to know */
        return -1;
    if (planar) {
        f.fmt.pix_mp.pixelformat = fourcc;
        f.fmt.pix_mp.width = width;
        f.fmt.pix_mp.height = height;
        f.fmt.pix_mp.num_planes = 1;
    } else {
        f.fmt.pix.pixelformat = fourcc;
        f.fmt.pix.width = width;
        f.fmt.pix.height = height;
        f.fmt.pix.bytesperline = f.fmt.pix.sizeimage = 0;
    }
    if (DEVICE_IOCTL(d, VIDIOC_S_FMT, &f) || DEVICE_IOCTL(d, VIDIOC_G_FMT, &f))
        return -1;
    d->fourcc = planar ? f.fmt.pix_mp.pixelformat : f.fmt.pix.pixelformat;
    d->width = planar ? f.fmt.pix_mp.width : f.fmt.pix.width;
    d->height = planar ? f.fmt.pix_mp.height : f.fmt.pix.height;
    if (planar && f.fmt.pix_mp.num_planes != 1) {
        errno = ENOTSUP;
        return -1;
    }
    return 0;
}

static int read_rate(struct device *d)
{
    struct v4l2_streamparm p = {.type = d->type};

    d->rate = (struct rate){0, 0};
    if (DEVICE_IOCTL(d, VIDIOC_G_PARM, &p))
        return -1;
    struct v4l2_fract t = p.parm.capture.timeperframe;
    if (t.numerator && t.denominator)
        d->rate = (struct rate){t.denominator, t.numerator};
    if (!(p.parm.capture.capability & V4L2_CAP_TIMEPERFRAME)) {
        errno = ENOTTY;
        return -1;
    }
    return 0;
}

int device_rate(struct device *d, struct rate rate)
{
    struct v4l2_streamparm p = {.type = d->type};

    if (read_rate(d))
        return -1;
    p.parm.capture.timeperframe = (struct v4l2_fract){rate.den, rate.num};
    if (DEVICE_IOCTL(d, VIDIOC_S_PARM, &p))
        return -1;
    return read_rate(d);
}

/* --- Buffers --- */

static void describe(struct device *d, unsigned index, struct v4l2_buffer *b,
                     struct v4l2_plane *plane)
{
    *b = (struct v4l2_buffer){.index = index, .type = d->type, .memory = V4L2_MEMORY_MMAP};
    *plane = (struct v4l2_plane){0};
    if (d->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) {
        b->m.planes = plane;
        b->length = 1;
    }
}

static int map_one(struct device *d, unsigned index)
{
    struct v4l2_buffer b;
    struct v4l2_plane plane;

    describe(d, index, &b, &plane);
    if (DEVICE_IOCTL(d, VIDIOC_QUERYBUF, &b))
        return -1;
    int planar = d->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    size_t len = planar ? plane.length : b.length;
    off_t at = (off_t)(planar ? plane.m.mem_offset : b.m.offset);
    d->call = "mmap";
    void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, d->fd, at);
    if (p == MAP_FAILED)
        return -1;
    d->buffer[index].start = p;
    d->buffer[index].len = len;
    d->buffer[index].queued = 0;
    return 0;
}

int device_give(struct device *d, unsigned index)
{
    struct v4l2_buffer b;
    struct v4l2_plane plane;

    describe(d, index, &b, &plane);
    if (DEVICE_IOCTL(d, VIDIOC_QBUF, &b))
        return -1;
    d->buffer[index].queued = 1;
    return 0;
}

static int give_all_and_start(struct device *d, int held)
{
    for (unsigned i = 0; i < d->buffers; i++)
        if ((int)i != held && device_give(d, i))
            return -1;
    return DEVICE_IOCTL(d, VIDIOC_STREAMON, &d->type);
}

int device_start(struct device *d)
{
    struct v4l2_requestbuffers request = {
        .count = DEVICE_BUFFERS, .type = d->type, .memory = V4L2_MEMORY_MMAP};

    if (DEVICE_IOCTL(d, VIDIOC_REQBUFS, &request))
        return -1;
    if (request.count < 2 || request.count > DEVICE_BUFFERS_MAX) {
        errno = ENOBUFS;
        return -1;
    }
    memset(d->buffer, 0, sizeof d->buffer);
    d->buffers = request.count;
    for (unsigned i = 0; i < d->buffers; i++)
        if (map_one(d, i))
            return -1;
    return give_all_and_start(d, -1);
}

int device_restart(struct device *d, int held)
{
    if (DEVICE_IOCTL(d, VIDIOC_STREAMOFF, &d->type))
        return -1;
    for (unsigned i = 0; i < d->buffers; i++)
        d->buffer[i].queued = 0;
    return give_all_and_start(d, held);
}

int device_take(struct device *d, struct device_frame *frame)
{
    struct v4l2_buffer b;
    struct v4l2_plane plane;

    describe(d, 0, &b, &plane);
    if (DEVICE_IOCTL(d, VIDIOC_DQBUF, &b))
        return -1;
    if (b.index >= d->buffers) {
        errno = EPROTO;
        return -1;
    }
    int planar = d->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
    size_t room = d->buffer[b.index].len, used = planar ? plane.bytesused : b.bytesused;
    size_t from = planar && plane.data_offset <= used ? plane.data_offset : 0;
    if (used > room)
        used = room;
    d->buffer[b.index].queued = 0;
    *frame = (struct device_frame){
        .index = b.index,
        .bytes = d->buffer[b.index].start + from,
        .len = used - from,
        .room = room - from,
        .sequence = b.sequence,
        .error = (b.flags & V4L2_BUF_FLAG_ERROR) != 0,
        .monotonic = (b.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC,
        .time_us = (uint64_t)b.timestamp.tv_sec * 1000000 + (uint64_t)b.timestamp.tv_usec,
    };
    return 0;
}

/* --- The rest --- */

int device_keyframe(struct device *d)
{
    struct v4l2_ext_control control = {.id = V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME};
    struct v4l2_ext_controls controls = {
        .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &control};

    return DEVICE_IOCTL(d, VIDIOC_S_EXT_CTRLS, &controls);
}

void device_fourcc_text(uint32_t fourcc, char out[DEVICE_FOURCC])
{
    for (int i = 0; i < 4; i++) {
        char c = (char)(fourcc >> 8 * i & 0x7f);
        out[i] = c > ' ' && c < 0x7f ? c : '.';
    }
    out[4] = 0;
    for (int i = 3; i > 0 && out[i] == '.'; i--)
        out[i] = 0;
}
