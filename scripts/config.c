#include "scripts/config.h"

#include <stdio.h>
#include <string.h>

#include "capture/ini.h"
#include "scripts/confkeys.h"

enum {
    DEFAULT_WIDTH = 640,
    DEFAULT_HEIGHT = 480,
    DEFAULT_PORT = 8000,
    DEFAULT_HTTPS_PORT = 8443,
    DEFAULT_PROXY_PORT = 8001,
};

#define DEFAULT_KEEP       "10G"
#define DEFAULT_KEEP_BYTES (UINT64_C(10) << 30)
#define DEFAULT_SEGMENT    "6"

static void begin_camera(struct confreader *r, const char *device, unsigned line)
{
    struct config *c = r->config;
    struct config_camera *camera = &c->camera[c->count++];
    memset(camera, 0, sizeof *camera);
    camera->line = line;
    camera->width = DEFAULT_WIDTH;
    camera->height = DEFAULT_HEIGHT;
    camera->rate = (struct rate){30, 1};
    camera->auto_sleep = 1;
    args_init(&camera->command);
    args_init(&camera->controls);
    snprintf(camera->device, sizeof camera->device, "%s", device);
    r->camera = camera;
    r->section = CONF_CAMERA;
}

/* What can only be said once all of a camera's keys are known. */
static void end_section(struct confreader *r)
{
    unsigned capture = (1u << CONFKEYS_CAPTURE) - 1;
    if (r->section == CONF_CAMERA && r->camera->has_command &&
        ((r->seen & capture) || r->camera->controls.count))
        confkeys_mistake(
            r, r->camera->line,
            "[%s]: width, height, fps and controls are for the command to say, where there is one",
            r->camera->device);
    r->section = CONF_NOWHERE;
    r->seen = 0;
    r->not_yet = 0;
}

/* One of the sections that there is one of. line: where it began, 0: it has not come yet. */
static void begin_single(struct confreader *r, enum confsection which, const char *name,
                         unsigned *line, unsigned here)
{
    if (*line)
        confkeys_mistake(r, here, "[%s]: a second one, the first is in line %u", name, *line);
    else
        *line = here;
    r->section = which;
}

static void section(struct confreader *r, const struct ini_item *item)
{
    struct config *c = r->config;
    char name[CONFIG_TEXT_MAX];
    end_section(r);
    if (item->name_length >= sizeof name) {
        confkeys_mistake(r, item->line, "a section's name of more than %zu bytes", sizeof name - 1);
        return;
    }
    memcpy(name, item->name, item->name_length);
    name[item->name_length] = 0;
    if (strcmp(name, "server") == 0) {
        begin_single(r, CONF_SERVER, name, &r->server_line, item->line);
        return;
    }
    if (strcmp(name, "record") == 0) {
        begin_single(r, CONF_RECORD, name, &c->record.line, item->line);
        return;
    }
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->camera[i].device, name) == 0) {
            confkeys_mistake(r, item->line, "[%s]: a second one, the first is in line %u", name,
                             c->camera[i].line);
            return;
        }
    if (name[0] != '/')
        confkeys_mistake(r, item->line, "[%s]: neither server, record nor the path of a device",
                         name);
    else if (c->count == CONFIG_CAMERAS)
        confkeys_mistake(r, item->line, "[%s]: more than %d cameras", name, CONFIG_CAMERAS);
    else
        begin_camera(r, name, item->line);
}

static void control(struct confreader *r, const char *value)
{
    struct args *controls = &r->camera->controls;
    char *names[ARGS_COUNT + 1];
    size_t n = strlen(r->key);
    args_vector(controls, names);
    for (size_t i = 0; i < controls->count; i++)
        if (strncmp(names[i], r->key, n) == 0 && names[i][n] == '=') {
            confkeys_mistake(r, r->line, "%s: a second one in this section", r->key);
            return;
        }
    args_addf(controls, "%s=%s", r->key, value);
    if (controls->full)
        confkeys_mistake(r, r->line, "%s: too many controls, or too long", r->key);
}

static void key(struct confreader *r, const struct ini_item *item)
{
    char name[CONFIG_TEXT_MAX], value[CONFIG_TEXT_MAX];
    if (ini_key(item, name, sizeof name) >= sizeof name ||
        ini_value(item, value, sizeof value) >= sizeof value) {
        confkeys_mistake(r, item->line, "a key or its value is longer than %zu bytes",
                         sizeof value - 1);
        return;
    }
    r->key = name;
    r->line = item->line;
    if (r->section == CONF_CAMERA) {
        if (!confkeys_camera(r, value))
            control(r, value);
    } else if (r->section != CONF_NOWHERE) {
        int server = r->section == CONF_SERVER;
        if (!(server ? confkeys_server(r, value) : confkeys_record(r, value)))
            confkeys_mistake(r, r->line, "%s: no key of [%s] (fmp4streamer.conf(5) has them all)",
                             name, server ? "server" : "record");
    }
}

/* Names nobody gave, and names two have. */
static void name_cameras(struct confreader *r)
{
    struct config *c = r->config;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->camera[i].name[0])
            snprintf(c->camera[i].name, sizeof c->camera[i].name, "cam%zu", i);
    }
    for (size_t i = 0; i < c->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->camera[i].name, c->camera[j].name) == 0)
                confkeys_mistake(r, c->camera[i].line,
                                 "[%s]: is called %s, as [%s] is: give it another name",
                                 c->camera[i].device, c->camera[i].name, c->camera[j].device);
}

