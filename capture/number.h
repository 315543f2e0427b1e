/* Numbers as people write them in options: digits only, all of the text, in range. */
#ifndef CAPTURE_NUMBER_H
#define CAPTURE_NUMBER_H

#include <stdint.h>

/* Reads the digits at p. Returns what follows them, or a null pointer when there are none or they
 * do not fit 64 bits. */
const char *number_digits(const char *p, uint64_t *value);

/* Each returns 0, or -1 and leaves the result alone: for an empty text, a sign, a space, anything
 * after the number, overflow, or a value outside min to max. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* "2" or "0.5": seconds, into milliseconds, of which min_ms to max_ms are taken; at most three
 * digits behind the point. */
int number_parse_seconds(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ms);

/* "640x480", each side 1 to max. */
int number_parse_size(const char *text, unsigned max, unsigned *width, unsigned *height);

#endif
