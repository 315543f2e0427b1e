/* The directories that recordings lie in. */
#ifndef SCRIPTS_RECORDINGS_H
#define SCRIPTS_RECORDINGS_H

#include <limits.h>

#include "scripts/config.h"
#include "scripts/roles.h"

/* Makes the directory of that camera's recordings, and those above it, where they are missing: the
 * recorder writes it, and its group, which is the web server's too, may read it. What root has
 * recorded there before these users existed goes to the recorder. Returns 0, or -1 with errno and
 * path, what failed; EPERM: it is somebody else's. */
int recordings_make(const struct config_record *record, const char *camera,
                    const struct roles *roles, char path[PATH_MAX]);

#endif
