/* The appliance's INI file: what its sections and keys mean. Pure.
 *
 *   [server]          listen (address, empty: all), port, https_port, keyfile, certfile, redirect,
 *                     proxy_port, users, www, max_viewers, max_per_address, priority, log
 *   [/dev/video0]     a camera: width, height, fps, rotation, auto_sleep, name, command; every
 * other key is a V4L2 control of the device
 *   [record]          dir, keep, segment, cameras
 *
 * Without a camera's section there is one of /dev/video0. Cameras are called cam0, cam1, ... in the
 * order of their sections unless `name` says otherwise. */
#ifndef SCRIPTS_CONFIG_H
#define SCRIPTS_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "capture/rate.h"
#include "scripts/args.h"
#include "serve/ringfile.h"

enum {
    CONFIG_BYTES = 65536, /* of the file */
    CONFIG_CAMERAS = 16,
    CONFIG_NAME_MAX = RINGFILE_NAME_MAX,
    CONFIG_TEXT_MAX = 4096, /* a value's or a section's bytes, with its NUL */
    CONFIG_MISTAKES = 64,
    CONFIG_SIDE_MAX = 16384,
    CONFIG_NUMBER_MAX = 16, /* bytes of a number as it is handed on, with its NUL */
};

#define CONFIG_RECORDER "rec-" /* in front of a camera's name: the service that records it */
#define CONFIG_RECORDINGS                                                                          \
    "recordings" /* their directory on the web, and by default on the disk                         \
                  */

struct config_camera {
    unsigned line; /* where its section begins; 0: it has none */
    char name[CONFIG_NAME_MAX + 1];
    char device[CONFIG_TEXT_MAX];
    unsigned width, height, rotation;
    struct rate rate;
    int auto_sleep;
    int recorded;
    int has_command;
    struct args command;  /* in place of the capture program */
    struct args controls; /* NAME=VALUE each */
};

struct config_path {
    unsigned line;
    char path[CONFIG_TEXT_MAX]; /* from / on; empty: not given */
};

/* What is recorded, by fmp4hls, into dir/NAME for each camera that is `recorded`. */
struct config_record {
    unsigned line, keep_line;        /* line 0: nothing is */
    struct config_path dir;          /* empty: the default, which is not this file's to know */
    char keep[CONFIG_NUMBER_MAX];    /* as fmp4hls -k takes it */
    uint64_t keep_bytes;             /* the same, or 0 where it is an age */
    char segment[CONFIG_NUMBER_MAX]; /* as fmp4hls -t takes it */
    unsigned cameras_line;
    char cameras[CONFIG_TEXT_MAX]; /* names between blanks; empty: all */
};

struct config {
    char listen[64]; /* in numbers, IPv6 without brackets; empty: all addresses */
    unsigned port, listen_line, port_line, https_line;
    unsigned https_port;                  /* 0: no HTTPS */
    unsigned proxy_port;                  /* on loopback, where a TLS front end comes in; 0: none */
    struct config_path keyfile, certfile; /* both or none: a certificate of our own */
    int redirect;                         /* plain requests are sent to https_port */
    int log;                              /* every request is logged */
    struct config_path users;             /* empty: everybody may look */
    struct config_path www;               /* further files to serve */
    unsigned max_viewers;                 /* 0: fanout's own limit */
    unsigned max_per_address;             /* likewise */
    unsigned priority_line;               /* 0: as who starts this has it */
    int priority;                         /* nice value, -20 to 19 */
    struct config_record record;
    size_t count;
    struct config_camera camera[CONFIG_CAMERAS];
};

struct config_mistake {
    unsigned line; /* 0: of no line */
    char text[256];
};

struct config_mistakes {
    size_t count; /* of all; those beyond CONFIG_MISTAKES are only counted */
    struct config_mistake list[CONFIG_MISTAKES];
};

/* Reads the whole of a file. Returns 0, or -1 when there are mistakes, all of which are listed in
 * the order of their lines: the configuration is of no use then. */
int config_read(struct config *config, const char *text, size_t length,
                struct config_mistakes *mistakes);

/* What there is without a file. */
void config_default(struct config *config);

#endif
