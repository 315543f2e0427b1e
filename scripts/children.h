/* Processes that do not outlive who started them. */
#ifndef SCRIPTS_CHILDREN_H
#define SCRIPTS_CHILDREN_H

#include <sys/types.h>

enum { CHILDREN_NO_PROGRAM = 127 }; /* exit status of one that could not be executed */

/* Starts a program in a session of its own, so that Ctrl-C is not for it; it gets SIGTERM when this
 * process dies. Its standard output goes to standard error, or with `quiet` both to nowhere.
 * Returns its process number, or -1 with errno. argv ends with NULL. */
pid_t children_start(const char *const *argv, int quiet);

/* Kills every child of this process, and, where it is a subreaper, every descendant; returns when
 * there is none. */
void children_kill(void);

#endif
