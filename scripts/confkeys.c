#include "scripts/confkeys.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "capture/number.h"
#include "hls/keep.h"
#include "serve/limits.h"
#include "serve/ringfile.h"

enum {
    PRIORITY_MAX = 19,
    PRIORITY_MIN = -20,
    SHOWN_MAX = 60, /* bytes of a value in a message */
};

void confkeys_mistake(struct confreader *r, unsigned line, const char *format, ...)
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

static void wrong(struct confreader *r, const char *value, const char *want)
{
    char text[SHOWN_MAX + 4];
    confkeys_mistake(r, r->line, "%s = %s: %s", r->key, shown(value, text), want);
}

static void set_side(struct confreader *r, const char *value, unsigned *side)
{
    uint64_t n;
    if (number_parse(value, 1, CONFIG_SIDE_MAX, &n) < 0)
        wrong(r, value, "not a number of pixels, 1 to 16384");
    else
        *side = (unsigned)n;
}

static void set_width(struct confreader *r, const char *value)
{
    set_side(r, value, &r->camera->width);
}

static void set_height(struct confreader *r, const char *value)
{
    set_side(r, value, &r->camera->height);
}

static void set_fps(struct confreader *r, const char *value)
{
    if (rate_parse(value, &r->camera->rate) < 0)
        wrong(r, value, "not a frame rate, such as 30, 29.97 or 30000/1001, of at most 240");
}

static void set_rotation(struct confreader *r, const char *value)
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

static void set_boolean(struct confreader *r, const char *value, int *yes)
{
    int known = boolean(value);
    if (known < 0)
        wrong(r, value, "not yes or no");
    else
        *yes = known;
}

static void set_auto_sleep(struct confreader *r, const char *value)
{
    set_boolean(r, value, &r->camera->auto_sleep);
}

static void set_redirect(struct confreader *r, const char *value)
{
    set_boolean(r, value, &r->config->redirect);
}

static void set_log(struct confreader *r, const char *value)
{
    set_boolean(r, value, &r->config->log);
}

/* A camera's name is its ring's, a service's and an argument: no other service's, and no option. */
static void set_name(struct confreader *r, const char *value)
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

static void set_command(struct confreader *r, const char *value)
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

/* One line for all of a camera's keys that need what is not there. */
static void not_yet(struct confreader *r, const char *value)
{
    static const char why[] = "not there yet: only H264, from a camera that makes it itself; a "
                              "command can stand in for others";
    if (!r->not_yet)
        wrong(r, value, why);
    r->not_yet = 1;
}

static void set_format(struct confreader *r, const char *value)
{
    if (strcmp(value, "H264") != 0)
        not_yet(r, value);
}

