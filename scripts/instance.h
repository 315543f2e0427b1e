/* One appliance for a run directory: two locks on its file `lock`. The first, which is not
 * inherited, says who runs the appliance. The second is inherited by every supervisor: it is free
 * only when nothing of an earlier tree is left. */
#ifndef SCRIPTS_INSTANCE_H
#define SCRIPTS_INSTANCE_H

#include <sys/types.h>

enum { INSTANCE_WAIT_MS = 10000 }; /* for the rest of an earlier run to end */

/* Takes both, and writes conf, the path of the configuration, into the file; for as long as this
 * process lives; the file must not be opened again by it. Returns 0, or -1 with errno: EBUSY when
 * *other runs already, ETIMEDOUT when an earlier run does not end.
 */
int instance_take(const char *run, const char *conf, pid_t *other);

/* The file that the running one has read, into path of PATH_MAX bytes. Returns 0, or -1. */
int instance_conf(const char *run, char *path);

/* Whether conf is what `other`, which runs, has read: 1, 0 or -1; path as above. One that has only
 * just taken the locks has not said yet what it reads: it is given half a second. */
int instance_conf_is(const char *run, pid_t other, const char *conf, char *path);

/* Another process that runs the appliance, or 0; -1: one that has no number here, as it is of
 * another name space of processes. */
pid_t instance_running(const char *run);

#endif
