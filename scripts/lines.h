/* Cuts what a service says on standard error into lines for a log. Pure. */
#ifndef SCRIPTS_LINES_H
#define SCRIPTS_LINES_H

#include <stddef.h>

enum { LINES_MAX = 1000 }; /* bytes of a line; what is longer is cut */

struct lines {
    char text[LINES_MAX + 1];
    size_t used;
};

/* Takes bytes from *bytes on, *length of them, and moves both. Returns a line without its newline,
 * valid until the next call, or NULL when it is not complete yet and all bytes are taken. Control
 * characters come as '?': a log is read on terminals. An empty line is none. */
const char *lines_next(struct lines *lines, const char **bytes, size_t *length);

#endif