static struct config_camera *find_camera(struct config *c, const char *name, size_t length)
{
    for (size_t i = 0; i < c->count; i++)
        if (strncmp(c->camera[i].name, name, length) == 0 && !c->camera[i].name[length])
            return &c->camera[i];
    return NULL;
}

/* Which cameras are recorded. */
static void choose_recorded(struct confreader *r)
{
    static const char blanks[] = " \t\n";
    struct config *c = r->config;
    const struct config_record *record = &c->record;
    for (size_t i = 0; i < c->count; i++)
        c->camera[i].recorded = record->line && !record->cameras_line;
    for (const char *p = record->cameras; *(p += strspn(p, blanks));) {
        size_t n = strcspn(p, blanks);
        struct config_camera *camera = find_camera(c, p, n);
        if (camera)
            camera->recorded = 1;
        else
            confkeys_mistake(r, record->cameras_line,
                             "cameras: %.*s: no camera is called that (blanks between names)",
                             n > CONFIG_NAME_MAX ? CONFIG_NAME_MAX : (int)n, p);
        p += n;
    }
}

/* The recorder of camera NAME is a service of its own, and all recordings are at one address. */
static void end_record(struct confreader *r)
{
    struct config *c = r->config;
    char name[CONFIG_NAME_MAX + sizeof CONFIG_RECORDER];
    choose_recorded(r);
    for (size_t i = 0; i < c->count; i++) {
        const struct config_camera *camera = &c->camera[i];
        const struct config_camera *other;
        snprintf(name, sizeof name, CONFIG_RECORDER "%s", camera->name);
        other = camera->recorded ? find_camera(c, name, strlen(name)) : NULL;
        if (other)
            confkeys_mistake(r, other->line,
                             "[%s]: is called %s, as the recorder of %s is: give it another name",
                             other->device, name, camera->name);
        if (c->record.line && strcmp(camera->name, CONFIG_RECORDINGS) == 0)
            confkeys_mistake(r, camera->line,
                             "[%s]: is called %s, where recordings are: give it another name",
                             camera->device, camera->name);
    }
}

/* What can only be said once all of [server] is known, and what follows from it. */
static void end_server(struct confreader *r)
{
    struct config *c = r->config;
    if (!*c->keyfile.path != !*c->certfile.path)
        confkeys_mistake(r, r->server_line, "[server]: %s: it takes both, keyfile and certfile",
                         *c->keyfile.path ? "keyfile" : "certfile");
    if (*c->certfile.path && !c->https_port)
        c->https_port = DEFAULT_HTTPS_PORT;
    if (c->https_port && !c->proxy_port)
        c->proxy_port = DEFAULT_PROXY_PORT;
    if (c->redirect && !c->https_port)
        confkeys_mistake(r, r->server_line,
                         "[server]: redirect: to HTTPS, and there is none: "
                         "give https_port, too");
    if (c->https_port == c->port)
        confkeys_mistake(r, r->server_line, "[server]: port and https_port: both are %u", c->port);
    if (c->proxy_port == c->port || (c->proxy_port && c->proxy_port == c->https_port))
        confkeys_mistake(r, r->server_line,
                         "[server]: proxy_port: %u is taken by another port here", c->proxy_port);
}

static void start(struct confreader *r, struct config *config, struct config_mistakes *mistakes)
{
    memset(r, 0, sizeof *r);
    r->config = config;
    r->mistakes = mistakes;
    mistakes->count = 0;
    config->listen[0] = 0;
    config->keyfile = config->certfile = config->users = config->www = (struct config_path){0};
    config->listen_line = config->port_line = config->https_line = config->priority_line = 0;
    config->port = DEFAULT_PORT;
    config->https_port = config->proxy_port = 0;
    config->max_viewers = config->max_per_address = 0;
    config->priority = config->redirect = config->log = 0;
    config->record = (struct config_record){
        .keep = DEFAULT_KEEP, .keep_bytes = DEFAULT_KEEP_BYTES, .segment = DEFAULT_SEGMENT};
    config->count = 0;
}

/* A camera's name is known only at the end: its mistakes come in the order of lines all the same.
 */
static void sort_mistakes(struct config_mistakes *m)
{
    size_t n = m->count < CONFIG_MISTAKES ? m->count : CONFIG_MISTAKES;
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && m->list[j].line < m->list[j - 1].line; j--) {
            struct config_mistake other = m->list[j];
            m->list[j] = m->list[j - 1];
            m->list[j - 1] = other;
        }
}

int config_read(struct config *config, const char *text, size_t length,
                struct config_mistakes *mistakes)
{
    struct confreader r;
    struct ini ini;
    struct ini_item item;
    start(&r, config, mistakes);
    ini_init(&ini, text, length);
    for (;;) {
        enum ini_kind kind = ini_next(&ini, &item);
        if (kind == INI_END)
            break;
        if (kind == INI_BAD)
            confkeys_mistake(&r, item.line, "%s", item.why);
        else if (kind == INI_SECTION)
            section(&r, &item);
        else
            key(&r, &item);
    }
    end_section(&r);
    if (config->count == 0)
        begin_camera(&r, "/dev/video0", 0);
    end_server(&r);
    name_cameras(&r);
    end_record(&r);
    sort_mistakes(mistakes);
    return mistakes->count ? -1 : 0;
}

void config_default(struct config *config)
{
    struct config_mistakes none;
    config_read(config, "", 0, &none);
}
