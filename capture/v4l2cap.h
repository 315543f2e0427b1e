/* What the files of v4l2cap's main program share: v4l2cap.c (options), v4l2open.c (a device opened
 * and set up, every failure with its line), v4l2set.c (-c), v4l2run.c (the stream), v4l2list.c (-l
 * and -L). They print; what they call does not. */
#ifndef CAPTURE_V4L2CAP_H
#define CAPTURE_V4L2CAP_H

#include <signal.h>
#include <stdint.h>

#include "capture/device.h"
#include "capture/rate.h"

enum {
    V4L2CAP_SIDE_MAX = 16384, /* pixels */
    V4L2CAP_CONTROLS = 64,    /* -c options */
};

struct v4l2cap_options {
    int mode;           /* 'l', 'L'; 0: stream */
    const char *device; /* -L: NULL for all */
    const char *conf;   /* -F; NULL: none */
    unsigned width, height;
    struct rate rate;
    int size_given, rate_given;      /* not the defaults */
    uint32_t fourcc;                 /* 0: H.264 */
    uint64_t frames;                 /* 0: no end */
    char *control[V4L2CAP_CONTROLS]; /* "name=value" */
    unsigned controls;
};

extern volatile sig_atomic_t v4l2cap_stop, v4l2cap_key_wanted;

/* One line, "v4l2cap: DEVICE: ...". */
__attribute__((format(printf, 2, 3))) void v4l2cap_say(const char *device, const char *format, ...);

/* Each returns an exit status (exit.h) and has said why where it is not 0. */
int v4l2cap_find(struct device *d, const char *path);                /* opens; any kind of device */
int v4l2cap_open(struct device *d, const struct v4l2cap_options *o); /* up to streaming */
int v4l2cap_failed(struct device *d, const char *path);              /* of d->call and errno */
int v4l2cap_set(struct device *d, const struct v4l2cap_options *o);  /* the -c options */
int v4l2cap_list(const struct v4l2cap_options *o);                   /* -l, after -c */
int v4l2cap_list_formats(const struct v4l2cap_options *o);           /* -L */
int v4l2cap_run(struct device *d, const struct v4l2cap_options *o);

#endif
