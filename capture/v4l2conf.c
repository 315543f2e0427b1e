#include "capture/v4l2conf.h"

#include <string.h>

#include "capture/ini.h"
#include "capture/number.h"

enum { SIDE_MAX = 16384, KEY_MAX = 256 };

static int bad(struct v4l2conf *c, unsigned line, const char *why)
{
    c->line = line;
    c->why = why;
    return -1;
}

/* Keys that the rest of the appliance reads. */
static int is_others(const char *key)
{
    static const char *const others[] = {"name",
                                         "command",
                                         "rotation",
                                         "auto_sleep",
                                         "capture_format",
                                         "decoder",
                                         "encoder",
                                         "capture_memory",
                                         "decoder_memory",
                                         "encoder_memory",
                                         "decoder_input_format",
                                         "encoder_input_format"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(key, others[i]) == 0)
            return 1;
    return 0;
}

static int set_side(struct v4l2conf *c, unsigned line, const char *value, unsigned *side)
{
    uint64_t n;
    if (number_parse(value, 1, SIDE_MAX, &n) < 0)
        return bad(c, line, "not a number of pixels, 1 to 16384");
    *side = (unsigned)n;
    return 0;
}

static int set_control(struct v4l2conf *c, unsigned line, const char *key,
                       const struct ini_item *item)
{
    size_t room = sizeof c->text - c->used, n = strlen(key) + 1;
    if (c->controls == V4L2CONF_CONTROLS)
        return bad(c, line, "more than 64 controls");
    if (n >= room || ini_value(item, c->text + c->used + n, room - n) >= room - n)
        return bad(c, line, "the controls are too long");
    char *control = c->text + c->used;
    memcpy(control, key, n - 1);
    control[n - 1] = '=';
    c->control[c->controls++] = control;
    c->used += strlen(control) + 1;
    return 0;
}

static int set(struct v4l2conf *c, const struct ini_item *item)
{
    char key[KEY_MAX], value[KEY_MAX];
    if (ini_key(item, key, sizeof key) >= sizeof key)
        return bad(c, item->line, "too long");
    if (is_others(key))
        return 0;
    size_t n = ini_value(item, value, sizeof value);
    if (strcmp(key, "width") == 0)
        return set_side(c, item->line, value, &c->width);
    if (strcmp(key, "height") == 0)
        return set_side(c, item->line, value, &c->height);
    if (strcmp(key, "fps") != 0)
        return set_control(c, item->line, key, item);
    if (n >= sizeof value || rate_parse(value, &c->rate) < 0)
        return bad(c, item->line, "not a frame rate, such as 30, 29.97 or 30000/1001");
    c->rate_given = 1;
    return 0;
}

int v4l2conf_read(struct v4l2conf *c, const char *file, size_t length, const char *device)
{
    struct ini ini;
    struct ini_item item;
    int inside = 0;
    memset(c, 0, sizeof *c);
    ini_init(&ini, file, length);
    for (;;) {
        switch (ini_next(&ini, &item)) {
        case INI_END:
            return 0;
        case INI_BAD:
            return bad(c, item.line, item.why);
        case INI_SECTION:
            inside = item.name_length == strlen(device) &&
                     memcmp(item.name, device, item.name_length) == 0;
            c->found |= inside;
            break;
        case INI_KEY:
            if (inside && set(c, &item) < 0)
                return -1;
            break;
        }
    }
}
