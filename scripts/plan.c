#include "scripts/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The next service's argument list, as far as all are alike. */
static struct args *begin(struct plan *plan, const char *camera, const char *suffix,
                          const char *tool)
{
    struct service *s = &plan->service[plan->count];
    snprintf(s->name, sizeof s->name, "%s%s", camera, suffix);
    args_init(&s->args);
    args_add(&s->args, tool);
    args_add(&s->args, "-d");
    args_addf(&s->args, "%d", PLAN_READY_FD);
    return &s->args;
}

static int done(struct plan *plan)
{
    if (plan->service[plan->count].args.full)
        return -1;
    plan->count++;
    return 0;
}

static void add_all(struct args *to, const struct args *from, const char *option)
{
    const char *p = from->text;
    for (size_t i = 0; i < from->count; i++) {
        if (option)
            args_add(to, option);
        args_add(to, p);
        p += strlen(p) + 1;
    }
    if (from->full)
        to->full = 1;
}

/* A camera that may not sleep is under it all the same: keyframes are asked for through it. */
static int plan_source(struct plan *plan, const struct config_camera *c)
{
    struct args *args = begin(plan, c->name, "", "ondemand");
    if (!c->auto_sleep)
        args_add(args, "-a");
    args_add(args, c->name);
    if (c->has_command) {
        add_all(args, &c->command, NULL);
        return done(plan);
    }
    args_add(args, "v4l2cap");
    args_add(args, "-d");
    args_add(args, c->device);
    args_add(args, "-s");
    args_addf(args, "%ux%u", c->width, c->height);
    args_add(args, "-r");
    args_addf(args, "%" PRIu32 "/%" PRIu32, c->rate.num, c->rate.den);
    add_all(args, &c->controls, "-c");
    return done(plan);
}

static int plan_stage(struct plan *plan, const struct config_camera *c)
{
    struct args *args = begin(plan, c->name, "/log", "ringput");
    args_add(args, c->name);
    args_add(args, "h264fmp4");
    args_add(args, "-g");
    args_add(args, "au");
    if (c->rotation) {
        args_add(args, "-R");
        args_addf(args, "%u", c->rotation);
    }
    return done(plan);
}

/* An address with colons is IPv6, and goes in brackets. */
static int plan_web(struct plan *plan, const struct config *config, const char *www)
{
    struct args *args = begin(plan, "web", "", "fanout");
    const char *listen = config->listen;
    args_add(args, "-l");
    if (!*listen)
        args_addf(args, "%u", config->port);
    else if (strchr(listen, ':'))
        args_addf(args, "[%s]:%u", listen, config->port);
    else
        args_addf(args, "%s:%u", listen, config->port);
    args_add(args, "-w");
    args_add(args, www);
    for (size_t i = 0; i < config->count; i++)
        args_add(args, config->camera[i].name);
    return done(plan);
}

int plan_make(struct plan *plan, const struct config *config, const char *www)
{
    plan->count = 0;
    for (size_t i = 0; i < config->count; i++)
        if (plan_stage(plan, &config->camera[i]) < 0 || plan_source(plan, &config->camera[i]) < 0)
            return -1;
    return plan_web(plan, config, www);
}
