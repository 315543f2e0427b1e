/* Processes that do not outlive who started them. */
#ifndef SERVE_CHILDREN_H
#define SERVE_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

enum {
    CHILDREN_NO_PROGRAM = 127, /* exit status of one that could not be executed */
    CHILDREN_KILL_MS = 5000,   /* what a kill does not end by then is stuck in a driver */
    CHILDREN_ORPHANS = 64,
};

/* Starts a program in a session of its own, so that Ctrl-C is not for it; it gets SIGTERM when this
 * process dies. Its standard output goes nowhere, and with `quiet` its standard error, too.
 * Returns its process number, or -1 with errno. argv ends with NULL. */
pid_t children_start(const char *const *argv, int quiet);

/* Runs a program whose output is ours and waits for its end. Returns its exit status, or -1 with
 * errno. Signals that are blocked here are not blocked for it. */
int children_run(const char *const *argv);

/* Kills every child of this process, and, where it is a subreaper, every descendant. Returns 0 when
 * there is none any more, or -1 when some are left after CHILDREN_KILL_MS. */
int children_kill(void);

/* Descendants that lost their parent, as a subreaper's children at the last look. */
struct orphans {
    size_t count;
    pid_t pid[CHILDREN_ORPHANS];
};

/* Kills the children that are not of the `count` in `own`, and were not at the last look either:
 * what this process has just started is not among them. */
void children_kill_orphans(struct orphans *seen, const pid_t *own, size_t count);

#endif
