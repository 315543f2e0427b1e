/* v4l2cap: controls set from -c name=value. */
#include "capture/devctrl.h"
#include "capture/exit.h"
#include "capture/v4l2cap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NEAREST = 3 }; /* names offered for one that is not there */

struct wish {
    const char *text; /* "name=value" */
    const struct control *control;
    struct control_value value;
    int error; /* of the last attempt; 0: it is set */
};

/* One that isn't there may be meant for another camera or be a slip: not worth no picture. */
static void tell_unknown(const struct devctrl *all, const char *device, const char *name)
{
    const char *best[NEAREST] = {0};
    unsigned distance[NEAREST];
    char wanted[CONTROL_NAME];

    control_name(name, wanted);
    for (unsigned i = 0; i < all->count; i++) {
        if (all->control[i].query.type == V4L2_CTRL_TYPE_CTRL_CLASS)
            continue;
        const char *candidate = all->control[i].name;
        unsigned far = control_distance(wanted, candidate);
        for (unsigned place = 0; place < NEAREST; place++) {
            if (best[place] && distance[place] <= far)
                continue;
            const char *next = best[place];
            unsigned next_far = next ? distance[place] : 0;
            best[place] = candidate;
            distance[place] = far;
            if (!next)
                break;
            candidate = next;
            far = next_far;
        }
    }
    if (best[0])
        v4l2cap_say(device, "no control %s; nearest: %s%s%s%s%s", name, best[0],
                    best[1] ? ", " : "", best[1] ? best[1] : "", best[2] ? ", " : "",
                    best[2] ? best[2] : "");
    else
        v4l2cap_say(device, "no control %s, nor any other", name);
}

/* Reads one option. 0: there is something to set; 1: there is not; otherwise an exit status. */
static int read_wish(const struct devctrl *all, const struct v4l2cap_options *o, const char *text,
                     struct wish *wish)
{
    char name[CONTROL_NAME], why[CONTROL_WHY];
    size_t len = strcspn(text, "=");

    snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : (int)sizeof name - 1, text);
    *wish = (struct wish){.text = text, .control = devctrl_named(all, name), .error = EAGAIN};
    if (!wish->control) {
        tell_unknown(all, o->device, name);
        return 1;
    }
    const char *value = text[len] ? text + len + 1 : "";
    if (control_parse(wish->control, value, &wish->value, why)) {
        v4l2cap_say(o->device, "-c %s: %s", text, why);
        return EXIT_USAGE;
    }
    return 0;
}

/* One round over those that have not been set. Returns how many were. */
static unsigned set_round(struct device *d, struct wish *wish, unsigned count)
{
    unsigned done = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!wish[i].error)
            continue;
        wish[i].error = devctrl_set(d, wish[i].control, &wish[i].value) ? errno : 0;
        done += !wish[i].error;
    }
    return done;
}

/* What the driver made of it, where that can be read. */
static void tell_difference(struct device *d, const char *device, const struct wish *wish)
{
    const uint32_t unreadable = V4L2_CTRL_FLAG_WRITE_ONLY | V4L2_CTRL_FLAG_VOLATILE;
    const struct control *c = wish->control;
    struct control_value now;
    char has[CONTROL_TEXT];

    if (c->query.type == V4L2_CTRL_TYPE_BUTTON || c->query.flags & unreadable ||
        devctrl_get(d, c, &now))
        return;
    if (now.number == wish->value.number && !strcmp(now.text, wish->value.text))
        return;
    control_format(c, &now, has, sizeof has);
    v4l2cap_say(device, "-c %s: the driver made it %s", wish->text, has);
}

static int tell_failed(struct device *d, const char *device, const struct wish *wish)
{
    errno = wish->error;
    if (errno == ENODEV)
        return v4l2cap_failed(d, device);
    if (errno == EBUSY || errno == EACCES || errno == EPERM)
        v4l2cap_say(device,
                    "-c %s: refused (%s): another control, an automatic as a rule, "
                    "or a running stream locks it",
                    wish->text, strerror(wish->error));
    else
        v4l2cap_say(device, "-c %s: %s", wish->text, strerror(wish->error));
    return 0;
}

/* In any order: one that another locks (exposure, while it is automatic) is tried again after the
 * rest, as long as that helps. A value that is wrong ends it before anything is set; one that the
 * driver refuses does not. */
int v4l2cap_set(struct device *d, const struct v4l2cap_options *o)
{
    static struct devctrl all;
    static struct wish wish[V4L2CAP_CONTROLS];
    unsigned count = 0;
    int status = 0;

    if (!o->controls)
        return 0;
    devctrl_find(d, &all);
    for (unsigned i = 0; i < o->controls; i++) {
        int r = read_wish(&all, o, o->control[i], &wish[count]);
        if (r == EXIT_USAGE)
            return r;
        count += r == 0;
    }
    while (set_round(d, wish, count) > 0)
        ;
    for (unsigned i = 0; i < count && !status; i++) {
        if (wish[i].error)
            status = tell_failed(d, o->device, &wish[i]);
        else
            tell_difference(d, o->device, &wish[i]);
    }
    return status;
}
