/* index.html: a plain page of a recording's days, newest first. */
#ifndef HLS_DAYPAGE_H
#define HLS_DAYPAGE_H

#include <stddef.h>
#include <stdint.h>

#include "hls/days.h"

/* Writes it. Returns 0, or -1 with errno. */
int daypage_write(struct folder *f, struct folder_file *file, const struct days *d);

/* The bytes it has at most. */
uint64_t daypage_size(const struct days *d);

/* Whether a page that begins so is one of ours. */
int daypage_is_ours(const char *text, size_t len);

#endif
