/* The appliance while it runs: lays out its run directory, starts s6-svscan over it, reads what the
 * services say, applies a changed file at SIGHUP, ends at SIGTERM or SIGINT. */
#ifndef SCRIPTS_APPLIANCE_H
#define SCRIPTS_APPLIANCE_H

#include "scripts/config.h"
#include "scripts/plan.h"
#include "scripts/tree.h"

enum { APPLIANCE_STOP_MS = 16000 }; /* after SIGTERM it has ended by then */

/* The services of that configuration in that tree. Returns 0, or -1 with a line on standard error.
 */
int appliance_plan(struct plan *plan, const struct config *config, const struct tree *tree);

/* Runs until told to stop; the run directory must be this process's (instance.h). conf: the file
 * that SIGHUP reads again, NULL for the default. */
void appliance_run(const struct config *config, const struct tree *tree, const char *conf);

#endif
