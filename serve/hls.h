/* One camera's HLS playlist (RFC 8216), as the ring's table of segments says: which segments it
 * lists, when a new version is out, and its text. Segments are cut where the ring is written
 * (cut.h); a server that starts anew lists the same ones under the same numbers.
 *
 * A camera may sleep while nobody watches. HLS clients come and go with every request, so one that
 * has asked for something lately counts as a viewer; when there is none and no pictures come, the
 * playlist is withdrawn, and who comes next waits for a new one instead of being shown the past.
 *
 * Chromium's own HLS reloads its playlist at once when it has fetched the segments faster than it
 * began to play them, and gives up when it finds no new one (156, hls_rendition_impl.cc). So its
 * master playlist names a playlist of that player's own, `live.m3u8?n=ID`, and one who has been
 * given the newest version of that waits until there is another. */
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
    HLS_PLAYERS = 64,         /* so many of the newest are known */
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
    uint64_t players; /* that were given a playlist of their own, ever */
    struct {
        uint64_t id, seen; /* the newest media sequence number it has been given */
    } player[HLS_PLAYERS];
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

/* Media sequence number of the newest segment that is listed; 0: none is. */
uint64_t hls_newest(const struct hls *h);

/* A number for another player: not 0, nor one that was given before. */
uint64_t hls_new_player(struct hls *h, int64_t now);
/* The newest segment that player has been given, or 0: none, or it is not known any more. */
uint64_t hls_seen(const struct hls *h, uint64_t player);
/* It is given the playlist as it is. */
void hls_note(struct hls *h, uint64_t player);

/* Writes the master playlist to out[0, cap): of the first camera, at /stream.m3u8, which leads to
 * that camera's own playlist, or as_its_own. player: 0, or of whom the playlist is to be. Returns
 * its length, or 0 when there is no picture yet to say anything of. */
size_t hls_master(const struct hls *h, const struct camera *camera, int as_its_own, uint64_t player,
                  char *out, size_t cap);

#endif
