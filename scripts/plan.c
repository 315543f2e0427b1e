#include "scripts/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct service *next(struct plan *plan, const char *name, const char *rest, enum role role)
{
    struct service *s = &plan->service[plan->count];
    snprintf(s->name, sizeof s->name, "%s%s", name, rest);
    s->role = role;
    s->binds = s->starts_ready = s->logged = s->talks = 0;
    args_init(&s->args);
    return s;
}

/* The next service's argument list, as far as those of our own tools are alike. */
static struct args *begin(struct plan *plan, const char *camera, const char *suffix, enum role role,
                          const char *tool)
{
    struct service *s = next(plan, camera, suffix, role);
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
    struct args *args = begin(plan, c->name, "", ROLE_CAPTURE, "ondemand");
    plan->service[plan->count].logged = 1;
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
    struct args *args = begin(plan, c->name, "/log", ROLE_MUX, "ringput");
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

static void add_number(struct args *args, const char *option, unsigned number)
{
    if (!number)
        return;
    args_add(args, option);
    args_addf(args, "%u", number);
}

static void add_text(struct args *args, const char *option, const char *text)
{
    if (!*text)
        return;
    args_add(args, option);
    args_add(args, text);
}

/* An address with colons is IPv6, and goes in brackets. */
static void add_listen(struct args *args, const char *listen, unsigned port)
{
    args_add(args, "-l");
    if (!*listen)
        args_addf(args, "%u", port);
    else if (strchr(listen, ':'))
        args_addf(args, "[%s]:%u", listen, port);
    else
        args_addf(args, "%s:%u", listen, port);
}

static int plan_web(struct plan *plan, const struct config *c, const struct plan_places *places)
{
    struct args *args = begin(plan, "web", "", ROLE_WEB, "fanout");
    plan->service[plan->count].binds = c->port <= PLAN_PORT_OF_ROOT;
    plan->service[plan->count].talks = 1;
    add_listen(args, c->listen, c->port);
    add_number(args, "-P", c->proxy_port);
    add_number(args, "-r", c->redirect ? c->https_port : 0);
    add_text(args, "-w", c->www.path);
    add_text(args, "-w", places->pages);
    add_text(args, "-w", places->www);
    add_text(args, "-u", c->users.path);
    add_number(args, "-a", c->max_per_address);
    add_number(args, "-m", c->max_viewers);
    if (c->log)
        args_add(args, "-L");
    for (size_t i = 0; i < c->count; i++)
        args_add(args, c->camera[i].name);
    return done(plan);
}

/* Debian's stunnel maps and unmaps a buffer for every record unless its allocator is told not to,
 * which costs as much again as the encryption. */
static int plan_tls(struct plan *plan, const struct config *c, const struct plan_places *places)
{
    struct service *s = next(plan, "tls", "", ROLE_TLS);
    s->binds = c->https_port <= PLAN_PORT_OF_ROOT;
    s->starts_ready = 1;
    args_add(&s->args, "env");
    args_add(&s->args, "GLIBC_TUNABLES=glibc.malloc.mmap_max=0");
    args_add(&s->args, "stunnel");
    args_add(&s->args, places->tls);
    return done(plan);
}

static int plan_recorder(struct plan *plan, const struct config_camera *c,
                         const struct config_record *record)
{
    struct service *s = next(plan, CONFIG_RECORDER, c->name, ROLE_RECORD);
    s->starts_ready = 1;
    args_add(&s->args, "ringcat");
    args_add(&s->args, c->name);
    args_add(&s->args, "fmp4hls");
    args_add(&s->args, "-d");
    args_addf(&s->args, "%s/%s", record->dir.path, c->name);
    add_text(&s->args, "-t", record->segment);
    add_text(&s->args, "-k", record->keep);
    return done(plan);
}

int plan_make(struct plan *plan, const struct config *config, const struct plan_places *places)
{
    plan->count = 0;
    for (size_t i = 0; i < config->count; i++)
        if (plan_stage(plan, &config->camera[i]) < 0 || plan_source(plan, &config->camera[i]) < 0)
            return -1;
    if (plan_web(plan, config, places) < 0)
        return -1;
    for (size_t i = 0; i < config->count; i++)
        if (config->camera[i].recorded &&
            plan_recorder(plan, &config->camera[i], &config->record) < 0)
            return -1;
    return config->https_port ? plan_tls(plan, config, places) : 0;
}

int plan_same(const struct service *a, const struct service *b)
{
    return a->role == b->role && a->binds == b->binds && a->starts_ready == b->starts_ready &&
           args_equal(&a->args, &b->args);
}