static void set_listen(struct confreader *r, const char *value)
{
    struct config *c = r->config;
    struct in6_addr address;
    size_t n = strlen(value);
    char bare[sizeof c->listen];
    r->config->listen_line = r->line;
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

/* A whole number from 1 to max; what: "a port", for the message. */
static void set_number(struct confreader *r, const char *value, const char *what, unsigned max,
                       unsigned *number)
{
    char want[64];
    uint64_t n;
    snprintf(want, sizeof want, "not %s, 1 to %u", what, max);
    if (number_parse(value, 1, max, &n) < 0)
        wrong(r, value, want);
    else
        *number = (unsigned)n;
}

static void set_port(struct confreader *r, const char *value)
{
    r->config->port_line = r->line;
    set_number(r, value, "a port", 65535, &r->config->port);
}

static void set_https_port(struct confreader *r, const char *value)
{
    r->config->https_line = r->line;
    set_number(r, value, "a port", 65535, &r->config->https_port);
}

static void set_proxy_port(struct confreader *r, const char *value)
{
    set_number(r, value, "a port", 65535, &r->config->proxy_port);
}

static void set_max_viewers(struct confreader *r, const char *value)
{
    set_number(r, value, "a number of viewers", LIMIT_VIEWERS, &r->config->max_viewers);
}

static void set_max_per_address(struct confreader *r, const char *value)
{
    set_number(r, value, "a number of connections", LIMIT_CONNECTIONS, &r->config->max_per_address);
}

/* Services run in directories of their own, so a path from where somebody stood is of no use. */
static void set_path(struct confreader *r, const char *value, struct config_path *path)
{
    if (value[0] != '/' || strchr(value, '\n'))
        wrong(r, value, "not the path of a file from / on");
    else
        snprintf(path->path, sizeof path->path, "%s", value);
    path->line = r->line;
}

static void set_keyfile(struct confreader *r, const char *value)
{
    set_path(r, value, &r->config->keyfile);
}

static void set_certfile(struct confreader *r, const char *value)
{
    set_path(r, value, &r->config->certfile);
}

static void set_users(struct confreader *r, const char *value)
{
    set_path(r, value, &r->config->users);
}

static void set_www(struct confreader *r, const char *value)
{
    set_path(r, value, &r->config->www);
}

static void set_priority(struct confreader *r, const char *value)
{
    uint64_t n;
    int minus = value[0] == '-';
    if (number_parse(value + minus, 0, minus ? -PRIORITY_MIN : PRIORITY_MAX, &n) < 0)
        wrong(r, value, "not a nice value, -20 (first) to 19 (last)");
    else
        r->config->priority = minus ? -(int)n : (int)n;
    r->config->priority_line = r->line;
}

static void set_dir(struct confreader *r, const char *value)
{
    set_path(r, value, &r->config->record.dir);
}

/* A number of segments, which fmp4hls takes as well, is for directories that show the last minute.
 */
static void set_keep(struct confreader *r, const char *value)
{
    struct config_record *record = &r->config->record;
    struct keep keep = {.kind = KEEP_COUNT};
    if (keep_parse(value, &keep) < 0 || keep.kind == KEEP_COUNT ||
        strlen(value) >= sizeof record->keep) {
        wrong(r, value, "not an age such as 24h or 7d, or a size such as 500M or 10G");
        return;
    }
    snprintf(record->keep, sizeof record->keep, "%s", value);
    record->keep_bytes = keep.kind == KEEP_BYTES ? keep.limit : 0;
    record->keep_line = r->line;
}

static void set_segment(struct confreader *r, const char *value)
{
    struct config_record *record = &r->config->record;
    uint64_t ms;
    if (number_parse_seconds(value, KEEP_SEGMENT_MIN, KEEP_SEGMENT_MAX, &ms) < 0 ||
        strlen(value) >= sizeof record->segment)
        wrong(r, value, "not a number of seconds, 0.5 to 60");
    else
        snprintf(record->segment, sizeof record->segment, "%s", value);
}

static void set_cameras(struct confreader *r, const char *value)
{
    struct config_record *record = &r->config->record;
    record->cameras_line = r->line;
    if (!value[strspn(value, " \t\n")])
        wrong(r, value, "empty: which ones, or without this key all");
    snprintf(record->cameras, sizeof record->cameras, "%s", value);
}

struct key {
    const char *name;
    void (*set)(struct confreader *r, const char *value);
};

static const struct key server_keys[] = {
    {"listen", set_listen},
    {"port", set_port},
    {"priority", set_priority},
    {"https_port", set_https_port},
    {"keyfile", set_keyfile},
    {"certfile", set_certfile},
    {"redirect", set_redirect},
    {"proxy_port", set_proxy_port},
    {"users", set_users},
    {"www", set_www},
    {"max_viewers", set_max_viewers},
    {"max_per_address", set_max_per_address},
    {"log", set_log},
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

static const struct key record_keys[] = {
    {"dir", set_dir},
    {"keep", set_keep},
    {"segment", set_segment},
    {"cameras", set_cameras},
};

/* Returns 1 when the key is in the table. */
static int set(struct confreader *r, const struct key *keys, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, r->key) != 0)
            continue;
        if (r->seen >> i & 1)
            confkeys_mistake(r, r->line, "%s: a second one in this section", r->key);
        else
            keys[i].set(r, value);
        r->seen |= 1u << i;
        return 1;
    }
    return 0;
}

int confkeys_server(struct confreader *r, const char *value)
{
    return set(r, server_keys, sizeof server_keys / sizeof *server_keys, value);
}

int confkeys_camera(struct confreader *r, const char *value)
{
    return set(r, camera_keys, sizeof camera_keys / sizeof *camera_keys, value);
}

int confkeys_record(struct confreader *r, const char *value)
{
    return set(r, record_keys, sizeof record_keys / sizeof *record_keys, value);
}
