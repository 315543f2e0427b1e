/* v4l2feed: writes the access units of an H.264 file to a V4L2 output device, one a buffer, at a
 * pace, over and over. v4l2loopback gives them to whoever captures from the same device. */
#include "capture/number.h"
#include "tests/guest/units.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: v4l2feed [-g n] [-n frames] [-r fps] [-w file] [-z n] device file.h264\n"
    "  -g n       in front of every nth frame comes a buffer of garbage\n"
    "  -n frames  ends after so many (default: never)\n"
    "  -r fps     default: 30\n"
    "  -w file    sets the format, then waits until the file is there before the first frame\n"
    "  -z n       in front of every nth frame comes an empty buffer\n";

enum { USAGE = 100, FPS_MAX = 1000, FRAMES_MAX = 1000000000, GARBAGE_LEN = 5000 };

struct options {
    uint64_t garbage_every, empty_every, frames, fps;
    const char *wait_for;
};

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "v4l2feed: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(status);
}

static int open_device(const char *path, const struct units *u, const struct options *o)
{
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
    struct v4l2_streamparm pace = {.type = V4L2_BUF_TYPE_VIDEO_OUTPUT};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(1, "%s: %s", path, strerror(errno));
    format.fmt.pix.width = u->width;
    format.fmt.pix.height = u->height;
    format.fmt.pix.pixelformat = V4L2_PIX_FMT_H264;
    format.fmt.pix.field = V4L2_FIELD_NONE;
    format.fmt.pix.sizeimage = 1 << 20;
    if (ioctl(fd, VIDIOC_S_FMT, &format) < 0)
        die(1, "%s: VIDIOC_S_FMT: %s", path, strerror(errno));
    pace.parm.output.timeperframe.numerator = 1;
    pace.parm.output.timeperframe.denominator = (uint32_t)o->fps;
    if (ioctl(fd, VIDIOC_S_PARM, &pace) < 0)
        die(1, "%s: VIDIOC_S_PARM: %s", path, strerror(errno));
    return fd;
}

/* v4l2loopback lets nobody capture before its writer streams; with this it does, and who does so
 * before the first frame misses none. */
static void wait_for(int fd, const char *path)
{
    enum { LOOK_NS = 10000000 };
    int type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
    struct v4l2_requestbuffers buffers = {
        .count = 8, .type = (uint32_t)type, .memory = V4L2_MEMORY_MMAP};
    if (ioctl(fd, VIDIOC_REQBUFS, &buffers) < 0)
        die(1, "VIDIOC_REQBUFS: %s", strerror(errno));
    if (ioctl(fd, VIDIOC_STREAMON, &type) < 0)
        die(1, "VIDIOC_STREAMON: %s", strerror(errno));
    while (access(path, F_OK) < 0)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

static void put(int fd, const uint8_t *p, size_t len)
{
    ssize_t n = write(fd, p, len);
    if (n != (ssize_t)len)
        die(1, "write: %s", n < 0 ? strerror(errno) : "cut short");
}

static int every(uint64_t n, uint64_t frame)
{
    return n && (frame + 1) % n == 0;
}

static void feed(int fd, const struct units *u, const struct options *o)
{
    static uint8_t garbage[GARBAGE_LEN];
    struct timespec due;
    memset(garbage, 0x55, sizeof garbage);
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (uint64_t k = 0; !o->frames || k < o->frames; k++) {
        size_t len;
        const uint8_t *unit = units_get(u, k % u->count, &len);
        if (every(o->garbage_every, k))
            put(fd, garbage, sizeof garbage);
        if (every(o->empty_every, k))
            put(fd, unit, 0);
        put(fd, unit, len);
        due.tv_nsec += 1000000000 / (long)o->fps;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
            ;
    }
}

static void number(int option, uint64_t max, uint64_t *value)
{
    if (number_parse(optarg, 1, max, value) < 0)
        die(USAGE, "-%c: %s: want a number from 1 to %llu", option, optarg,
            (unsigned long long)max);
}

int main(int argc, char **argv)
{
    struct options o = {.fps = 30};
    struct units u;
    int option;
    while ((option = getopt(argc, argv, "g:n:r:w:z:")) != -1) {
        if (option == 'g')
            number(option, FRAMES_MAX, &o.garbage_every);
        else if (option == 'n')
            number(option, FRAMES_MAX, &o.frames);
        else if (option == 'r')
            number(option, FPS_MAX, &o.fps);
        else if (option == 'w')
            o.wait_for = optarg;
        else if (option == 'z')
            number(option, FRAMES_MAX, &o.empty_every);
        else
            optind = argc + 1;
    }
    if (argc - optind != 2) {
        fputs(usage, stderr);
        return USAGE;
    }
    units_load(&u, argv[optind + 1]);
    int fd = open_device(argv[optind], &u, &o);
    if (o.wait_for)
        wait_for(fd, o.wait_for);
    feed(fd, &u, &o);
    units_free(&u);
    return 0;
}
