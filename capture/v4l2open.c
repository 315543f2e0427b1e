/* v4l2cap: a device opened and set up, every failure with its own line that says what to do. */
#include "capture/exit.h"
#include "capture/holder.h"
#include "capture/v4l2cap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void v4l2cap_say(const char *device, const char *format, ...)
{
    char line[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    fprintf(stderr, "v4l2cap: %s: %s\n", device, line);
}

/* What may go away by itself is worth another try: a camera is plugged in again, another program
 * ends, and udev sets a new node's group only after it has appeared. */
int v4l2cap_failed(struct device *d, const char *path)
{
    char who[256];
    int error = errno;

    switch (error) {
    case ENOENT:
        v4l2cap_say(path, "not there: not plugged in, or another number (v4l2cap -L lists all)");
        return EXIT_AGAIN;
    case EACCES:
    case EPERM:
        v4l2cap_say(path, "no permission: be in its group, as a rule video (usermod -aG video "
                          "USER, then log in again)");
        return EXIT_AGAIN;
    case EBUSY:
        if (holder_find(path, who, sizeof who))
            v4l2cap_say(path, "busy: open in %s", who);
        else
            v4l2cap_say(path, "busy: another program has it (as root, fuser -v %s names it)", path);
        return EXIT_AGAIN;
    case ENODEV:
    case ENXIO:
        v4l2cap_say(path, "unplugged");
        return EXIT_AGAIN;
    case ENOTTY:
    case EISDIR:
        v4l2cap_say(path, "not a V4L2 device (%s): v4l2cap -L lists what there is", d->call);
        return EXIT_USAGE;
    default:
        v4l2cap_say(path, "%s: %s", d->call, strerror(error));
        return EXIT_AGAIN;
    }
}

int v4l2cap_find(struct device *d, const char *path)
{
    return device_open(d, path) ? v4l2cap_failed(d, path) : 0;
}

/* Whether pictures can come out of it at all. */
static int check_kind(const struct device *d, const char *path)
{
    const char *driver = (const char *)d->cap.driver;

    switch (d->kind) {
    case DEVICE_CAMERA:
        return 0;
    case DEVICE_LIBCAMERA:
        v4l2cap_say(path,
                    "a sensor without H.264 (%s), which speaks libcamera; what works: "
                    "command = rpicam-vid --inline -t 0 -o -",
                    driver);
        return EXIT_USAGE;
    case DEVICE_UNFED:
        v4l2cap_say(path, "v4l2loopback: no program writes to it yet");
        return EXIT_AGAIN;
    case DEVICE_CODEC:
        v4l2cap_say(path, "an encoder or decoder (%s), not a camera: v4l2cap -L lists the cameras",
                    driver);
        return EXIT_USAGE;
    case DEVICE_NO_STREAMING:
        v4l2cap_say(path, "no streaming input or output, only read(): not supported");
        return EXIT_USAGE;
    default:
        v4l2cap_say(path,
                    "not a video capture device (%s; a camera has several nodes): v4l2cap -L "
                    "lists the cameras",
                    driver);
        return EXIT_USAGE;
    }
}

/* Whether the device has the format, or what it has instead. */
static int check_format(struct device *d, const char *path, uint32_t fourcc)
{
    char has[64] = "", name[DEVICE_FOURCC];
    struct v4l2_fmtdesc format;
    size_t len = 0;

    for (unsigned i = 0; !device_format(d, i, &format); i++) {
        if (format.pixelformat == fourcc)
            return 0;
        device_fourcc_text(format.pixelformat, name);
        const char *text = len + sizeof " ABCD ..." < sizeof has ? name : "...";
        if (len < sizeof has)
            len += (size_t)snprintf(has + len, sizeof has - len, " %s", text);
        if (text != name)
            len = sizeof has;
    }
    if (errno != EINVAL)
        return v4l2cap_failed(d, path);
    device_fourcc_text(fourcc, name);
    v4l2cap_say(path, "no %s from this camera, only%s: it has no H.264 encoder for V4L2", name,
                len ? has : " nothing");
    return EXIT_USAGE;
}

/* Frames a second as a decimal number. */
static void rate_text(struct rate r, char *out, size_t size)
{
    if (!r.den)
        snprintf(out, size, "an unknown rate");
    else if (r.num % r.den == 0)
        snprintf(out, size, "%" PRIu32, r.num / r.den);
    else
        snprintf(out, size, "%.2f", (double)r.num / r.den);
}

static int same_rate(struct rate a, struct rate b)
{
    return (uint64_t)a.num * b.den == (uint64_t)b.num * a.den;
}

/* Drivers substitute what they can't do without a word: the word is ours. */
static void tell_differences(const struct device *d, const struct v4l2cap_options *o)
{
    char gives[32], asked[32];
    int size = d->width != o->width || d->height != o->height;
    int rate = d->rate.den ? !same_rate(d->rate, o->rate) : o->rate_given;

    rate_text(d->rate, gives, sizeof gives);
    rate_text(o->rate, asked, sizeof asked);
    if (size && rate)
        v4l2cap_say(o->device, "gives %" PRIu32 "x%" PRIu32 " at %s frames/s, not %ux%u at %s",
                    d->width, d->height, gives, o->width, o->height, asked);
    else if (size)
        v4l2cap_say(o->device, "gives %" PRIu32 "x%" PRIu32 ", not %ux%u", d->width, d->height,
                    o->width, o->height);
    else if (rate)
        v4l2cap_say(o->device, "gives %s frames/s, not %s", gives, asked);
}

static int negotiate(struct device *d, const struct v4l2cap_options *o)
{
    uint32_t fourcc = o->fourcc ? o->fourcc : V4L2_PIX_FMT_H264;
    char gives[DEVICE_FOURCC], asked[DEVICE_FOURCC];
    int status = check_format(d, o->device, fourcc);

    if (status)
        return status;
    if (device_negotiate(d, fourcc, o->width, o->height))
        return v4l2cap_failed(d, o->device);
    if (d->fourcc != fourcc) {
        device_fourcc_text(d->fourcc, gives);
        device_fourcc_text(fourcc, asked);
        v4l2cap_say(o->device, "gives %s when asked for %s", gives, asked);
        return EXIT_USAGE;
    }
    if (device_rate(d, o->rate) && errno != ENOTTY && errno != EINVAL)
        return v4l2cap_failed(d, o->device);
    tell_differences(d, o);
    return 0;
}

int v4l2cap_open(struct device *d, const struct v4l2cap_options *o)
{
    int status = v4l2cap_find(d, o->device);

    if (!status)
        status = check_kind(d, o->device);
    if (!status)
        status = negotiate(d, o);
    if (!status)
        status = v4l2cap_set(d, o);
    if (!status && device_start(d))
        status = v4l2cap_failed(d, o->device);
    if (status) {
        int error = errno;
        device_close(d);
        errno = error;
    }
    return status;
}
