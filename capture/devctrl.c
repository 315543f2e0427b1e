#include "capture/devctrl.h"

#include <errno.h>
#include <string.h>

static void find_items(struct device *d, struct devctrl *all, struct control *c)
{
    int named = c->query.type == V4L2_CTRL_TYPE_MENU;

    c->item = all->item + all->items;
    for (int64_t i = c->query.minimum; i <= c->query.maximum && i < DEVCTRL_ITEMS_MAX; i++) {
        struct v4l2_querymenu q = {.id = c->query.id, .index = (uint32_t)i};
        if (all->items == DEVCTRL_ITEMS_MAX)
            return;
        if (DEVICE_IOCTL(d, VIDIOC_QUERYMENU, &q))
            continue; /* menus have holes */
        struct control_item *item = &all->item[all->items++];
        *item = (struct control_item){.index = (uint32_t)i};
        if (named)
            memcpy(item->label, q.name, sizeof q.name);
        else
            item->value = q.value;
        c->items++;
    }
}

void devctrl_find(struct device *d, struct devctrl *all)
{
    const uint32_t next = V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND;
    struct v4l2_query_ext_ctrl q = {.id = next};

    all->count = all->items = 0;
    while (all->count < DEVCTRL_MAX && !DEVICE_IOCTL(d, VIDIOC_QUERY_EXT_CTRL, &q)) {
        if (!(q.flags & V4L2_CTRL_FLAG_DISABLED)) {
            struct control *c = &all->control[all->count++];
            q.name[sizeof q.name - 1] = 0;
            *c = (struct control){.query = q};
            control_name(q.name, c->name);
            if (q.type == V4L2_CTRL_TYPE_MENU || q.type == V4L2_CTRL_TYPE_INTEGER_MENU)
                find_items(d, all, c);
        }
        q.id |= next;
    }
}

const struct control *devctrl_named(const struct devctrl *all, const char *name)
{
    char wanted[CONTROL_NAME];

    control_name(name, wanted);
    for (unsigned i = 0; i < all->count; i++)
        if (all->control[i].query.type != V4L2_CTRL_TYPE_CTRL_CLASS &&
            !strcmp(all->control[i].name, wanted))
            return &all->control[i];
    return NULL;
}

int devctrl_get(struct device *d, const struct control *c, struct control_value *value)
{
    char text[CONTROL_TEXT] = "";
    struct v4l2_ext_control one = {.id = c->query.id};
    struct v4l2_ext_controls list = {
        .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &one};

    if (c->query.type == V4L2_CTRL_TYPE_STRING) {
        if (c->query.elem_size > sizeof text) {
            errno = ENOTSUP;
            return -1;
        }
        one.size = sizeof text;
        one.string = text;
    }
    if (DEVICE_IOCTL(d, VIDIOC_G_EXT_CTRLS, &list))
        return -1;
    memcpy(value->text, text, sizeof text);
    value->text[sizeof text - 1] = 0;
    if (c->query.type == V4L2_CTRL_TYPE_STRING)
        value->number = 0;
    else if (c->query.type == V4L2_CTRL_TYPE_INTEGER64)
        value->number = one.value64;
    else if (c->query.type == V4L2_CTRL_TYPE_BITMASK)
        value->number = (uint32_t)one.value;
    else
        value->number = one.value;
    return 0;
}

int devctrl_set(struct device *d, const struct control *c, const struct control_value *value)
{
    char text[CONTROL_TEXT];
    struct v4l2_ext_control one = {.id = c->query.id};
    struct v4l2_ext_controls list = {
        .which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &one};

    if (c->query.type == V4L2_CTRL_TYPE_STRING) {
        memcpy(text, value->text, sizeof text);
        one.size = (uint32_t)strlen(text) + 1;
        one.string = text;
    } else if (c->query.type == V4L2_CTRL_TYPE_INTEGER64) {
        one.value64 = value->number;
    } else {
        one.value = (int32_t)value->number;
    }
    return DEVICE_IOCTL(d, VIDIOC_S_EXT_CTRLS, &list);
}
