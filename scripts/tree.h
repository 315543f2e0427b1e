/* The run directory: what s6-svscan reads. It holds data only, so that it may be mounted noexec:
 *
 *   lock                 who runs the appliance; and whether anything of its tree is left
 *   log/NAME             the newest lines of NAME's services
 *   service/NAME/        for each service; NAME/log/ reads what NAME writes
 *       run, finish      symbolic links to the installed scripts
 *       args             the program's arguments, each followed by a NUL
 *       stderr           a fifo: the appliance reads it
 *       notification-fd  where it says that it is ready
 *       timeout-kill     milliseconds from SIGTERM to SIGKILL */
#ifndef SCRIPTS_TREE_H
#define SCRIPTS_TREE_H

#include <limits.h>

#include "scripts/plan.h"

enum { TREE_KILL_MS = 3000 };

struct tree {
    char dir[PATH_MAX / 2];  /* the run directory */
    char data[PATH_MAX / 2]; /* where the installed run and finish are */
    char path[PATH_MAX];     /* what failed */
    unsigned gone;           /* services taken out so far */
};

/* Each returns 0, or -1 with errno and tree->path. */

/* Removes what an earlier run left, and makes service/ and log/ anew. Nothing may run there. */
int tree_clear(struct tree *tree);

/* Lays out one service, complete before it appears under its name. */
int tree_add(struct tree *tree, const struct service *service);

/* Puts another argument list in a service's place; it holds when the service starts next. */
int tree_change(struct tree *tree, const struct service *service);

/* Takes a service, and its log, out of the scan directory. */
int tree_remove(struct tree *tree, const char *name);

/* Removes everything: service/ and log/. */
int tree_end(struct tree *tree);

/* Opens the fifo of a service for reading and writing: it never ends. Returns a descriptor. */
int tree_open_log(struct tree *tree, const char *name);

#endif
