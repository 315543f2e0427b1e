/* stunnel's configuration file. Pure. */
#ifndef SCRIPTS_TLSCONF_H
#define SCRIPTS_TLSCONF_H

#include <stddef.h>

#include "scripts/config.h"

enum { TLSCONF_BYTES = 8192 }; /* with its NUL */

/* Writes the file for HTTPS in front of fanout's PROXY listener into out[TLSCONF_BYTES]. pair: the
 * file with the certificates and their key. v6: this machine knows IPv6. Returns its length, or 0
 * when it does not fit. */
size_t tlsconf_write(const struct config *config, const char *pair, int v6, char *out);

#endif
