/* v4l2cap -l: the controls of a device; -L: formats, sizes and rates, or all devices. */
#include "capture/devctrl.h"
#include "capture/exit.h"
#include "capture/v4l2cap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    NODES_MAX = 256,   /* /dev/video0 and up */
    ENTRIES_MAX = 256, /* sizes of a format, rates of a size */
};

/* --- Controls --- */

static void print_menu(const struct control *c, const char *value)
{
    struct control_value preset = {.number = c->query.default_value};
    char text[CONTROL_TEXT];

    control_format(c, &preset, text, sizeof text);
    printf("%s\t( default: %s values: ", value, text);
    for (unsigned i = 0; i < c->items; i++) {
        const char *label = c->item[i].label;
        if (c->query.type != V4L2_CTRL_TYPE_MENU)
            printf("%" PRId64 " ", c->item[i].value);
        else if (strchr(label, '\''))
            printf("\"%s\" ", label);
        else
            printf("'%s' ", label);
    }
    printf(")");
}

static void print_range(const struct control *c, const char *value)
{
    const struct v4l2_query_ext_ctrl *q = &c->query;

    printf("%s\t( default: %" PRId64 " min: %" PRId64 " max: %" PRId64, value,
           (int64_t)q->default_value, (int64_t)q->minimum, (int64_t)q->maximum);
    if (q->step != 1)
        printf(" step: %" PRIu64, (uint64_t)q->step);
    printf(")");
}

static void print_compound(const struct control *c)
{
    const struct v4l2_query_ext_ctrl *q = &c->query;

    printf("\t(");
    for (uint32_t i = 0; i < q->nr_of_dims && i < V4L2_CTRL_MAX_DIMS; i++)
        printf("%s%" PRIu32, i ? "x" : "", q->dims[i]);
    printf("%s of %" PRIu32 " bytes: not as text)", q->nr_of_dims ? " elements" : "compound",
           q->elem_size);
}

static void print_value(struct device *d, const struct control *c)
{
    struct control_value value;
    char text[CONTROL_TEXT] = "";

    if (c->query.type == V4L2_CTRL_TYPE_BUTTON) {
        printf("\t( button )");
        return;
    }
    if (!(c->query.flags & V4L2_CTRL_FLAG_WRITE_ONLY) && !devctrl_get(d, c, &value))
        control_format(c, &value, text, sizeof text);
    switch (c->query.type) {
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        print_menu(c, text);
        break;
    case V4L2_CTRL_TYPE_BITMASK:
        printf("%s\t( default: 0x%" PRIx32 " max: 0x%" PRIx32 ")", text,
               (uint32_t)c->query.default_value, (uint32_t)c->query.maximum);
        break;
    case V4L2_CTRL_TYPE_STRING:
        printf("'%s'\t( characters: %" PRId64 " to %" PRId64 ")", text, (int64_t)c->query.minimum,
               (int64_t)c->query.maximum);
        break;
    default:
        print_range(c, text);
    }
}

static void print_control(struct device *d, const struct control *c)
{
    static const struct {
        uint32_t flag;
        const char *word;
    } words[] = {
        {V4L2_CTRL_FLAG_READ_ONLY, "read-only"}, {V4L2_CTRL_FLAG_WRITE_ONLY, "write-only"},
        {V4L2_CTRL_FLAG_INACTIVE, "inactive"},   {V4L2_CTRL_FLAG_GRABBED, "locked"},
        {V4L2_CTRL_FLAG_VOLATILE, "volatile"},
    };

    if (c->query.type == V4L2_CTRL_TYPE_CTRL_CLASS) {
        printf("\n%s\n\n", c->query.name);
        return;
    }
    printf("%s = ", c->name);
    if (control_plain(c))
        print_value(d, c);
    else
        print_compound(c);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (c->query.flags & words[i].flag)
            printf(" %s", words[i].word);
    printf("\n");
}

static int flushed(void)
{
    if (!fflush(stdout))
        return 0;
    if (errno == EPIPE)
        return 0;
    v4l2cap_say("standard output", "%s", strerror(errno));
    return EXIT_AGAIN;
}

int v4l2cap_list(const struct v4l2cap_options *o)
{
    static struct devctrl all;
    static struct device d;
    int status = v4l2cap_find(&d, o->device);

    if (status)
        return status;
    status = v4l2cap_set(&d, o);
    if (!status) {
        devctrl_find(&d, &all);
        printf("Device: %s\nName: %s\nDriver: %s\n\nControls\n", o->device,
               (const char *)d.cap.card, (const char *)d.cap.driver);
        for (unsigned i = 0; i < all.count; i++)
            print_control(&d, &all.control[i]);
        status = flushed();
    }
    device_close(&d);
    return status;
}

