/* What fmp4streamer tells a person on standard output. Part of its main program: it prints. */
#ifndef SCRIPTS_SHOW_H
#define SCRIPTS_SHOW_H

#include "scripts/config.h"

/* Where the cameras can be watched: every address that another machine may know this one by, where
 * the web server listens on all. */
void show_addresses(const struct config *config);

/* The controls of every camera that v4l2cap reads, each device under its section's heading. Returns
 * an exit status. */
int show_controls(const struct config *config);

#endif
