/* The services an appliance consists of, and what each runs. Pure.
 *
 *   NAME/log    ringput NAME h264fmp4 ...              reads what the next one writes; the
 *   NAME        ondemand NAME v4l2cap -d DEVICE ...    supervisor holds the pipe between them
 *   web         fanout ... NAME ...
 *
 * Each says on PLAN_READY_FD when it is ready: the supervisor starts one that was ready again at
 * once when it dies, and others only after a second. */
#ifndef SCRIPTS_PLAN_H
#define SCRIPTS_PLAN_H

#include "scripts/args.h"
#include "scripts/config.h"

enum {
    PLAN_SERVICES = 2 * CONFIG_CAMERAS + 1,
    PLAN_NAME_MAX = CONFIG_NAME_MAX + 8,
    PLAN_READY_FD = 3,
};

struct service {
    char name[PLAN_NAME_MAX + 1]; /* its directory; NAME/log reads what NAME writes */
    struct args args;
};

struct plan {
    size_t count;
    struct service service[PLAN_SERVICES];
};

/* www: the directory of static files. Returns 0, or -1 when an argument list is too long: plan->
 * service[plan->count] is the one. */
int plan_make(struct plan *plan, const struct config *config, const char *www);

#endif
