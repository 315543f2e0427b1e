/* The services an appliance consists of, and what each runs. Pure.
 *
 *   NAME/log    ringput NAME h264fmp4 ...              reads what the next one writes; the
 *   NAME        ondemand NAME v4l2cap -d DEVICE ...    supervisor holds the pipe between them
 *   web         fanout ... NAME ...
 *   tls         stunnel ...                            where there is HTTPS; comes in at fanout -P
 *   rec-NAME    ringcat NAME fmp4hls ...               where the camera is recorded
 *
 * The recorder is one service, not two with the supervisor's pipe between: of a byte stream that is
 * cut anywhere H.264 can be read on, fragmented MP4 can not, so neither half is of use without the
 * other's beginning.
 *
 * Each says on PLAN_READY_FD when it is ready: the supervisor starts one that was ready again at
 * once when it dies, and others only after a second. stunnel and the recorder do not know how to
 * say it, and are taken for ready when they begin. */
#ifndef SCRIPTS_PLAN_H
#define SCRIPTS_PLAN_H

#include "scripts/args.h"
#include "scripts/config.h"

enum {
    PLAN_SERVICES = 3 * CONFIG_CAMERAS + 2,
    PLAN_NAME_MAX = CONFIG_NAME_MAX + 8,
    PLAN_READY_FD = 3,
    PLAN_PORT_OF_ROOT = 1023, /* up to this one, a port takes a privilege */
};

/* Whose user a service runs as when root starts the appliance. */
enum role { ROLE_CAPTURE, ROLE_MUX, ROLE_WEB, ROLE_TLS, ROLE_RECORD, ROLES };

struct service {
    char name[PLAN_NAME_MAX + 1]; /* its directory; NAME/log reads what NAME writes */
    enum role role;
    int binds;        /* a port up to PLAN_PORT_OF_ROOT */
    int starts_ready; /* it does not say itself when it is */
    int logged;       /* another, NAME/log, reads what it writes */
    int talks;        /* what it writes goes where its errors go */
    struct args args;
};

/* Where things are. */
struct plan_places {
    const char *www;   /* the installed page */
    const char *pages; /* pages that are made of the configuration */
    const char *tls;   /* stunnel's configuration file */
};

struct plan {
    size_t count;
    struct service service[PLAN_SERVICES];
};

/* Returns 0, or -1 when an argument list is too long: plan->service[plan->count] is the one. */
int plan_make(struct plan *plan, const struct config *config, const struct plan_places *places);

/* Whether a service need not be started anew to become the other. */
int plan_same(const struct service *a, const struct service *b);

#endif