/* --- Formats --- */

static void print_rate(struct v4l2_fract interval)
{
    if (!interval.numerator || !interval.denominator)
        printf(" ?");
    else if (interval.denominator % interval.numerator == 0)
        printf(" %" PRIu32, interval.denominator / interval.numerator);
    else
        printf(" %.2f", (double)interval.denominator / interval.numerator);
}

static void print_rates(struct device *d, uint32_t fourcc, uint32_t width, uint32_t height)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        struct v4l2_frmivalenum r = {
            .index = i, .pixel_format = fourcc, .width = width, .height = height};
        if (DEVICE_IOCTL(d, VIDIOC_ENUM_FRAMEINTERVALS, &r))
            return;
        if (i == 0)
            printf(" @");
        if (r.type == V4L2_FRMIVAL_TYPE_DISCRETE) {
            print_rate(r.discrete);
            continue;
        }
        print_rate(r.stepwise.max);
        printf(" to");
        print_rate(r.stepwise.min);
        return;
    }
}

static void print_sizes(struct device *d, uint32_t fourcc)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        struct v4l2_frmsizeenum s = {.index = i, .pixel_format = fourcc};
        if (DEVICE_IOCTL(d, VIDIOC_ENUM_FRAMESIZES, &s))
            return;
        if (s.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
            printf("    %" PRIu32 "x%" PRIu32, s.discrete.width, s.discrete.height);
            print_rates(d, fourcc, s.discrete.width, s.discrete.height);
            printf("\n");
            continue;
        }
        printf("    %" PRIu32 "x%" PRIu32 " to %" PRIu32 "x%" PRIu32 " in steps of %" PRIu32
               "x%" PRIu32,
               s.stepwise.min_width, s.stepwise.min_height, s.stepwise.max_width,
               s.stepwise.max_height, s.stepwise.step_width, s.stepwise.step_height);
        print_rates(d, fourcc, s.stepwise.max_width, s.stepwise.max_height);
        printf("\n");
        return;
    }
}

static void print_formats(struct device *d)
{
    struct v4l2_fmtdesc format;
    char name[DEVICE_FOURCC];

    for (unsigned i = 0; !device_format(d, i, &format); i++) {
        device_fourcc_text(format.pixelformat, name);
        printf("  %s (%s)\n", name, (const char *)format.description);
        print_sizes(d, format.pixelformat);
    }
}

/* In one line, what v4l2cap can do with it. */
static void print_verdict(struct device *d)
{
    struct v4l2_fmtdesc format;
    int h264 = 0;

    switch (d->kind) {
    case DEVICE_LIBCAMERA:
        printf("sensor without H.264: command = rpicam-vid --inline -t 0 -o -\n");
        return;
    case DEVICE_CODEC:
        printf("encoder or decoder, not a camera\n");
        return;
    case DEVICE_UNFED:
        printf("v4l2loopback, nothing writes to it yet\n");
        return;
    case DEVICE_NO_STREAMING:
    case DEVICE_NO_VIDEO:
        printf("no video capture\n");
        return;
    case DEVICE_CAMERA:
        break;
    }
    for (unsigned i = 0; !device_format(d, i, &format); i++)
        h264 |= format.pixelformat == V4L2_PIX_FMT_H264;
    printf("%s\n", h264 ? "camera with H.264: v4l2cap can stream it" : "camera without H.264");
}

static void print_device(struct device *d, const char *path)
{
    printf("%s: %s (%s%s): ", path, (const char *)d->cap.card, (const char *)d->cap.driver,
           d->type == V4L2_BUF_TYPE_VIDEO_CAPTURE ? "" : ", multi-planar");
    print_verdict(d);
}

static int list_all(void)
{
    static struct device d;
    char path[32];
    unsigned found = 0;

    for (int i = 0; i < NODES_MAX; i++) {
        snprintf(path, sizeof path, "/dev/video%d", i);
        if (!device_open(&d, path)) {
            if (d.kind != DEVICE_NO_VIDEO) {
                print_device(&d, path);
                found++;
            }
            device_close(&d);
        } else if (errno != ENOENT && errno != ENODEV && errno != ENXIO) {
            v4l2cap_failed(&d, path);
        }
    }
    if (!found)
        v4l2cap_say("/dev/video*", "no camera");
    return found ? flushed() : EXIT_AGAIN;
}

int v4l2cap_list_formats(const struct v4l2cap_options *o)
{
    static struct device d;

    if (!o->device)
        return list_all();
    int status = v4l2cap_find(&d, o->device);
    if (status)
        return status;
    print_device(&d, o->device);
    if (d.kind == DEVICE_CAMERA || d.kind == DEVICE_LIBCAMERA)
        print_formats(&d);
    device_close(&d);
    return flushed();
}
