/* Who has a device open: what a user wants to know when it is busy. */
#ifndef CAPTURE_HOLDER_H
#define CAPTURE_HOLDER_H

#include <stddef.h>

enum { HOLDERS_MAX = 4 }; /* named; further ones are not */

/* Writes "motion (pid 123), ffmpeg (pid 77)" of the other processes that have the device file open,
 * as far as /proc lets us see them: root sees all, others their own. Returns how many; with none
 * the text is empty. */
unsigned holder_find(const char *device, char *out, size_t size);

#endif
