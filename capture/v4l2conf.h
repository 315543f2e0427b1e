/* What the appliance's INI file says to the capture program of one device: width, height, fps, and
 * every key that is none of the appliance's, which is a control. Pure. */
#ifndef CAPTURE_V4L2CONF_H
#define CAPTURE_V4L2CONF_H

#include <stddef.h>

#include "capture/rate.h"

enum {
    V4L2CONF_BYTES = 65536, /* of the file */
    V4L2CONF_CONTROLS = 64,
    V4L2CONF_TEXT = 16384, /* of all controls together */
};

struct v4l2conf {
    int found;              /* the device has a section */
    unsigned width, height; /* 0: not given */
    int rate_given;
    struct rate rate;
    char *control[V4L2CONF_CONTROLS]; /* "name=value", in text */
    unsigned controls;
    char text[V4L2CONF_TEXT];
    size_t used;
    unsigned line;   /* of a mistake */
    const char *why; /* and what it is */
};

/* Reads the section that is called `device`. Returns 0, or -1 at the first mistake in it, or in the
 * file's form. */
int v4l2conf_read(struct v4l2conf *conf, const char *file, size_t length, const char *device);

#endif
