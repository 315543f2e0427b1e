/* The configuration's file. Part of fmp4streamer's main program: it says every mistake on standard
 * error. */
#ifndef SCRIPTS_CONFFILE_H
#define SCRIPTS_CONFFILE_H

#include "scripts/config.h"

/* Reads the file that is given, or with NULL the one that is there by default, or none. Returns 0,
 * or -1 when there are mistakes, or it cannot be read. */
int conffile_read(struct config *config, const char *given);

/* The name that messages have for it. */
const char *conffile_name(const char *given);

/* The whole path of it, or its name where it is not there; valid until the next call. */
const char *conffile_path(const char *given);

#endif
