/* The names of what a recording consists of:
 *
 *   seg-N.m4s       the segment of media sequence number N
 *   init-E.mp4      the init segment of epoch E
 *   live.m3u8       the newest segments
 *   stream.m3u8     the master playlist over that
 *   2026-11-25.m3u8 the segments that were begun on that day (UTC); 2026-11-25-2.m3u8 is the second
 *                   such list, where the first could not be continued
 *   undated.m3u8    those from before a date was known
 *   index.html      a page of the days
 *
 * and any of them with .tmp behind it, while it is being written. */
#ifndef HLS_NAMES_H
#define HLS_NAMES_H

#include <stdint.h>

enum { NAME_LENGTH = 40 }; /* of the longest, and some */

enum name_kind {
    NAME_OTHER, /* none of ours */
    NAME_SEGMENT,
    NAME_INIT,
    NAME_DAY,
    NAME_LIVE,
    NAME_MASTER,
    NAME_PAGE,
};

struct name {
    enum name_kind kind;
    int temporary;
    uint64_t number; /* NAME_SEGMENT: media sequence number; NAME_INIT: epoch */
    uint32_t day;    /* NAME_DAY: since 1970, or 0: undated */
    uint32_t part;   /* NAME_DAY: from 1 on */
};

#define NAME_DAY_US UINT64_C(86400000000) /* microseconds */

/* Exactly what name_write() would write, or NAME_OTHER. */
struct name name_parse(const char *text);

/* Any but NAME_OTHER, and a zero. */
void name_write(char out[NAME_LENGTH + 1], const struct name *n);

/* How a day is called: its name without .m3u8. */
void name_write_day(char out[NAME_LENGTH + 1], uint32_t day, uint32_t part);

#endif
