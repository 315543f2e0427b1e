/* The controls of a V4L2 device: found, read and set. Ioctls only; see device.h for how a failure
 * is told. */
#ifndef CAPTURE_DEVCTRL_H
#define CAPTURE_DEVCTRL_H

#include "capture/control.h"
#include "capture/device.h"

enum {
    DEVCTRL_MAX = 256, /* controls and control classes of one device; further ones are not seen */
    DEVCTRL_ITEMS_MAX = 1024, /* of all its menus together */
};

struct devctrl {
    struct control control[DEVCTRL_MAX];
    unsigned count;
    struct control_item item[DEVCTRL_ITEMS_MAX];
    unsigned items;
};

/* All that are not disabled, classes included, in the driver's order. A device without any is no
 * error. */
void devctrl_find(struct device *d, struct devctrl *all);

/* The control of that name (the rule is applied to it too); NULL when there is none. */
const struct control *devctrl_named(const struct devctrl *all, const char *name);

/* Only for plain controls (control.h). ENOTSUP: a string longer than CONTROL_TEXT. */
int devctrl_get(struct device *d, const struct control *c, struct control_value *value);
int devctrl_set(struct device *d, const struct control *c, const struct control_value *value);

#endif
