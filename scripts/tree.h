/* The run directory: what s6-svscan reads. It holds data only, so that it may be mounted noexec:
 *
 *   lock                 who runs the appliance; and whether anything of its tree is left
 *   log/NAME             the newest lines of NAME's services
 *   service/NAME/        for each service; NAME/log/ reads what NAME writes
 *       run, finish      symbolic links to the installed scripts
 *       args             the program's arguments, each followed by a NUL
 *       stderr           a fifo: the appliance reads it
 *       notification-fd  where it says that it is ready
 *       starts-ready     is there where it cannot
 *       talks            is there where what it writes is for the log as well
 *       become           whose user it runs as, where root started this: see roles.h
 *       timeout-kill     milliseconds from SIGTERM to SIGKILL
 *   tls/                 stunnel's: its configuration, and the certificate with its key
 *   www/                 pages that follow from the configuration
 *   www/recordings/NAME  symbolic links to the recordings */
#ifndef SCRIPTS_TREE_H
#define SCRIPTS_TREE_H

#include <limits.h>

#include "scripts/plan.h"
#include "scripts/roles.h"

enum { TREE_KILL_MS = 3000 };

struct tree {
    char dir[PATH_MAX / 2];  /* the run directory */
    char data[PATH_MAX / 2]; /* where the installed run and finish are */
    char path[PATH_MAX];     /* what failed */
    const struct roles *roles;
    unsigned gone; /* services taken out so far */
};

/* Each returns 0, or -1 with errno and tree->path. */

/* Removes what an earlier run left, and makes all directories anew. Nothing may run there. */
int tree_clear(struct tree *tree);

/* Lays out one service, complete before it appears under its name. */
int tree_add(struct tree *tree, const struct service *service);

/* Puts a changed service in the place of the one of its name; it holds when that starts next. */
int tree_change(struct tree *tree, const struct service *service);

/* Takes a service, and its log, out of the scan directory. */
int tree_remove(struct tree *tree, const char *name);

/* Writes tls/stunnel.conf. Returns 1 when it is another than before, else 0. */
int tree_tls(struct tree *tree, const char *text, size_t length);

/* Makes www/: a page of its own for each camera, which is the installed one, where there are
 * several the page of all, and where something is recorded the page of that. */
int tree_pages(struct tree *tree, const struct config *config);

/* Removes everything but the lock. */
int tree_end(struct tree *tree);

/* Opens the fifo of a service for reading and writing: it never ends. Returns a descriptor. */
int tree_open_log(struct tree *tree, const char *name);

#endif
