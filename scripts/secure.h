/* HTTPS: stunnel's configuration, and the certificate with its key, where stunnel reads them. */
#ifndef SCRIPTS_SECURE_H
#define SCRIPTS_SECURE_H

#include "scripts/config.h"
#include "scripts/tree.h"

/* Puts both into the tree, where the configuration has HTTPS: the files it names, or a self-signed
 * certificate that is made once and kept. What does not fit is said in one line on standard error,
 * and leaves there what was there before. Returns 1 when anything there is other than before. */
int secure_install(const struct config *config, struct tree *tree);

/* Looks whether the files that the configuration names are a pair. Returns 0, or -1 with a line on
 * standard error. */
int secure_check(const struct config *config, const struct tree *tree);

#endif
