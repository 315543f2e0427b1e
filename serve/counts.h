/* What a server counts of each camera, for /metrics and /status.json. */
#ifndef SERVE_COUNTS_H
#define SERVE_COUNTS_H

#include <stdint.h>

/* What a viewer is sent. */
enum viewer_kind { VIEW_STREAM, VIEW_RAW, VIEW_STILL, VIEW_KINDS };

/* Why a viewer was let go. */
enum close_reason {
    CLOSE_CLIENT, /* it went, or its network did */
    CLOSE_STUCK,  /* it took nothing for LIMIT_STUCK_MS */
    CLOSE_LAPPED, /* what it was in the middle of has been overwritten */
    CLOSE_RING,   /* there is another ring, or none any more */
    CLOSE_REASONS
};

/* Upper bounds of how late a fragment is when the kernel has taken all of it, microseconds since it
 * was published; and one more for what is later. */
enum { COUNT_DELAYS = 12 };
extern const uint32_t count_delay_us[COUNT_DELAYS];

struct counts {
    uint64_t joins[VIEW_KINDS];
    uint64_t jumps; /* of viewers who were too late, to the newest keyframe */
    uint64_t closes[CLOSE_REASONS];
    uint64_t sent_bytes, playlists, segments;
    uint64_t delays[COUNT_DELAYS + 1]; /* of fragments by how late they were */
    uint64_t delay_us;                 /* all of it */
};

/* Counts a fragment that was so late. */
void count_delay(struct counts *c, int64_t us);

#endif
