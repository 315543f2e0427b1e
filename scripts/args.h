/* An argument list as data: strings one after the other, each with its NUL, as in a service's
 * `args` file and in /proc/PID/cmdline. Nothing in it is ever seen by a shell. */
#ifndef SCRIPTS_ARGS_H
#define SCRIPTS_ARGS_H

#include <stddef.h>

enum { ARGS_BYTES = 16384, ARGS_COUNT = 256 };

struct args {
    char text[ARGS_BYTES];
    size_t used;
    size_t count;
    int full; /* something did not fit: the list is of no use */
};

void args_init(struct args *args);

/* Appends one string of `length` bytes. One that holds a NUL makes the list full: it can't be an
 * argument. */
void args_add_bytes(struct args *args, const char *string, size_t length);
void args_add(struct args *args, const char *string);

/* printf of one argument, of at most ARGS_BYTES. */
void args_addf(struct args *args, const char *format, ...);

/* Appends the words of a command line: blanks and newlines separate them; '...' and "..." hold
 * words together, and a backslash outside '...' takes the next character as it is. Nothing is
 * expanded. Returns 0, or -1 when a quote is not closed or a backslash ends the line. */
int args_split(struct args *args, const char *line);

/* Puts pointers to the strings, and a NULL after the last, into argv, which has room for
 * ARGS_COUNT + 1. They point into args. */
void args_vector(struct args *args, char **argv);

/* Whether both hold the same strings. */
int args_equal(const struct args *a, const struct args *b);

#endif
