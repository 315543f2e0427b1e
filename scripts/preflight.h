/* What of a configuration cannot work on this machine as it is now. */
#ifndef SCRIPTS_PREFLIGHT_H
#define SCRIPTS_PREFLIGHT_H

#include "scripts/config.h"
#include "scripts/tree.h"

/* What is looked at besides: */
enum {
    PREFLIGHT_ROOM = 1,        /* not where one runs already, which has it */
    PREFLIGHT_CERTIFICATE = 2, /* not where secure_install() will */
};

/* Says each such thing in one line on standard error. given: the configuration's file as the
 * command line names it, or NULL. Returns EXIT_CLEAN; EXIT_AGAIN where time may mend all of it (a
 * camera that is not plugged in, a port in use); EXIT_USAGE where somebody has to. */
int preflight_say(const struct config *config, const char *given, const struct tree *tree,
                  int besides);

#endif
