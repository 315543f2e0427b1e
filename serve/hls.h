/* One camera's HLS playlist (RFC 8216), as the ring's table of segments says: which segments it
 * lists, when a new version is out, and its text. Segments are cut where the ring is written
 * (cut.h); a server that starts anew lists the same ones under the same numbers.
 *
 * A camera may sleep while nobody watches. HLS clients come and go with every request, so one that
 * has asked for something lately counts as a viewer; when there is none and no pictures come, the
 * playlist is withdrawn, and who comes next waits for a new one instead of being shown the past. */
#ifndef SERVE_HLS_H
#define SERVE_HLS_H

#include <stddef.h>
#include <stdint.h>

#include "hls/playlist.h"
#include "hls/window.h"
#include "serve/camera.h"
#include "serve/cut.h"

enum {
    HLS_TEXT_MAX = PLAYLIST_HEAD_MAX + RING_CUTS * PLAYLIST_SEGMENT_MAX,
    HLS_LINGER_US = 15000000, /* after its last request a client counts for so long at least */
};

struct hls {
    struct window window;
    struct segment room[RING_CUTS];
    int begun;                /* the window is made */
    uint32_t target_duration; /* that it was made for */
    uint64_t next;            /* media sequence number to look for in the ring */
    int64_t asked;            /* CLOCK_MONOTONIC, us: of the last request; 0: never */
    int has_slot;             /* `slot` is a viewer's in the ring */
    int slot;
    uint32_t frame_rate_milli; /* of the newest segment */
    size_t length;             /* of the playlist; 0: there is none */
    char text[HLS_TEXT_MAX];
};

/* The ring is another one, or there is none any more. The viewer's slot has gone with it. */
void hls_reset(struct hls *h);

/* Looks for new segments, and publishes them when it is time. Returns 1 when there is a new version
 * of the playlist. now: CLOCK_MONOTONIC, us, in all of these. */
int hls_update(struct hls *h, const struct camera *camera, int64_t now);

/* When hls_update() has something to do without anything new in the ring, or INT64_MAX. */
int64_t hls_due(const struct hls *h);

/* A client has asked for something: it counts as a viewer from now on. */
void hls_touch(struct hls *h, struct camera *camera, int64_t now);

/* To be called every second or so: lets go of clients that are gone, and of the past. */
void hls_sweep(struct hls *h, struct camera *camera, int64_t now);

/* Writes the master playlist to out[0, cap): of the first camera, at /stream.m3u8, which leads to
 * that camera's own playlist, or as_its_own. Returns its length, or 0 when there is no picture yet
 * to say anything of. */
size_t hls_master(const struct hls *h, const struct camera *camera, int as_its_own, char *out,
                  size_t cap);

#endif
