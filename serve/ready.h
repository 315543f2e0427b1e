/* Readiness as s6 understands it: a newline on a descriptor that the supervisor has opened. */
#ifndef SERVE_READY_H
#define SERVE_READY_H

/* A descriptor above 2 that is open, as text. Returns 0, or -1. */
int ready_parse(const char *text, int *fd);

/* Says it and closes the descriptor; -1 is nobody to say it to. Returns 0, or -1 with errno. */
int ready_say(int fd);

#endif
