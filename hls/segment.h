/* Where a stream is cut into HLS segments (RFC 8216 3, 6.2.1): fragments in, segments out.
 *
 * A segment ends in front of the first keyframe at or after the target. The target duration of the
 * playlist (4.3.3.1) is a promise for ever, so it is chosen for the worst: target plus the longest
 * wait for a keyframe. When it would be broken all the same, a keyframe is asked for, and failing
 * that the cut comes at whatever picture it is: that segment is not independent.
 *
 * The target duration is what players keep their distance by (three of it, 6.3.3) and what paces
 * new playlists (window.h): a camera that answers a wish for a keyframe should promise 1 s, not its
 * GOP. One with a fixed GOP has to promise that: 10 s of it cost a viewer 30.
 *
 * A timeline that breaks is a discontinuity (4.3.2.3): a new epoch, times that go back, lost
 * fragments, a hole of more than SEGMENT_HOLE_US. No decoder goes on across one, so pictures up to
 * the next keyframe are left out. A smaller hole belongs to the segment it is in or ends: the sum
 * of durations stays the timeline's.
 *
 * Dates (4.3.2.6) are given where they are known. Clocks are set; media times do not change by it,
 * so that is no discontinuity, which would make every player start anew. A date before
 * SEGMENT_UTC_MIN is a clock nobody has set: it is not given, and players count back from the first
 * that is. A clock set ahead needs nothing, for every segment has a date of its own. After one set
 * back, two pictures in a playlist would have one date (6.2.1: never ambiguous), so none is given
 * until the segments with the old dates are in no playlist any more.
 *
 * Plain data: a copy of the struct goes on where the original stood. */
#ifndef HLS_SEGMENT_H
#define HLS_SEGMENT_H

#include <stdint.h>

enum {
    SEGMENT_SECOND = 1000000,    /* durations and dates are in microseconds */
    SEGMENT_HOLE_US = 1000000,   /* a longer one is a discontinuity */
    SEGMENT_OVER_US = 400000,    /* beyond the target duration: rounds down to it (4.3.3.1) */
    SEGMENT_SPARE_US = 300000,   /* of which this much may be planned with */
    SEGMENT_MOST_US = 499999,    /* with a hole behind the last picture: rounds down still */
    SEGMENT_KEY_US = 1000000,    /* a camera may take so long to answer a wish for a keyframe */
    SEGMENT_OVERLAP_US = 900000, /* dates may go back by so much (under a second): clocks drift */
    SEGMENT_TARGET_MAX = 3600,   /* seconds */
    SEGMENT_GOP_US = 10000000,   /* the longest wait for a keyframe that is measured */
};

#define SEGMENT_UTC_MIN UINT64_C(1577836800000000)   /* 2020-01-01 */
#define SEGMENT_UTC_END UINT64_C(253402300800000000) /* 10000-01-01: four digits of a year */
#define SEGMENT_ALWAYS  UINT64_MAX                   /* listed for ever: EVENT and VOD playlists */

/* A fragment, as a ring's index or a parsed moof describes it. */
struct segment_frag {
    uint64_t number;    /* one more than that of the fragment before, or some were lost */
    uint64_t dts;       /* ticks */
    uint64_t utc_us;    /* capture time of its first picture, microseconds since 1970, or 0 */
    uint32_t duration;  /* ticks */
    uint32_t timescale; /* ticks a second */
    uint32_t epoch;     /* which init segment it belongs to */
    uint32_t bytes;
    int sync;          /* begins with a keyframe */
    int discontinuity; /* the caller knows of a break in front of it */
};

/* What a playlist says of a segment, and where it lies. */
struct segment {
    uint64_t sequence;        /* media sequence number (RFC 8216 3) */
    uint64_t discontinuities; /* its discontinuity sequence number (6.2.1), its own included */
    uint64_t first, end;      /* fragments first to end - 1 */
    uint64_t duration_us;
    uint64_t utc_us; /* date of its first picture, or 0 */
    uint64_t bytes;
    int64_t keep_until; /* window.h's */
    uint32_t epoch;
    int discontinuity; /* in front of it */
    int independent;   /* begins with a keyframe */
};

struct segmenter {
    uint32_t target_duration; /* seconds, for the playlist; 0: not known before the first segment */
    int want_key;             /* the source should make a keyframe soon; ask as often as suits it */
    int dependent;     /* a segment was not independent: no more EXT-X-INDEPENDENT-SEGMENTS */
    int patient;       /* the caller's to set: below */
    uint64_t left_out; /* fragments in no segment: before a keyframe, or longer than any */
    /* The rest is segment.c's. */
    uint64_t target_us, list_us;
    uint64_t key, gap_us; /* tick of the last keyframe; the longest way from one to the next */
    uint64_t sequence, discontinuities; /* of the next segment; of the last */
    int open, begun, broken;
    struct segment now; /* the open one */
    uint64_t base, start, end,
        dts;         /* ticks: of the timeline, of the segment, of its last picture */
    uint64_t number; /* of the last fragment */
    uint32_t timescale;
    uint64_t date, date_end; /* the last one given, and what players count it on to since */
    uint64_t undated;        /* duration of segments since, microseconds */
};

/* The target duration, in seconds, for segments of target_ms where a keyframe may come up to gop_ms
 * after the target: their sum, rounded up from SEGMENT_SPARE_US on, 1 to SEGMENT_TARGET_MAX. */
uint32_t segment_target_duration(uint32_t target_ms, uint32_t gop_ms);

/* Begins with media sequence number `sequence`, which must be above any that was ever used under
 * the same URL. target_ms: from 1 on. target_duration: from segment_target_duration(), or of the
 * playlist that is being continued, whose promise stays: a target beyond it is cut down to it. 0:
 * what the source does is measured until the first segment ends, and the promise made from that.
 * A first segment that breaks off before the target tells too little of that: the longest GOP is
 * promised then, for ever; or, where `patient` is set, it is left out. Meanwhile a keyframe is
 * wanted SEGMENT_KEY_US after the first one, so that a source that can answer shows it, and need
 * not promise its whole GOP. list_us: the duration of the longest playlist (window_longest()), or
 * SEGMENT_ALWAYS. */
void segmenter_init(struct segmenter *s, uint32_t target_ms, uint32_t target_duration,
                    uint64_t list_us, uint64_t sequence);

/* Goes on behind a segment that another run has listed; to be called for each in turn. What comes
 * next comes behind a discontinuity. `dependent` is the caller's to set: from the playlist. */
void segmenter_continue(struct segmenter *s, const struct segment *listed);

/* Takes one fragment. Returns 1 when a segment ended in front of it, and *done is that segment. */
int segmenter_add(struct segmenter *s, const struct segment_frag *f, struct segment *done);

/* The source has ended or fallen silent: ends the open segment, returns as segmenter_add(). What
 * comes next, if anything, comes behind a discontinuity. */
int segmenter_end(struct segmenter *s, struct segment *done);

#endif
