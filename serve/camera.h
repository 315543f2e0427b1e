/* The rings a fanout serves: one private one that it fills itself from a pipe, or any number under
 * names, each with a thread that turns its futex into an event of the loop. */
#ifndef SERVE_CAMERA_H
#define SERVE_CAMERA_H

#include <stdint.h>

#include "serve/ring.h"
#include "serve/ringfile.h"

enum {
    CAMERA_RETRY_MS = 250,     /* a ring that is not there yet is looked for again */
    CAMERA_STALE_US = 2000000, /* older than this, the newest picture is not shown to who joins */
};

struct camera {
    char name[RINGFILE_NAME_MAX + 1]; /* empty: the private one */
    struct ring ring;     /* never to be touched but by ring.h; empty where there is none yet */
    struct ringfile file; /* named: open when `there` */
    int there;
    int told;  /* that it is not */
    int event; /* eventfd of the thread; -1: the private one */
};

/* Makes a private ring. Returns -1 with errno. */
int camera_private(struct camera *c);

/* Begins to watch a named ring, which need not exist. Returns -1 with errno. To be called with the
 * signals blocked that the thread is not to take. */
int camera_named(struct camera *c, const char *name);

/* Finds the ring under its name, if it is not open yet or another has taken its place. Returns 1
 * when c->ring is another than before: who reads it must let go; 0 otherwise. */
int camera_look(struct camera *c);

/* The newest fragment has come recently. now: CLOCK_MONOTONIC, us. */
int camera_fresh(const struct camera *c, int64_t now);

#endif
