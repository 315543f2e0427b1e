/* Which segments a live playlist lists, when a new version of it may be out, and how long a segment
 * must be there (RFC 8216 6.2.1, 6.2.2).
 *
 *   - At least three target durations stay listed, or as much as is wanted.
 *   - A new version comes no sooner than half a target duration after the one before, with all that
 *     became ready since. (No later than one and a half follows from no segment being longer than
 *     one, while there are pictures.)
 *   - What is no longer listed can be fetched for its own duration plus that of the longest
 * playlist.
 *
 * The segments lie in an array of the caller's, oldest first: retired ones that are still to be
 * fetched, listed ones, and ones that wait to be. Times are of any steady clock, microseconds. */
#ifndef HLS_WINDOW_H
#define HLS_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "hls/segment.h"

enum { WINDOW_TARGETS = 3 }; /* target durations that stay listed */

struct window {
    struct segment *seg; /* [0, first) retired, [first, end) listed, [end, count) waiting */
    size_t cap, first, end, count;
    uint64_t listed_us; /* durations of the listed ones */
    uint64_t keep_us, half_us;
    uint64_t longest_us; /* the longest a playlist can be */
    int64_t published;   /* when the newest version came out */
    int is_out;          /* there was one */
};

/* room[0, cap) is the window's from now on. keep_us: list so much at least, or SEGMENT_ALWAYS for
 * playlists that only grow. */
void window_init(struct window *w, struct segment *room, size_t cap, uint32_t target_duration,
                 uint64_t keep_us);

/* Takes a finished segment. Returns 0, or -1 when there is no room: the stream is cut into more
 * segments than the caller has foreseen, and cannot be listed on. */
int window_add(struct window *w, const struct segment *s);

/* When window_publish() has something to do: INT64_MAX when nothing waits. */
int64_t window_due(const struct window *w);

/* Lists what waits and retires what need not be listed any more, if it is time for that. Returns
 * whether there is a new version. */
int window_publish(struct window *w, int64_t now);

/* Takes out a retired segment that nobody may ask for any more. Returns 1 when there is one. */
int window_drop(struct window *w, int64_t now, struct segment *gone);

/* Takes the oldest segment out at once, listed or not: it cannot be fetched any more. Where there
 * is one left to list, that is the first then. */
void window_lose(struct window *w);

/* The segment of that media sequence number, or NULL when there is none (any more, or yet). */
const struct segment *window_find(const struct window *w, uint64_t sequence);

/* The longest a playlist can become that lists keep_us at least. */
uint64_t window_longest(uint32_t target_duration, uint64_t keep_us);

/* How much of the newest media must be there for all this, in microseconds: when a segment is
 * retired, at most the longest playlist and what came since the newest version was due lie behind
 * it, and it has its own duration and the longest playlist's to go. Pictures that are left out of
 * segments come on top, where a source is given to break off without a keyframe. */
uint64_t window_hold(uint32_t target_duration, uint64_t keep_us);

/* Bytes of `us` of media at so many bytes a second, rounded up; UINT64_MAX for more than that. */
uint64_t window_bytes(uint64_t us, uint64_t rate);

/* Bits a second of these segments, for the master playlist (4.1, 4.3.4.2): of the largest run of
 * segments that lasts 0.5 to 1.5 target durations (of all, where none does), and of all. */
void window_rates(const struct segment *s, size_t n, uint32_t target_duration, uint64_t *peak,
                  uint64_t *average);

#endif
