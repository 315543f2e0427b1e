/* The configuration's file. Part of fmp4streamer's main program: it says every mistake on standard
 * error, and ends the program where the file cannot be read. */
#ifndef SCRIPTS_CONFFILE_H
#define SCRIPTS_CONFFILE_H

#include "scripts/config.h"

/* Reads the file that is given, or with NULL the one that is there by default, or none. Returns 0,
 * or -1 when there are mistakes. */
int conffile_read(struct config *config, const char *given);

/* A command that is nowhere on the PATH is a mistake, too, but one that the file's other services
 * need not suffer from: it is looked for only on request. Returns whether one is missing. */
int conffile_find_commands(const struct config *config, const char *given);

#endif
