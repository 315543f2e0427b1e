#include "scripts/config.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capture/ini.h"
#include "capture/number.h"
#include "serve/ringfile.h"

enum {
    DEFAULT_WIDTH = 640,
    DEFAULT_HEIGHT = 480,
    DEFAULT_PORT = 8000,
    PRIORITY_MAX = 19,
    PRIORITY_MIN = -20,
    SHOWN_MAX = 60, /* bytes of a value in a message */
};

enum section { NOWHERE, SERVER, CAMERA };

struct reader {
    struct config *config;
    struct config_mistakes *mistakes;
    enum section section;
    struct config_camera *camera;
    unsigned line;
    unsigned seen; /* bit n: key n of this section's table was there */
    int server_seen;
    const char *key; /* for messages */
};

static void mistake(struct reader *r, unsigned line, const char *format, ...)
{
    size_t n = r->mistakes->count++;
    va_list list;
    if (n >= CONFIG_MISTAKES)
        return;
    r->mistakes->list[n].line = line;
    va_start(list, format);
    vsnprintf(r->mistakes->list[n].text, sizeof r->mistakes->list[n].text, format, list);
    va_end(list);
}

/* A value in a message: one line of what can be read, and not all of a long one. */
static const char *shown(const char *value, char *out)
{
    size_t n = 0;
    for (; value[n] && n < SHOWN_MAX; n++)
        out[n] = (unsigned char)value[n] < ' ' || value[n] == 127 ? '?' : value[n];
    snprintf(out + n, 4, "%s", value[n] ? "..." : "");
    return out;
}

static void wrong(struct reader *r, const char *value, const char *want)
{
    char text[SHOWN_MAX + 4];
    mistake(r, r->line, "%s = %s: %s", r->key, shown(value, text), want);
}

static void set_side(struct reader *r, const char *value, unsigned *side)
{
    uint64_t n;
    if (number_parse(value, 1, CONFIG_SIDE_MAX, &n) < 0)
        wrong(r, value, "not a number of pixels, 1 to 16384");
    else
        *side = (unsigned)n;
}

static void set_width(struct reader *r, const char *value)
{
    set_side(r, value, &r->camera->width);
}

static void set_height(struct reader *r, const char *value)
{
    set_side(r, value, &r->camera->height);
}

static void set_fps(struct reader *r, const char *value)
{
    if (rate_parse(value, &r->camera->rate) < 0)
        wrong(r, value, "not a frame rate, such as 30, 29.97 or 30000/1001, of at most 240");
}

static void set_rotation(struct reader *r, const char *value)
{
    uint64_t n;
    if (number_parse(value, 0, 270, &n) < 0 || n % 90)
        wrong(r, value, "not 0, 90, 180 or 270");
    else
        r->camera->rotation = (unsigned)n;
}

/* The words configparser's getboolean knows, in any case. */
static int boolean(const char *value)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    char lower[8];
    size_t n = strlen(value);
    if (n >= sizeof lower)
        return -1;
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] - 'A' + 'a' : value[i]);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(lower, words[i]) == 0)
            return (int)(i % 2);
    return -1;
}

static void set_auto_sleep(struct reader *r, const char *value)
{
    int yes = boolean(value);
    if (yes < 0)
        wrong(r, value, "not yes or no");
    else
        r->camera->auto_sleep = yes;
}

/* A camera's name is its ring's, a service's and an argument: no other service's, and no option. */
static void set_name(struct reader *r, const char *value)
{
    static const char *const taken[] = {"web", "tls"};
    if (!ringfile_name_ok(value) || value[0] == '-') {
        wrong(r, value, "not 1 to 32 letters, digits, _ or -, the first no -");
        return;
    }
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(value, taken[i]) == 0) {
            wrong(r, value, "the name of another service: choose another");
            return;
        }
    snprintf(r->camera->name, sizeof r->camera->name, "%s", value);
}

