/* V4L2 controls as text: their names, and their values read and written. Pure: what a device's
 * controls are comes from devctrl.h.
 *
 * A control's name is its label by fmp4streamer's rule since its first version, which settings
 * files rely on: lower-cased; space and `-` to `_`; `,&(.)` deleted; `__` to `_`, in one pass. */
#ifndef CAPTURE_CONTROL_H
#define CAPTURE_CONTROL_H

#include <linux/videodev2.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONTROL_NAME = 64,  /* bytes of a name with its NUL; the kernel's labels have 32 */
    CONTROL_TEXT = 512, /* of a string control's value; a longer one is cut where it is printed */
    CONTROL_WHY = 768,  /* of an explanation */
};

struct control_item { /* of a menu */
    uint32_t index;
    int64_t value;  /* of an integer menu */
    char label[33]; /* of another */
};

struct control {
    struct v4l2_query_ext_ctrl query;
    char name[CONTROL_NAME];
    const struct control_item *item; /* of menus, the items that exist */
    unsigned items;
};

struct control_value {
    int64_t number; /* of a menu: the index */
    char text[CONTROL_TEXT];
};

/* The rule above; as many characters of the label as `out` holds. */
void control_name(const char *label, char out[CONTROL_NAME]);

/* Reads a value for the control. Integers within range and on a step; booleans as 0, 1, no, yes,
 * false, true, off or on; menus by an item's label, the label by the name rule, or its number (of
 * integer menus by the value only); bit masks also as 0x...; buttons as nothing or 1. Returns 0, or
 * -1 with what would be right in `why`. */
int control_parse(const struct control *c, const char *text, struct control_value *value,
                  char why[CONTROL_WHY]);

/* The value as control_parse() takes it; at most size bytes with the NUL. */
void control_format(const struct control *c, const struct control_value *value, char *out,
                    size_t size);

/* Whether a value can be set and read as text at all: no class, array or compound. */
int control_plain(const struct control *c);

/* How many letters have to be inserted, deleted or replaced to make one name the other. */
unsigned control_distance(const char *a, const char *b);

#endif
