/* The page of several cameras. Pure. */
#ifndef SCRIPTS_PAGE_H
#define SCRIPTS_PAGE_H

#include <stddef.h>

#include "scripts/config.h"

enum {
    PAGE_BYTES = 8192, /* enough for CONFIG_CAMERAS, with its NUL */
    /* A browser opens six connections to a server, and each live picture holds one: what the page
     * shows beyond these are stills, so that its links still work. */
    PAGE_LIVE = 5,
};

/* Writes the page into out[PAGE_BYTES]; each picture leads to its camera's own page, in NAME/. The
 * names need no escaping: see ringfile_name_ok(). Returns the page's length. */
size_t page_write(const struct config *config, char *out);

#endif