static void set_command(struct reader *r, const char *value)
{
    struct args *command = &r->camera->command;
    r->camera->has_command = 1;
    if (args_split(command, value) < 0)
        wrong(r, value, "a quote is not closed, or a backslash is the last character");
    else if (command->full)
        wrong(r, value, "too long");
    else if (command->count == 0)
        wrong(r, value, "empty");
}

static void set_format(struct reader *r, const char *value)
{
    if (strcmp(value, "H264") != 0)
        wrong(r, value, "not there yet: only H264, from a camera that makes it itself");
}

static void not_yet(struct reader *r, const char *value)
{
    (void)value;
    mistake(r, r->line, "%s: not there yet: only cameras that make H.264 themselves", r->key);
}

static void set_listen(struct reader *r, const char *value)
{
    struct config *c = r->config;
    struct in6_addr address;
    size_t n = strlen(value);
    char bare[sizeof c->listen];
    int brackets = n > 1 && value[0] == '[' && value[n - 1] == ']';
    if (n >= sizeof c->listen) {
        wrong(r, value, "too long");
        return;
    }
    snprintf(bare, sizeof bare, "%.*s", (int)n - 2 * brackets, value + brackets);
    if (n && inet_pton(AF_INET6, bare, &address) != 1 &&
        (brackets || inet_pton(AF_INET, bare, &address) != 1))
        wrong(r, value, "not an address in numbers, such as 127.0.0.1 or ::1; empty is all");
    else
        snprintf(c->listen, sizeof c->listen, "%s", bare);
}

static void set_port(struct reader *r, const char *value)
{
    uint64_t n;
    if (number_parse(value, 1, 65535, &n) < 0)
        wrong(r, value, "not a port, 1 to 65535");
    else
        r->config->port = (unsigned)n;
}

static void set_priority(struct reader *r, const char *value)
{
    uint64_t n;
    int minus = value[0] == '-';
    if (number_parse(value + minus, 0, minus ? -PRIORITY_MIN : PRIORITY_MAX, &n) < 0)
        wrong(r, value, "not a nice value, -20 (first) to 19 (last)");
    else
        r->config->priority = minus ? -(int)n : (int)n;
}

struct key {
    const char *name;
    void (*set)(struct reader *r, const char *value);
};

static const struct key server_keys[] = {
    {"listen", set_listen},
    {"port", set_port},
    {"priority", set_priority},
};

/* Those before `name` are said to the capture program, and are for the command to say instead. */
static const struct key camera_keys[] = {
    {"width", set_width},
    {"height", set_height},
    {"fps", set_fps},
    {"name", set_name},
    {"command", set_command},
    {"rotation", set_rotation},
    {"auto_sleep", set_auto_sleep},
    {"capture_format", set_format},
    {"decoder", not_yet},
    {"encoder", not_yet},
    {"capture_memory", not_yet},
    {"decoder_memory", not_yet},
    {"encoder_memory", not_yet},
    {"decoder_input_format", not_yet},
    {"encoder_input_format", not_yet},
};

enum { CAPTURE_KEYS = 3 };

static void begin_camera(struct reader *r, const char *device, unsigned line)
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
    r->section = CAMERA;
}

/* What can only be said once all of a camera's keys are known. */
static void end_section(struct reader *r)
{
    unsigned capture = (1u << CAPTURE_KEYS) - 1;
    if (r->section == CAMERA && r->camera->has_command &&
        ((r->seen & capture) || r->camera->controls.count))
        mistake(
            r, r->camera->line,
            "[%s]: width, height, fps and controls are for the command to say, where there is one",
            r->camera->device);
    r->section = NOWHERE;
    r->seen = 0;
}

