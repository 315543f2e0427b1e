/* What fanout is told on its command line: half of its main program, so what is wrong is said on
 * standard error and ends it. */
#ifndef SERVE_OPTIONS_H
#define SERVE_OPTIONS_H

#include "serve/server.h"

struct options {
    const char *users; /* NULL: everybody may look */
    int ready;         /* descriptor to say readiness on, or -1 */
    int log;           /* an access log is wanted */
};

/* Fills in what the server is told: listeners, which are open then, directories and limits. The
 * names of rings are at argv + optind. */
void options_read(struct server *s, struct options *o, int argc, char **argv);

#endif
