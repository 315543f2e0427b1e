/* HLS playlists as text (RFC 8216 4): writers, and a reader of what they wrote.
 *
 * Names are made for a cache: `init-E.mp4` for epoch E, `seg-N.m4s` for media sequence number N,
 * never used for anything else. Every segment with a date says it (4.3.2.6), so that no player has
 * to count on over a clock that was set.
 *
 * EXT-X-INDEPENDENT-SEGMENTS (4.3.5.1) holds for all segments or is not there. Where a source
 * breaks its promise of keyframes it is taken out, for ever. 6.2.1 foresees no such change, but
 * left there it would be untrue. For the same reason it is never in the master playlist.
 *
 * EXT-X-DISCONTINUITY belongs to the segment behind it, and goes and is counted with that. */
#ifndef HLS_PLAYLIST_H
#define HLS_PLAYLIST_H

#include <stddef.h>
#include <stdint.h>

#include "hls/segment.h"

enum {
    PLAYLIST_VERSION = 7,
    PLAYLIST_HEAD_MAX = 240,    /* bytes of what is in front of the first segment */
    PLAYLIST_SEGMENT_MAX = 200, /* bytes of a segment's lines */
    PLAYLIST_MASTER_MAX = 400,  /* bytes, where URI and codecs have no more than 200 */
};

enum playlist_type {
    PLAYLIST_LIVE,  /* segments come and go; no EXT-X-PLAYLIST-TYPE (6.2.2) */
    PLAYLIST_EVENT, /* segments are only added */
    PLAYLIST_VOD,   /* nothing changes any more */
};

struct playlist {
    enum playlist_type type;
    int independent;          /* every segment is, and every one that ever was listed */
    int ended;                /* EXT-X-ENDLIST; a VOD is ended */
    uint32_t target_duration; /* seconds; 1 at least, and never another one */
};

/* The writers write to buf[0, cap), no zero behind it, and return how many bytes, or 0 when they do
 * not fit or there is nothing valid to write. PLAYLIST_HEAD_MAX and n * PLAYLIST_SEGMENT_MAX do. */

/* A whole media playlist of seg[0, n), n >= 1, of consecutive sequence numbers. */
size_t playlist_media(char *buf, size_t cap, const struct playlist *p, const struct segment *seg,
                      size_t n);

/* The same in pieces, for a file that is appended to: what is in front of `first`, which will be
 * the first segment listed, and the lines of a segment; `before` is the one in front of it or NULL.
 * (Such a file cannot take EXT-X-INDEPENDENT-SEGMENTS back: better not to promise it.) */
size_t playlist_head(char *buf, size_t cap, const struct playlist *p, const struct segment *first);
size_t playlist_segment(char *buf, size_t cap, const struct segment *before,
                        const struct segment *s);
#define PLAYLIST_HEAD_LAST "#EXT-X-DISCONTINUITY-SEQUENCE:" /* begins the head's last line */
#define PLAYLIST_END       "#EXT-X-ENDLIST\n"

/* The master playlist of a stream with one rendition (4.3.4.2). */
struct playlist_variant {
    const char *uri;           /* of its media playlist: visible characters, no " */
    const char *codecs;        /* RFC 6381, the same: of every epoch there is (6.2.4) */
    uint64_t bandwidth;        /* bits a second: the peak of window_rates(), or an estimate */
    uint64_t average;          /* or 0: not said */
    uint32_t width, height;    /* or 0: not said */
    uint32_t frame_rate_milli; /* frames in 1000 s, the most there are, or 0: not said */
};
size_t playlist_master(char *buf, size_t cap, const struct playlist_variant *v);

/* Reading on in a media playlist of ours, item by item: all that is in front of the first segment,
 * then each segment, then the end. Only what a writer above would write, byte for byte, is taken,
 * so that written again it is the same. */
enum playlist_item { PLAYLIST_ITEM_HEAD, PLAYLIST_ITEM_SEGMENT, PLAYLIST_ITEM_END };

enum { PLAYLIST_BAD = -1, PLAYLIST_MORE = 0 };

struct playlist_reader {
    enum playlist_item item;
    struct playlist playlist; /* PLAYLIST_ITEM_HEAD; `ended` at the end */
    struct segment seg;       /* PLAYLIST_ITEM_SEGMENT: the newest; of what lies in it (first, end,
                               * bytes) nothing is known, `independent` as the playlist says */
    int has_head;             /* the head has been read */
    uint64_t listed;          /* segments read */
};

/* Reads the next item at text[0, len), which need not end in a zero. *r is all zero before the
 * first. Returns the bytes it took; PLAYLIST_MORE when the item is not whole, which at the end of a
 * file without an EXT-X-ENDLIST and len 0 is as it should be; PLAYLIST_BAD when it is none of ours,
 * and so is everything behind it. */
int playlist_next(struct playlist_reader *r, const char *text, size_t len);

#endif
