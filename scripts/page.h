/* Pages that follow from the configuration. Pure. */
#ifndef SCRIPTS_PAGE_H
#define SCRIPTS_PAGE_H

#include <stddef.h>

#include "scripts/config.h"

enum {
    PAGE_BYTES = 16384, /* enough for CONFIG_CAMERAS, with its NUL, or for a camera's page */
    /* A browser opens six connections to a server, and each live picture holds one: what the page
     * shows beyond these are stills, so that its links still work. */
    PAGE_LIVE = 5,
    PAGE_HREF_MAX = CONFIG_NAME_MAX + 32, /* bytes of a link to a camera's recordings */
};

/* Writes the page into out[PAGE_BYTES]; each picture leads to its camera's own page, in NAME/. The
 * names need no escaping: see ringfile_name_ok(). Returns the page's length. */
size_t page_write(const struct config *config, char *out);

/* Writes the page of all recordings, which lead to NAME/ each. */
size_t page_recordings(const struct config *config, char *out);

/* Writes a camera's page of page[0, length) with a link to its recordings, `href`, as the first in
 * its <nav>: as it is where it has none. Returns its length, or 0 when it does not fit. */
size_t page_camera(const char *page, size_t length, const char *href, char *out);

#endif
