/* How much of a recording is kept: the limit as people write it, and what follows from it for the
 * oldest segments. */
#ifndef HLS_KEEP_H
#define HLS_KEEP_H

#include <stdint.h>

enum {
    KEEP_COUNT_MAX = 1000,  /* segments of a live playlist */
    KEEP_DAYS_MAX = 36500,  /* age */
    KEEP_BATCHES = 64,      /* a playlist is rewritten about so often while it is pruned away */
    KEEP_SEGMENT_MIN = 500, /* -t, milliseconds */
    KEEP_SEGMENT_MAX = 60000,
};

enum keep_kind { KEEP_ALL, KEEP_COUNT, KEEP_AGE, KEEP_BYTES };

struct keep {
    enum keep_kind kind;
    uint64_t limit; /* segments, microseconds, or bytes */
};

/* "6" segments, "90s 30m 24h 7d", "500M 10G 2T" (powers of 1024). Returns 0, or -1 and leaves *k
 * alone. */
int keep_parse(const char *text, struct keep *k);

/* Seconds with up to three decimals, KEEP_SEGMENT_MIN to _MAX. Returns 0, or -1 likewise. */
int keep_parse_segment(const char *text, uint32_t *ms);

/* How many of its segments a playlist loses at a time. Each time it is written anew, so one by one
 * would wear out a card: a day of 6 s is a megabyte. */
uint64_t keep_batch(uint64_t listed);

/* The time that ages are counted from. A clock that nobody has set, and one that is set later, must
 * not make segments old: the date is taken once, when the kernel says its clock is synchronised,
 * and counted on with a steady clock. All zero before the first tick; microseconds. */
struct keep_clock {
    int fixed;
    int64_t steady; /* when the date was taken */
    uint64_t utc;
};
void keep_clock_tick(struct keep_clock *c, int64_t steady, uint64_t utc, int synchronised);

/* Now, as a date; 0 before it is known. */
uint64_t keep_clock_now(const struct keep_clock *c, int64_t steady);

/* Whether what ended at this date is older than the limit. No date (0), or one in the future: no.
 */
int keep_is_over(const struct keep *k, uint64_t end_utc, uint64_t now);

#endif