static void section(struct reader *r, const struct ini_item *item)
{
    struct config *c = r->config;
    char name[CONFIG_TEXT_MAX];
    end_section(r);
    if (item->name_length >= sizeof name) {
        mistake(r, item->line, "a section's name of more than %zu bytes", sizeof name - 1);
        return;
    }
    memcpy(name, item->name, item->name_length);
    name[item->name_length] = 0;
    if (strcmp(name, "server") == 0) {
        if (r->server_seen++)
            mistake(r, item->line, "[server]: a second one");
        r->section = SERVER;
        return;
    }
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->camera[i].device, name) == 0) {
            mistake(r, item->line, "[%s]: a second one, the first is in line %u", name,
                    c->camera[i].line);
            return;
        }
    if (name[0] != '/')
        mistake(r, item->line, "[%s]: neither server nor the path of a device", name);
    else if (c->count == CONFIG_CAMERAS)
        mistake(r, item->line, "[%s]: more than %d cameras", name, CONFIG_CAMERAS);
    else
        begin_camera(r, name, item->line);
}

/* Returns 1 when the key is in the table. */
static int set(struct reader *r, const struct key *keys, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, r->key) != 0)
            continue;
        if (r->seen >> i & 1)
            mistake(r, r->line, "%s: a second one in this section", r->key);
        else
            keys[i].set(r, value);
        r->seen |= 1u << i;
        return 1;
    }
    return 0;
}

static void control(struct reader *r, const char *value)
{
    struct args *controls = &r->camera->controls;
    char *names[ARGS_COUNT + 1];
    size_t n = strlen(r->key);
    args_vector(controls, names);
    for (size_t i = 0; i < controls->count; i++)
        if (strncmp(names[i], r->key, n) == 0 && names[i][n] == '=') {
            mistake(r, r->line, "%s: a second one in this section", r->key);
            return;
        }
    args_addf(controls, "%s=%s", r->key, value);
    if (controls->full)
        mistake(r, r->line, "%s: too many controls, or too long", r->key);
}

static void key(struct reader *r, const struct ini_item *item)
{
    char name[CONFIG_TEXT_MAX], value[CONFIG_TEXT_MAX];
    if (ini_key(item, name, sizeof name) >= sizeof name ||
        ini_value(item, value, sizeof value) >= sizeof value) {
        mistake(r, item->line, "a key or its value is longer than %zu bytes", sizeof value - 1);
        return;
    }
    r->key = name;
    r->line = item->line;
    if (r->section == SERVER) {
        if (!set(r, server_keys, sizeof server_keys / sizeof *server_keys, value))
            mistake(r, r->line, "%s: no key of [server]: listen, port or priority", name);
    } else if (r->section == CAMERA) {
        if (!set(r, camera_keys, sizeof camera_keys / sizeof *camera_keys, value))
            control(r, value);
    }
}

/* Names nobody gave, and names two have. */
static void name_cameras(struct reader *r)
{
    struct config *c = r->config;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->camera[i].name[0])
            snprintf(c->camera[i].name, sizeof c->camera[i].name, "cam%zu", i);
    }
    for (size_t i = 0; i < c->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->camera[i].name, c->camera[j].name) == 0)
                mistake(r, c->camera[i].line,
                        "[%s]: is called %s, as [%s] is: give it another name", c->camera[i].device,
                        c->camera[i].name, c->camera[j].device);
}

static void start(struct reader *r, struct config *config, struct config_mistakes *mistakes)
{
    memset(r, 0, sizeof *r);
    r->config = config;
    r->mistakes = mistakes;
    mistakes->count = 0;
    config->listen[0] = 0;
    config->port = DEFAULT_PORT;
    config->priority = 0;
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
    struct reader r;
    struct ini ini;
    struct ini_item item;
    start(&r, config, mistakes);
    ini_init(&ini, text, length);
    for (;;) {
        enum ini_kind kind = ini_next(&ini, &item);
        if (kind == INI_END)
            break;
        if (kind == INI_BAD)
            mistake(&r, item.line, "%s", item.why);
        else if (kind == INI_SECTION)
            section(&r, &item);
        else
            key(&r, &item);
    }
    end_section(&r);
    if (config->count == 0)
        begin_camera(&r, "/dev/video0", 0);
    name_cameras(&r);
    sort_mistakes(mistakes);
    return mistakes->count ? -1 : 0;
}

void config_default(struct config *config)
{
    struct config_mistakes none;
    config_read(config, "", 0, &none);
}
