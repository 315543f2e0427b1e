/* What fmp4streamer tells a person on standard output. Part of its main program: it prints. */
#ifndef SCRIPTS_SHOW_H
#define SCRIPTS_SHOW_H

#include "scripts/config.h"
#include "scripts/plan.h"

/* Where the cameras can be watched: every address that another machine may know this one by, where
 * the web server listens on all. */
void show_addresses(const struct config *config);

/* The controls of every camera that v4l2cap reads, each device under its section's heading. Returns
 * an exit status. */
int show_controls(const struct config *config);

/* What each service of a running appliance does, and the last lines they have said. dir: the run
 * directory. Returns an exit status. */
int show_status(const char *dir, const struct plan *plan);

#endif
