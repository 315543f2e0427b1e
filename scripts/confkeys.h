/* The keys of the INI file, and what may stand behind them. Pure; the parts of config.c that grow.
 */
#ifndef SCRIPTS_CONFKEYS_H
#define SCRIPTS_CONFKEYS_H

#include "scripts/config.h"

enum confsection { CONF_NOWHERE, CONF_SERVER, CONF_CAMERA, CONF_RECORD };

/* Keys that are said to the capture program, and so are for a command to say: the first ones of a
 * camera. */
enum { CONFKEYS_CAPTURE = 3 };

struct confreader {
    struct config *config;
    struct config_mistakes *mistakes;
    enum confsection section;
    struct config_camera *camera;
    unsigned line;
    unsigned seen;        /* bit n: key n of this section's table was there */
    unsigned server_line; /* 0: it has not come yet */
    int not_yet;          /* this section asks for what is not there */
    const char *key;      /* for messages */
};

/* Notes a mistake in that line. */
void confkeys_mistake(struct confreader *r, unsigned line, const char *format, ...);

/* Sets what r->key of a section of that kind says, or notes why it does not. Each returns 0 when
 * there is no such key. */
int confkeys_server(struct confreader *r, const char *value);
int confkeys_camera(struct confreader *r, const char *value);
int confkeys_record(struct confreader *r, const char *value);

#endif
