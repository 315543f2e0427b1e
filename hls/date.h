/* Dates as playlists have them: ISO 8601, UTC, to the millisecond (RFC 8216 4.3.2.6). */
#ifndef HLS_DATE_H
#define HLS_DATE_H

#include <stdint.h>

enum { DATE_LENGTH = 24 }; /* of 2026-11-22T10:11:12.345Z */

/* Writes the date and a zero. us: microseconds since 1970, before the year 10000; what is less than
 * a millisecond is cut off. */
void date_write(char out[DATE_LENGTH + 1], uint64_t us);

/* The same backwards, of DATE_LENGTH characters at p. Only what date_write() writes has a meaning:
 * of anything else some number comes out. */
uint64_t date_read(const char *p);

#endif
